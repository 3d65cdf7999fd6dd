"""The compose file: what containers are given is whole, and the local stack starts the services from it."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.fault import Fault
from deploy.local import compose, credentials, kafka, seaweedfs, services
from deploy.local.compose import Container
from deploy.local.home import SERVICES, Home
from shared.settings import Settings

DOCUMENT: dict[str, Any] = yaml.safe_load(compose.FILE.read_text())
OWN = [*SERVICES, *(f"migrate-{service}" for service in SERVICES)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home.make(tmp_path / "home", "parindex.test", None)
    credentials.make(made.secrets, deployment="parindex.test", generation="2024", postgres=made.address("postgres"))
    return made


@pytest.fixture
def containers() -> dict[str, Container]:
    return compose.read({"PARINDEX_DEPLOYMENT": "parindex.test"})


@pytest.mark.parametrize("service", SERVICES)
def test_the_local_environment_of_a_service_is_a_whole_set_of_settings(
    service: str, home: Home, containers: dict[str, Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = services.environment(home, service, containers[service], services.places(home, containers))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.service == service
    assert settings.database_url == (home.secrets / f"{service}-database-url").read_text()
    assert settings.kafka == home.address("kafka")
    assert settings.public_url == home.url(service)
    assert settings.generation.name == "2024"
    known = {f"PARINDEX_{name.upper()}{file}" for name in Settings.model_fields for file in ("", "_FILE")}
    assert set(environment) <= known


@pytest.mark.parametrize("service", SERVICES)
def test_no_address_or_path_of_a_container_is_left_in_the_local_stack(
    service: str, home: Home, containers: dict[str, Container]
) -> None:
    environment = services.environment(home, service, containers[service], services.places(home, containers))
    text = json.dumps(environment)
    for place in ("kafka:", "s3:", "traces:", "/run/secrets", "0.0.0.0", ":8000"):  # noqa: S104 - what must not be left
        assert place not in text
    assert services.command(containers[service])[1:] == ["-m", f"services.{service}.app"]


@pytest.mark.parametrize("name", OWN)
def test_each_secret_that_a_container_reads_is_mounted_and_no_other(
    name: str, containers: dict[str, Container]
) -> None:
    prefix = f"{compose.SECRETS}/"
    values = containers[name].environment.values()
    assert {value.removeprefix(prefix) for value in values if value.startswith(prefix)} == containers[name].secrets


def test_a_container_gets_no_secret_of_another_service(containers: dict[str, Container]) -> None:
    for name in OWN:
        others = [service for service in SERVICES if service != name.removeprefix("migrate-")]
        assert not [secret for secret in containers[name].secrets if secret.startswith(tuple(others))]


def test_the_secrets_command_makes_each_file_that_the_compose_file_mounts(home: Home) -> None:
    files = {Path(secret["file"]).name for secret in DOCUMENT["secrets"].values()}
    assert files | {"issuer.jwk"} == {path.name for path in home.secrets.iterdir()}


@pytest.mark.parametrize("name", DOCUMENT["services"])
def test_every_container_is_confined(name: str) -> None:
    container = DOCUMENT["services"][name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in container["security_opt"]
    assert ":" in container["image"]
    assert not container["image"].endswith(":latest")
    assert container.get("user") not in {"root", "0", "0:0"}
    assert all(port.startswith("127.0.0.1:") for port in container.get("ports", ()))


def test_services_wait_for_the_broker_the_store_and_their_own_migration() -> None:
    for service in SERVICES:
        assert DOCUMENT["services"][service]["depends_on"] == {
            f"migrate-{service}": {"condition": "service_completed_successfully"},
            "kafka": {"condition": "service_healthy"},
            "s3": {"condition": "service_healthy"},
        }


def test_the_local_broker_has_the_containers_settings_on_the_loopback_address(
    home: Home, containers: dict[str, Container]
) -> None:
    properties = kafka.properties(home, containers["kafka"])
    broker, controller = home.address("kafka"), home.address("kafka-controller")
    assert properties["listeners"] == f"PLAINTEXT://{broker},CONTROLLER://{controller}"
    assert properties["advertised.listeners"] == f"PLAINTEXT://{broker}"
    assert properties["controller.quorum.voters"] == f"1@{controller}"
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["log.dirs"] == str(home.path / "kafka" / "data")
    assert "heap.opts" not in properties


def test_the_local_store_has_the_containers_flags_on_the_loopback_address(
    home: Home, containers: dict[str, Container]
) -> None:
    flags = seaweedfs.flags(home, containers["s3"])
    assert {"-disableHttp", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.port={home.ports['s3']}"} <= set(flags)
    assert f"-s3.config={home.secrets / 's3.json'}" in flags
    names = [flag.partition("=")[0] for flag in flags]
    assert len(names) == len(set(names))


def test_a_variable_without_a_value_is_named() -> None:
    with pytest.raises(Fault, match="PARINDEX_DEPLOYMENT is not set"):
        compose.read({})


def test_places_are_replaced_as_whole_words_only() -> None:
    places = {"s3:8333": "127.0.0.1:1", "kafka:9092": "127.0.0.1:2"}
    assert compose.relocate("http://s3:8333/x", places) == "http://127.0.0.1:1/x"
    assert compose.relocate("my-kafka:9092,kafka:9092,kafka:90921", places) == "my-kafka:9092,127.0.0.1:2,kafka:90921"
