"""The real local stack, started once a run, and a fresh database for each test that needs one."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy.engine import make_url

from deploy import migrate
from deploy.local import stack as local

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Database:
    """A fresh database with a service's schema, as its service, its owner and the server's administrator see it."""

    url: str
    owner_url: str
    admin_url: str


@pytest.fixture(scope="session")
def stack() -> Iterator[local.Stack]:
    """The whole stack, services too, with a clock that may be moved on.

    PARINDEX_TEST_HOME names the home of one that is up and stays up.
    """
    kept = os.environ.get("PARINDEX_TEST_HOME")
    if kept:
        yield local.Stack.load(Path(kept))
        return
    found = local.start(ROOT / f".parindex-test-{secrets.token_hex(4)}", deployment="parindex.test")
    try:
        yield found
    finally:
        found.reset()


def _url(url: str, **changes: str) -> str:
    changed = make_url(url).set(drivername="postgresql+asyncpg", **changes)  # type: ignore[arg-type]
    return changed.render_as_string(hide_password=False)


@pytest_asyncio.fixture(scope="session")
async def template(stack: local.Stack) -> Database:
    """A migrated database to copy from, with the two roles of a service, all of this run alone."""
    admin, run = stack.postgres_admin_url, secrets.token_hex(4)
    owner = _url(admin, username=f"test_owner_{run}", password=secrets.token_hex(16), database=f"template_{run}")
    service = _url(owner, username=f"test_service_{run}", password=secrets.token_hex(16))
    await migrate.prepare(admin, owner, service)
    await migrate.migrate(owner, "ledger", make_url(service).username)
    return Database(service, owner, _url(admin))


@pytest_asyncio.fixture
async def database(template: Database) -> AsyncIterator[Database]:
    """A copy of the template of this test's own."""
    name, source = f"test_{secrets.token_hex(6)}", make_url(template.owner_url)
    connection = await asyncpg.connect(migrate.dsn(template.admin_url))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {source.database} OWNER {source.username}")
        yield Database(
            _url(template.url, database=name),
            _url(template.owner_url, database=name),
            _url(template.admin_url, database=name),
        )
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
