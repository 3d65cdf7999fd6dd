"""The folder of a local stack: its name, its clock, its ports, its secrets, its jars."""

import hashlib
import json
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.cli import main
from deploy.fault import Fault
from deploy.local import credentials, jars
from deploy.local.home import PORTS, SERVICES, Home
from deploy.local.stack import Stack, start
from shared.tlog.checkpoint import Policy
from shared.tlog.note import log_key

DEPLOYMENT = "parindex.test"
CLOCK = datetime(2024, 10, 1, 1, tzinfo=UTC)


def _secrets(folder: Path, postgres: str = "127.0.0.1:5432") -> dict[str, str]:
    credentials.make(folder, deployment=DEPLOYMENT, generation="2024", postgres=postgres)
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_home_keeps_its_name_clock_and_ports(tmp_path: Path) -> None:
    made = Home.make(tmp_path, DEPLOYMENT, CLOCK)
    assert set(made.ports) == set(PORTS)
    assert len(set(made.ports.values())) == len(PORTS)
    assert Home.load(tmp_path) == made
    assert made.with_free_ports().ports == made.ports


def test_a_port_that_another_process_has_taken_is_chosen_anew(tmp_path: Path) -> None:
    made = Home.make(tmp_path, DEPLOYMENT, None)
    with socket.create_server(("127.0.0.1", made.ports["kafka"])):
        chosen = made.with_free_ports().ports
    assert chosen["kafka"] != made.ports["kafka"]
    assert {name: port for name, port in chosen.items() if name != "kafka"} == {
        name: port for name, port in made.ports.items() if name != "kafka"
    }


def test_only_a_deployment_for_demonstration_or_test_may_have_a_clock_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"the clock of parindex\.example cannot be set"):
        Home.make(tmp_path / "a", "parindex.example", CLOCK)
    assert not (tmp_path / "a").exists()
    assert Home.make(tmp_path / "b", "parindex.demo", CLOCK).clock == CLOCK


@pytest.mark.parametrize("name", ["", "parindex", "Parindex.test", "parindex test", "parindex/x.test", "-a.test"])
def test_a_deployment_needs_a_name_of_dotted_words(name: str, tmp_path: Path) -> None:
    with pytest.raises(Fault, match="is no name of a deployment"):
        Home.make(tmp_path, name, None)


def test_a_home_is_not_started_as_another_deployment(tmp_path: Path) -> None:
    Home.make(tmp_path, DEPLOYMENT, None)
    with pytest.raises(Fault, match=r"is parindex\.test, not other\.test"):
        start(tmp_path, deployment="other.test", only=["postgres"])
    with pytest.raises(Fault, match="the clock is set when a home is made"):
        start(tmp_path, clock=CLOCK, only=["postgres"])


def test_an_unknown_part_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="there is no part 'mysql'"):
        start(tmp_path / "home", only=["mysql"])
    assert not (tmp_path / "home").exists()


def test_deleting_a_home_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    made = Home.make(tmp_path / "home", DEPLOYMENT, None)
    (made.path / "notes.txt").write_text("mine")
    made.delete()
    assert [path.name for path in made.path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("command", [["status"], ["down"], ["reset", "--yes"], ["logs"], ["token", "an", "-r", "ops"]])
def test_a_command_without_a_stack_is_one_clear_line(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, "--home", str(tmp_path)])
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", f"parindex: there is no stack in {tmp_path}; `parindex up` makes one\n")


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    _secrets(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_secrets_stay_and_only_the_servers_address_follows(tmp_path: Path) -> None:
    before = _secrets(tmp_path / "secrets", "127.0.0.1:5432")
    after = _secrets(tmp_path / "secrets", "127.0.0.1:6543")
    assert {name: text.replace("127.0.0.1:5432", "127.0.0.1:6543") for name, text in before.items()} == after
    assert "127.0.0.1:6543" in after["survey-database-url"]


def test_two_deployments_share_no_secret(tmp_path: Path) -> None:
    here, there = _secrets(tmp_path / "a"), _secrets(tmp_path / "b")
    assert not {name for name in here if here[name] == there[name]}


def test_the_policy_names_the_keys_of_the_four_registers(tmp_path: Path) -> None:
    found = _secrets(tmp_path)
    policy = Policy.parse(found["registers.policy"])
    assert set(policy.keys) == {f"{DEPLOYMENT}/{service}/register" for service in SERVICES}
    for origin, key in policy.keys.items():
        secret = bytes.fromhex(json.loads(found[f"{origin.split('/')[1]}-key.json"])["secret"])
        assert key == log_key(secret, origin).verifier


def test_a_stack_mints_tokens_that_name_their_issuer(tmp_path: Path) -> None:
    made = Home.make(tmp_path, DEPLOYMENT, None)
    _secrets(made.secrets)
    assert Stack(made).token("an", []).count(".") == 2
    (made.secrets / "issuer.jwk").unlink()
    with pytest.raises(ValueError, match="holds no private JWK"):
        Stack(made).token("an", [])


def test_a_changed_jar_is_found_and_named(tmp_path: Path) -> None:
    content, path = b"a jar", Path("org/example/thing/1.0/thing-1.0.jar")
    listed = tmp_path / "jars.sha256"
    listed.write_text(f"{hashlib.sha256(content).hexdigest()}  {path}\n")
    jar = tmp_path / "jars" / path
    jar.parent.mkdir(parents=True)
    jar.write_bytes(content)
    seen: list[tuple[int, int]] = []
    jars.obtain([listed], lambda done, of: seen.append((done, of)), root=tmp_path)
    assert seen == [(1, 1)]
    jar.write_bytes(b"a jaR")
    with pytest.raises(Fault, match=r"thing-1\.0\.jar is not the listed jar"):
        jars.obtain([listed], lambda _done, _of: None, root=tmp_path)


@pytest.mark.parametrize("listed", [jars.KAFKA, jars.ZIPKIN])
def test_the_lists_name_each_jar_once_with_its_digest(listed: Path) -> None:
    found = jars.read_list(listed)
    assert found
    assert len({jar.path for jar in found}) == len(found)
    for digest, path in found:
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
        assert path.suffix == ".jar"
        assert path.name.startswith(f"{path.parts[-3]}-{path.parts[-2]}")
