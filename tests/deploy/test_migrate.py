"""Migrations and the deployment's clock, on the real PostgreSQL."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from deploy import migrate
from deploy.fault import Fault
from deploy.local import clock
from deploy.local.stack import Stack
from deploy.migrate import Migration

FIRST = Migration(1, "001_first", "CREATE TABLE a (x integer); GRANT SELECT ON a TO :service;")
SECOND = Migration(2, "002_second", "CREATE TABLE b (x integer DEFAULT '1'::integer);")


@pytest_asyncio.fixture
async def urls(stack: Stack) -> AsyncIterator[tuple[str, str]]:
    """The URLs of a fresh, empty database for its owner and for its service, with roles of its own."""
    name, server = f"migrate_{secrets.token_hex(4)}", urlsplit(stack.postgres_admin_url).netloc.rpartition("@")[2]
    owner = f"postgresql://{name}_owner:{secrets.token_hex(8)}@{server}/{name}"
    service = f"postgresql+asyncpg://{name}:{secrets.token_hex(8)}@{server}/{name}"
    await migrate.prepare(stack.postgres_admin_url, owner, service)
    yield owner, service
    connection = await asyncpg.connect(stack.postgres_admin_url)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.execute(f"DROP ROLE {name}_owner, {name}")
    await connection.close()


async def _tables(owner: str) -> set[str]:
    connection = await asyncpg.connect(owner)
    try:
        return {row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    finally:
        await connection.close()


def _role(url: str) -> str:
    return migrate.login(url).user


async def test_each_migration_runs_once(urls: tuple[str, str]) -> None:
    owner, service = urls
    assert await migrate.migrate(owner, "survey", _role(service), [FIRST]) == ["001_first"]
    assert await migrate.migrate(owner, "survey", _role(service), [FIRST]) == []
    assert await migrate.migrate(owner, "survey", _role(service), [FIRST, SECOND]) == ["002_second"]
    assert await _tables(owner) == {"a", "b", "migration"}


async def test_a_failing_migration_leaves_nothing(urls: tuple[str, str]) -> None:
    owner, service = urls
    broken = Migration(2, "002_broken", "CREATE TABLE c (x integer); SELECT nothing;")
    with pytest.raises(Fault, match="migration 002_broken failed"):
        await migrate.migrate(owner, "survey", _role(service), [FIRST, broken])
    assert await _tables(owner) == set()


async def test_a_migration_that_was_run_is_never_edited(urls: tuple[str, str]) -> None:
    owner, service = urls
    await migrate.migrate(owner, "survey", _role(service), [FIRST, SECOND])
    with pytest.raises(Fault, match="001_first was changed after it was run"):
        await migrate.migrate(owner, "survey", _role(service), [FIRST._replace(sql="SELECT 1;"), SECOND])
    with pytest.raises(Fault, match="002_second, which this version does not know"):
        await migrate.migrate(owner, "survey", _role(service), [FIRST])
    with pytest.raises(Fault, match="000_late comes before one that was already run"):
        await migrate.migrate(owner, "survey", _role(service), [Migration(0, "000_late", ""), FIRST, SECOND])


async def test_a_service_may_neither_enter_another_database_nor_make_tables(
    urls: tuple[str, str], stack: Stack
) -> None:
    owner, service = urls
    await migrate.migrate(owner, "survey", _role(service), [FIRST])
    connection = await asyncpg.connect(migrate.dsn(service))
    try:
        assert await connection.fetch("SELECT * FROM a") == []
        for statement in ("CREATE TABLE mine (x integer)", "CREATE TEMP TABLE t (x integer)", "DELETE FROM a"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(migrate.dsn(service).rpartition("/")[0] + "/submission")


async def test_a_service_cannot_move_the_clock_nor_change_what_was_accepted(urls: tuple[str, str]) -> None:
    owner, service = urls
    await migrate.migrate(owner, "survey", _role(service))
    connection = await asyncpg.connect(migrate.dsn(service))
    try:
        for statement in ("UPDATE clock_offset SET delta = '1 day'", "UPDATE entry SET data = ''", "DELETE FROM entry"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_the_clock_goes_forward_only(urls: tuple[str, str]) -> None:
    owner, service = urls
    await migrate.migrate(owner, "survey", _role(service))
    real = await clock.now(owner)
    await clock.begin([owner], real - timedelta(days=300))
    begun = await clock.now(owner)
    assert timedelta(days=299) < real - begun <= timedelta(days=300)
    await clock.begin([owner], real)
    assert await clock.now(owner) < real - timedelta(days=299)
    await clock.forward([owner], begun + timedelta(days=10))
    assert timedelta(0) < await clock.now(owner) - begun - timedelta(days=10) < timedelta(minutes=1)
    with pytest.raises(Fault, match="it only goes forward"):
        await clock.forward([owner], begun)
    assert await clock.now(owner) > begun + timedelta(days=10)


def test_the_placeholder_is_the_services_role_and_casts_stay() -> None:
    assert Migration(1, "a", "GRANT x TO :service; SELECT ':service'::service, :services").for_role('a"b') == (
        'GRANT x TO "a""b"; SELECT \'"a""b"\'::service, :services'
    )


def test_a_file_of_another_service_is_left_out(tmp_path: Path) -> None:
    for name in ("001_ledger.sql", "002_survey.sql", "002_scoring_cards.sql", "003_more.sql"):
        (tmp_path / name).write_text("SELECT 1;")
    assert [found.name for found in migrate.migrations("survey", tmp_path)] == ["001_ledger", "002_survey", "003_more"]
    assert [found.name for found in migrate.migrations("submission", tmp_path)] == ["001_ledger", "003_more"]
    (tmp_path / "003_again.sql").write_text("SELECT 1;")
    with pytest.raises(Fault, match="have the same number"):
        migrate.migrations("survey", tmp_path)
    (tmp_path / "003_again.sql").rename(tmp_path / "again.sql")
    with pytest.raises(Fault, match="has no number"):
        migrate.migrations("survey", tmp_path)


@pytest.mark.parametrize("url", ["postgresql://h/db", "postgresql://u:p@h", "postgresql://u@h/db"])
def test_a_url_without_user_password_or_database_is_refused(url: str) -> None:
    with pytest.raises(Fault, match="a database URL reads"):
        migrate.login(url)
