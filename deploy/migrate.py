"""Database migrations: the numbered SQL files of `deploy/postgres`, each run once, forward only, by the owner's role.

`001_ledger.sql` is for every service's database, `002_survey.sql` for the survey's alone: a name that begins with a
service is for that one.
"""

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

import asyncpg
from asyncpg.exceptions import PostgresError

from deploy.fault import Fault

FOLDER: Final = Path(__file__).parent / "postgres"
SERVICES: Final = frozenset(("submission", "appraisal", "survey", "scoring"))
LOCK: Final = 0x70617269  # one migration of a database, one preparation of a server, at a time


class Migration(NamedTuple):
    """One file: its number, its name without the suffix, its SQL, where `:service` stands for the service's role."""

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, in hex: what was run is what is still in the file."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def for_role(self, role: str) -> str:
        """The SQL with the role's quoted name in its place."""
        quoted = '"' + role.replace('"', '""') + '"'
        return re.sub(r"(?<!:):service\b", lambda _: quoted, self.sql)


class Login(NamedTuple):
    """What a database URL says of its user."""

    user: str
    password: str
    database: str


def migrations(service: str, folder: Path = FOLDER) -> list[Migration]:
    """A service's migrations in order. Raises Fault if a file has no number or two have the same."""
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        name = re.fullmatch(r"([0-9]{3})_([a-z0-9]+).*", path.stem)
        if name is None:
            raise Fault(f"{path} has no number; call it NNN_name.sql")
        if name[2] in SERVICES - {service}:
            continue
        migration = Migration(int(name[1]), path.stem, path.read_text(encoding="utf-8"))
        if migration.number in found:
            raise Fault(f"{path.name} and {found[migration.number].name}.sql have the same number")
        found[migration.number] = migration
    return list(found.values())


def dsn(url: str) -> str:
    """The URL as asyncpg reads it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)


def login(url: str) -> Login:
    """User, password and database of a URL. Raises Fault if one is missing."""
    parts = urlsplit(url)
    user, password, database = parts.username, parts.password, parts.path.strip("/")
    if not (user and password and database):
        raise Fault("a database URL reads postgresql://user:password@host:port/database")
    return Login(unquote(user), unquote(password), unquote(database))


async def prepare(admin_url: str, owner_url: str, service_url: str) -> None:
    """Have the two roles, with the passwords of their URLs, and the database, which nobody else may enter."""
    owner, service = login(owner_url), login(service_url)
    connection = await asyncpg.connect(dsn(admin_url))
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
        for role in (owner, service):
            exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role.user)
            verb = "ALTER" if exists else "CREATE"
            await _run(connection, f"{verb} ROLE %I LOGIN PASSWORD %L", role.user, role.password)
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", owner.database):
            await _run(connection, "CREATE DATABASE %I OWNER %I", owner.database, owner.user)
        await _run(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", owner.database)
        await _run(connection, "GRANT CONNECT ON DATABASE %I TO %I", owner.database, service.user)
    finally:
        await connection.close()


async def migrate(
    owner_url: str, service: str, role: str | None = None, files: Sequence[Migration] | None = None
) -> list[str]:
    """Run what was not yet run, all in one transaction; the names of what was run.

    `role` is the service's own, if it is not called like the service.
    Raises Fault if a file that was run has changed or is gone: a migration is never edited, only followed by another.
    """
    wanted = migrations(service) if files is None else files
    connection = await asyncpg.connect(dsn(owner_url))
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            await connection.execute(
                "CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY, name text NOT NULL,"
                " digest text NOT NULL, applied timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
            done = {row["number"]: row for row in await connection.fetch("SELECT number, name, digest FROM migration")}
            _check_history([(row["number"], row["name"], row["digest"]) for row in done.values()], wanted)
            new = [migration for migration in wanted if migration.number not in done]
            for migration in new:
                await _apply(connection, migration, role or service)
            return [migration.name for migration in new]
    finally:
        await connection.close()


def _check_history(done: Sequence[tuple[int, str, str]], wanted: Sequence[Migration]) -> None:
    known = {migration.number: migration for migration in wanted}
    for number, name, digest in done:
        if number not in known:
            raise Fault(f"the database has migration {name}, which this version does not know; use the newer version")
        if known[number].digest != digest:
            raise Fault(f"migration {name} was changed after it was run; put it back and add a new one")
    last = max((number for number, _, _ in done), default=0)
    for migration in wanted:
        if migration.number < last and migration.number not in {number for number, _, _ in done}:
            raise Fault(f"migration {migration.name} comes before one that was already run; give it a higher number")


async def _apply(connection: asyncpg.Connection, migration: Migration, role: str) -> None:
    try:
        await connection.execute(migration.for_role(role))
    except PostgresError as error:
        raise Fault(f"migration {migration.name} failed: {error}") from error
    await connection.execute(
        "INSERT INTO migration (number, name, digest) VALUES ($1, $2, $3)",
        migration.number,
        migration.name,
        migration.digest,
    )


async def _run(connection: asyncpg.Connection, statement: str, *names: str) -> None:
    """Run a statement that takes no parameters, its names quoted by the server."""
    places = ", ".join(f"${number}::text" for number in range(2, len(names) + 2))
    await connection.execute(await connection.fetchval(f"SELECT format($1, {places})", statement, *names))


def _setting(name: str) -> str | None:
    value, file = os.environ.get(f"PARINDEX_{name}"), os.environ.get(f"PARINDEX_{name}_FILE")
    if value and file:
        raise Fault(f"PARINDEX_{name} and PARINDEX_{name}_FILE are both set; keep one")
    try:
        return Path(file).read_text().strip() if file else value
    except OSError as error:
        raise Fault(f"PARINDEX_{name}_FILE: cannot read {file} ({type(error).__name__})") from error


async def _main() -> None:
    owner_url, service_url, admin_url = (_setting(name) for name in ("OWNER_URL", "DATABASE_URL", "ADMIN_URL"))
    if owner_url is None or service_url is None:
        raise Fault("set PARINDEX_OWNER_URL and PARINDEX_DATABASE_URL (or …_FILE): the owner's and the service's")
    try:
        if admin_url is not None:
            await prepare(admin_url, owner_url, service_url)
        done = await migrate(owner_url, login(owner_url).database, login(service_url).user)
    except (OSError, PostgresError) as error:
        raise Fault(f"the database refused: {error}") from error
    sys.stdout.write("".join(f"ran {name}\n" for name in done) or "nothing to run\n")


def main() -> None:
    """`python -m deploy.migrate`: migrate one database; with PARINDEX_ADMIN_URL make it and its roles first."""
    try:
        asyncio.run(_main())
    except Fault as fault:
        raise SystemExit(str(fault)) from fault


if __name__ == "__main__":
    main()
