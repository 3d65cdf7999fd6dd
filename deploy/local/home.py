"""The folder of one local stack: what it is called, which ports it has, where its data, logs and secrets are."""

import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from deploy.fault import Fault

SERVICES: Final = ("submission", "appraisal", "survey", "scoring")
NAMES: Final = ("postgres", "kafka", "s3", "zipkin", "traces", *SERVICES)  # all parts of a stack
# these have a second port, which others compute from the first
TWINNED: Final = ("s3", "master", "volume", "filer", "admin")
TWIN: Final = 10_000
PORTS: Final = ("postgres", "kafka", "kafka-controller", "zipkin", "traces", *TWINNED, *SERVICES)
# with the twins below the range that the system takes for outgoing connections: a part that is down keeps its ports
PORT_RANGE: Final = range(12_000, 22_000)
DEFAULT_DEPLOYMENT: Final = "parindex.local"
MOVABLE: Final = (".demo", ".test")  # names of deployments whose clock may be moved
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_CONTENT: Final = ("home.json", "stack.json", "lock", "secrets", "logs", "postgres", "postgres.new", "kafka", "s3")


@dataclass(frozen=True)
class Home:
    """A home that exists. `clock` is the instant that the deployment's clock began at, if it was set; `settings` are
    variables of the compose file that have another value here than their default there."""

    path: Path
    deployment: str
    clock: datetime | None
    ports: Mapping[str, int]
    settings: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read `home.json`. Raises Fault if there is no stack in this folder."""
        try:
            body = json.loads((path / "home.json").read_text())
        except FileNotFoundError:
            raise Fault(f"there is no stack in {path}; `parindex up` makes one") from None
        except (OSError, ValueError) as error:
            raise Fault(f"cannot read {path / 'home.json'}: {error}") from error
        clock = None if body["clock"] is None else datetime.fromisoformat(body["clock"])
        return cls(path, body["deployment"], clock, body["ports"], body.get("settings", {}))

    @classmethod
    def make(
        cls, path: Path, deployment: str, clock: datetime | None, settings: Mapping[str, str] | None = None
    ) -> Self:
        """A new home with free ports. Raises Fault if the name is none, or may not have a clock of its own."""
        if not _NAME.fullmatch(deployment):
            raise Fault(f"{deployment!r} is no name of a deployment; take one like parindex.example")
        if clock is not None:
            check_movable(deployment)
            if clock.tzinfo is None:
                raise Fault("the clock's instant needs its offset, for example 2024-11-01T08:00+07:00")
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o711)  # PostgreSQL runs as another user when root starts the stack
        for name in ("secrets", "logs"):
            (path / name).mkdir(mode=0o700, exist_ok=True)
        home = cls(path, deployment, clock, {}, dict(settings or {}))
        return home.with_free_ports()

    def with_free_ports(self) -> Self:
        """The home with its own ports, new ones for those that another process has taken meanwhile; saved."""
        ports = dict(self.ports)
        for name in PORTS:
            if name not in ports or not _fits(name, ports[name]):
                ports[name] = _free_port(name, set(ports.values()))
        home = replace(self, ports=ports)
        home._save()
        return home

    def _save(self) -> None:
        body = asdict(self) | {"clock": None if self.clock is None else self.clock.isoformat()}
        del body["path"]
        write_private(self.path / "home.json", json.dumps(body, indent=1) + "\n")

    @property
    def variables(self) -> dict[str, str]:
        """What fills the `${…}` of the compose file."""
        return {**self.settings, "PARINDEX_DEPLOYMENT": self.deployment}

    @property
    def secrets(self) -> Path:
        """The folder of the secrets, readable by its owner alone."""
        return self.path / "secrets"

    @property
    def record(self) -> Path:
        """What the supervisor says of itself and its processes."""
        return self.path / "stack.json"

    def address(self, port: str) -> str:
        """`127.0.0.1:<port>` of the port's name."""
        return f"127.0.0.1:{self.ports[port]}"

    def url(self, port: str) -> str:
        """`http://127.0.0.1:<port>` of the port's name."""
        return f"http://{self.address(port)}"

    def log(self, name: str) -> Path:
        """The log file of a process."""
        return self.path / "logs" / f"{name}.log"

    def delete(self) -> None:
        """Delete all that a stack keeps here, and the folder if nothing else is in it."""
        for name in _CONTENT:
            target = self.path / name
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()


def check_movable(deployment: str) -> None:
    """Refuse to move the clock of a deployment that is not for demonstration or test. Raises Fault."""
    if not deployment.endswith(MOVABLE):
        raise Fault(f"the clock of {deployment} cannot be set: only names ending in {' or '.join(MOVABLE)} may")


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner alone from its first byte on."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    scratch.replace(path)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _fits(name: str, port: int) -> bool:
    return is_free(port) and (name not in TWINNED or is_free(port + TWIN))


def _free_port(name: str, taken: set[int]) -> int:
    for _ in range(1000):
        port = PORT_RANGE[secrets.randbelow(len(PORT_RANGE))]
        if port not in taken and _fits(name, port):
            return port
    raise Fault("no free port on 127.0.0.1")
