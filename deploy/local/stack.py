"""The local stack as commands and tests use it: start it, find its addresses, mint tokens, kill a part, end it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from deploy.fault import Fault
from deploy.local import compose, credentials, jars
from deploy.local.home import DEFAULT_DEPLOYMENT, NAMES, SERVICES, Home
from deploy.local.part import last_line
from deploy.local.record import Record, State
from shared.issuer import Role, mint

START: Final = 240.0  # seconds that a start may take on a slow machine
STOP: Final = 60.0  # seconds that an orderly end may take before the supervisor is killed
POLL: Final = 0.1

Progress = Callable[[str, str], None]
"""Called with what is worked on (`downloads` or a part) and how it stands."""


def _silent(_: str, __: str) -> None:
    """No display."""


def default_home() -> Path:
    """PARINDEX_HOME, else `.parindex` in the current folder."""
    return Path(os.environ.get("PARINDEX_HOME") or ".parindex").absolute()


@dataclass(frozen=True)
class Stack:
    """A stack that was started in a home, whether or not it is up now."""

    home: Home

    @classmethod
    def load(cls, path: Path) -> Self:
        """The stack of this home. Raises Fault if there is none."""
        return cls(Home.load(path.absolute()))

    @property
    def postgres_admin_url(self) -> str:
        """Where the database server's administrator signs in (`postgresql://…`)."""
        return credentials.read(self.home.secrets, "postgres-admin-url")

    @property
    def kafka(self) -> str:
        """The broker, `host:port`."""
        return self.home.address("kafka")

    @property
    def s3_endpoint(self) -> str:
        """The object store's URL."""
        return self.home.url("s3")

    @property
    def s3_access_key(self) -> str:
        """The object store's access key."""
        return credentials.read(self.home.secrets, "s3-access-key")

    @property
    def s3_secret_key(self) -> str:
        """The object store's secret key."""
        return credentials.read(self.home.secrets, "s3-secret-key")

    @property
    def zipkin(self) -> str:
        """Zipkin's URL."""
        return self.home.url("zipkin")

    @property
    def otlp_endpoint(self) -> str:
        """Where traces go (OTLP over HTTP)."""
        return self.home.url("traces")

    @property
    def services(self) -> dict[str, str]:
        """The services' URLs by name."""
        return {name: self.home.url(name) for name in SERVICES}

    @property
    def secrets(self) -> Path:
        """The folder of the secrets."""
        return self.home.secrets

    @property
    def registers(self) -> Path:
        """The policy file with the keys of the four registers."""
        return self.home.secrets / "registers.policy"

    def owner_url(self, service: str) -> str:
        """Where the owner of a service's database signs in."""
        return credentials.read(self.home.secrets, f"{service}-owner-url")

    def database_url(self, service: str) -> str:
        """Where the service itself signs in (`postgresql+asyncpg://…`)."""
        return credentials.read(self.home.secrets, f"{service}-database-url")

    def token(
        self, sub: str, roles: Iterable[Role], agency: str | None = None, ttl: timedelta = timedelta(hours=8)
    ) -> str:
        """A token of the local issuer, which the services of this stack accept."""
        environment = compose.read(self.home.variables)["submission"].environment
        return mint(
            self.home.secrets / "issuer.jwk",
            issuer=environment["PARINDEX_ISSUER"],
            audience=environment["PARINDEX_AUDIENCE"],
            sub=sub,
            roles=roles,
            agency=agency,
            ttl=ttl,
        )

    @property
    def record(self) -> Record | None:
        """What the running supervisor says; None when the stack is down."""
        record = Record.load(self.home.record)
        return record if record is not None and record.is_alive() else None

    def pid(self, name: str) -> int:
        """The process id of a part. Raises Fault if it does not run."""
        record = self.record
        process = None if record is None else record.process(name)
        if process is None:
            raise Fault(f"{name} does not run in {self.home.path}")
        return process.pid

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a part's process a signal; its id, which `wait_ready` takes. The supervisor starts it again."""
        pid = self.pid(name)
        os.kill(pid, how)
        return pid

    def wait_ready(self, name: str, after: int | None = None, seconds: float = 60) -> int:
        """Wait until a part is ready, by another process than `after`; its id. Raises Fault when it takes longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            record = self.record
            known = None if record is None else record.processes.get(name)
            if known is not None and known.state is State.READY and known.pid not in {None, after}:
                return self.pid(name)
            time.sleep(POLL)
        raise Fault(f"{name} is not ready after {seconds:g} s")

    def down(self, progress: Progress = _silent) -> bool:
        """End the stack in order; False if it was not up."""
        record = self.record
        if record is None:
            return False
        os.kill(record.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP
        while record.is_alive():
            if time.monotonic() > deadline:
                os.kill(record.pid, signal.SIGKILL)  # its processes get their own signal by its death
            latest = Record.load(self.home.record) or record
            for name, process in latest.processes.items():
                progress(name, process.state)
            time.sleep(POLL)
        return True

    def reset(self) -> None:
        """End the stack and delete all that it kept."""
        self.down()
        self.home.delete()


def start(
    path: Path,
    *,
    deployment: str | None = None,
    clock: datetime | None = None,
    settings: Mapping[str, str] | None = None,
    only: Sequence[str] = NAMES,
    progress: Progress = _silent,
) -> Stack:
    """Have the stack up, and return when all its parts are ready. Raises Fault with the cause if one cannot start.

    `clock`: for a new home of a deployment that ends in `.demo` or `.test`, the instant that its clock begins at.
    `settings`: for a new home, variables of the compose file such as `PARINDEX_ARCHIVE_INTERVAL`.
    """
    names = _chosen(only)
    home = _home(path.absolute(), deployment, clock, settings)
    record = Stack(home).record
    if record is None:
        lists = [jars.KAFKA] * ("kafka" in names) + [jars.ZIPKIN] * ("zipkin" in names)
        jars.obtain(lists, lambda done, of: progress("downloads", f"{done} of {of} jars"))
        home = home.with_free_ports()
        year = (home.clock or datetime.now(UTC)).year
        credentials.make(
            home.secrets, deployment=home.deployment, generation=str(year), postgres=home.address("postgres")
        )
        record = _supervise(home, names)
    elif missing := [name for name in names if name not in record.processes]:
        raise Fault(f"the stack is up without {', '.join(missing)}; `parindex down` first")
    _wait(home, record, progress)
    return Stack(home)


def _chosen(only: Sequence[str]) -> list[str]:
    for name in only:
        if name not in NAMES:
            raise Fault(f"there is no part {name!r}; there are {', '.join(NAMES)}")
    chosen = {*only} | ({"traces"} if "zipkin" in only else set())
    return [name for name in NAMES if name in chosen]


def _home(
    path: Path, deployment: str | None, clock: datetime | None, settings: Mapping[str, str] | None = None
) -> Home:
    if not (path / "home.json").exists():
        return Home.make(path, deployment or DEFAULT_DEPLOYMENT, clock, settings)
    home = Home.load(path)
    if deployment not in {None, home.deployment}:
        raise Fault(f"the stack in {path} is {home.deployment}, not {deployment}; choose another --home")
    if clock is not None and clock != home.clock:
        raise Fault("the clock is set when a home is made; move it on with `parindex clock forward --to INSTANT`")
    return home


def _supervise(home: Home, names: Sequence[str]) -> Record:
    words = [sys.executable, "-m", "deploy.local.supervisor", str(home.path), *names]
    home.record.unlink(missing_ok=True)
    with home.log("supervisor").open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the argument list is this module's own
            words,
            cwd=compose.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + START
    while (record := Record.load(home.record)) is None:
        if process.poll() is not None:
            raise Fault(f"the supervisor ended: {last_line(home.log('supervisor'))}")
        if time.monotonic() > deadline:
            process.kill()
            raise Fault(f"the supervisor does not start; see {home.log('supervisor')}")
        time.sleep(POLL)
    return record


def _wait(home: Home, record: Record, progress: Progress) -> None:
    deadline = time.monotonic() + START
    while True:
        alive = record.is_alive()
        record = Record.load(home.record) or record
        for name, process in record.processes.items():
            progress(name, process.state)
        match record.state:
            case State.READY:
                return
            case State.FAILED:
                if not alive:
                    raise Fault(record.cause or "a part failed")
            case State.STOPPING | State.STOPPED:
                raise Fault("the stack is being stopped; try again")
            case _ if not alive:
                raise Fault(f"the supervisor ended: {last_line(home.log('supervisor'))}")
        if time.monotonic() > deadline:
            raise Fault(f"the stack is not ready after {START:g} s; see {home.path / 'logs'}")
        time.sleep(POLL)
