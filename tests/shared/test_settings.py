from pathlib import Path

import pytest

from shared.settings import Settings, load, settings_table, variable
from tests.shared.local_app import settings_in, values


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    given = values(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(variable(name), value)
    return given


@pytest.mark.usefixtures("environment")
def test_a_whole_environment_gives_the_settings_with_their_secrets() -> None:
    settings = load()
    assert (settings.service, settings.host, settings.kafka_prefix) == ("submission", "127.0.0.1", "parindex")
    assert (settings.generation.name, settings.generation.secret) == ("2024", bytes([7]) * 32)
    assert (settings.identity_secret, settings.service_secret) == (bytes([1]) * 32, bytes([2]) * 32)


@pytest.mark.usefixtures("environment")
def test_a_missing_setting_stops_the_start_with_one_line_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARINDEX_KAFKA")
    with pytest.raises(SystemExit) as stop:
        load()
    assert stop.value.code == "wrong settings: PARINDEX_KAFKA is not set"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SERVICE", "billing", "submission"),
        ("DEPLOYMENT", "Pa Rindex", "pattern"),
        ("DATABASE_URL", "postgres://user:hidden-password@host/db", "postgresql+asyncpg://"),
        ("KAFKA", "localhost", "host:port"),
        ("S3_ENDPOINT", "localhost:8333", "http://"),
        ("S3_PREFIX", "Par_Index", "pattern"),
        ("PORT", "99999", "65535"),
        ("TRACE_RATIO", "1.5", "less than or equal to 1"),
        ("BOX_INTERVAL", "0", "greater than 0"),
        ("JWKS", "/no/such/file", "no file"),
        ("JWKS", "http://issuer.example/keys", "https://"),
        ("KEY_FILE", "/no/such/file", "no file"),
    ],
)
@pytest.mark.usefixtures("environment")
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(f"PARINDEX_{name}", value)
    with pytest.raises(SystemExit) as stop:
        load()
    line = str(stop.value.code)
    assert line.startswith(f"wrong settings: PARINDEX_{name}: ")
    assert says in line
    assert "\n" not in line
    assert "hidden" not in line


@pytest.mark.parametrize(
    ("variable_name", "file", "text"),
    [
        ("KEY_FILE", "key.json", "not JSON"),
        ("KEY_FILE", "key.json", '["generation"]'),
        ("KEY_FILE", "key.json", '{"generation": "2024", "secret": "07"}'),
        ("KEY_FILE", "key.json", '{"generation": "20 24", "secret": "' + "07" * 32 + '"}'),
        ("IDENTITY_SECRET_FILE", "identity.hex", "01" * 31),
        ("SERVICE_SECRET_FILE", "service.hex", "x" * 64),
    ],
)
def test_a_malformed_secret_file_stops_the_start(
    environment: dict[str, str], variable_name: str, file: str, text: str
) -> None:
    (Path(environment["key_file"]).parent / file).write_text(text)
    with pytest.raises(SystemExit, match=f"PARINDEX_{variable_name}") as stop:
        load()
    assert text not in str(stop.value.code)


def test_a_secret_may_stand_in_a_file(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "s3.secret"
    secret.write_text("from-a-file\n")
    monkeypatch.delenv("PARINDEX_S3_SECRET_KEY")
    monkeypatch.setenv("PARINDEX_S3_SECRET_KEY_FILE", str(secret))
    assert load().s3_secret_key == "from-a-file"
    monkeypatch.setenv("PARINDEX_S3_SECRET_KEY", environment["s3_secret_key"])
    with pytest.raises(SystemExit, match="PARINDEX_S3_SECRET_KEY and PARINDEX_S3_SECRET_KEY_FILE are both set"):
        load()
    monkeypatch.delenv("PARINDEX_S3_SECRET_KEY")
    monkeypatch.setenv("PARINDEX_S3_SECRET_KEY_FILE", str(tmp_path / "absent"))
    with pytest.raises(SystemExit, match="PARINDEX_S3_SECRET_KEY_FILE: cannot read"):
        load()


def test_secrets_do_not_show_in_the_text_of_the_settings(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert settings.generation.secret
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(settings)
    assert "0707" not in repr(settings)


def test_the_table_has_a_row_for_each_setting() -> None:
    rows = settings_table().splitlines()[2:]
    assert [row.split("|")[1].strip(" `") for row in rows] == [variable(name) for name in Settings.model_fields]
    assert all(row.count("|") == 4 and not row.endswith("| None |") for row in rows)
