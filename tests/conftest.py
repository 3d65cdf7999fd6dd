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
TEMPLATE = "test_template"


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
    """A migrated database to copy from, with the two roles of a service."""
    admin = stack.postgres_admin_url
    owner = _url(admin, username="test_owner", password=secrets.token_hex(16), database=TEMPLATE)
    service = _url(admin, username="test_service", password=secrets.token_hex(16), database=TEMPLATE)
    await migrate.prepare(admin, owner, service)
    await migrate.migrate(owner, "ledger", "test_service")
    return Database(service, owner, _url(admin))


@pytest_asyncio.fixture
async def database(template: Database) -> AsyncIterator[Database]:
    """A copy of the template of this test's own."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(migrate.dsn(template.admin_url))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER test_owner")
        yield Database(
            _url(template.url, database=name),
            _url(template.owner_url, database=name),
            _url(template.admin_url, database=name),
        )
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()
