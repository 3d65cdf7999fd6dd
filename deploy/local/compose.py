"""The compose file as the local stack reads it: commands and environments, so that there is one place for both."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from deploy.fault import Fault

ROOT: Final = Path(__file__).parents[2]
FILE: Final = ROOT / "docker-compose.yml"
SECRETS: Final = "/run/secrets"
_VARIABLE: Final = re.compile(r"\$\{(?P<name>\w+)(?:(?P<kind>:[-?])(?P<rest>[^}]*))?\}")


class Container(NamedTuple):
    """What the compose file says of one container."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: frozenset[str]
    ports: tuple[str, ...]


def read(variables: Mapping[str, str], file: Path = FILE) -> dict[str, Container]:
    """All containers, their `${…}` filled from `variables` alone. Raises Fault if the file or a variable is missing."""
    try:
        document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Fault(f"cannot read {file}: run parindex from a checkout that has it") from error
    return {name: _container(body, variables) for name, body in document["services"].items()}


def relocate(text: str, places: Mapping[str, str]) -> str:
    """The text with every place of a container (`kafka:9092`, `/run/secrets`) replaced by its local one."""
    names = "|".join(re.escape(name) for name in sorted(places, key=len, reverse=True))
    return re.sub(rf"(?<![\w.-])(?:{names})(?!\w)", lambda found: places[found[0]], text)


def _container(body: Mapping[str, Any], variables: Mapping[str, str]) -> Container:
    environment = {name: _fill(str(value), variables) for name, value in body.get("environment", {}).items()}
    secrets = (item if isinstance(item, str) else item["source"] for item in body.get("secrets", ()))
    command = tuple(_fill(str(word), variables) for word in body.get("command", ()))
    return Container(command, environment, frozenset(secrets), tuple(body.get("ports", ())))


def _fill(text: str, variables: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        given = variables.get(found["name"])
        if given:
            return given
        if found["kind"] == ":-":
            return found["rest"]
        raise Fault(f"{FILE.name}: {found['name']} is not set ({found['rest'] or 'no default'})")

    return _VARIABLE.sub(value, text)
