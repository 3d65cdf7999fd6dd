"""An appender's connection: one transaction through both handles, kept for a while, given back."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from asyncpg.exceptions import InternalClientError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.events.submission import PointsDeclared
from shared.ledger import KEEP, Ledger
from shared.ledger.link import Link
from shared.register import Register
from shared.settings import Generation
from tests.conftest import Database
from tests.shared.source import ANYTHING

ADD = text("INSERT INTO log (name, partition) VALUES (:name, 0)")
NAMES = "SELECT name FROM log ORDER BY name"


@pytest_asyncio.fixture
async def single(database: Database) -> AsyncIterator[AsyncEngine]:
    """One connection and no more; who waits for it for two seconds fails."""
    engine = create_async_engine(database.url, pool_size=1, max_overflow=0, pool_timeout=2)
    yield engine
    await engine.dispose()


async def test_both_handles_are_in_one_transaction(single: AsyncEngine) -> None:
    link = Link(single)

    async def fail() -> None:
        async with link.transaction() as (connection, driver):
            await connection.execute(ADD, {"name": "submission/a"})
            assert [row["name"] for row in await driver.fetch(NAMES)] == ["submission/a"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with link.transaction() as (connection, driver):
        assert await driver.fetch(NAMES) == []
        await connection.execute(ADD, {"name": "submission/b"})
    await link.release()
    async with single.connect() as other:
        assert (await other.execute(text(NAMES))).scalars().all() == ["submission/b"]


async def test_connections_that_the_server_cut_in_the_pool_are_passed_over(
    engine: AsyncEngine, database: Database
) -> None:
    held = [await engine.connect() for _ in range(3)]
    pids = [(await each.execute(text("SELECT pg_backend_pid()"))).scalar_one() for each in held]
    for each in held:
        await each.close()
    admin = create_async_engine(database.admin_url)
    async with admin.begin() as connection:
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM unnest(CAST(:pids AS integer[])) AS pid"), {"pids": pids}
        )
    await admin.dispose()
    await asyncio.sleep(0.2)  # until this process has heard of it
    link = Link(engine)
    async with link.transaction() as (_, driver):
        assert await driver.fetchval("SELECT pg_backend_pid()") not in pids
    await link.release()


async def test_a_connection_whose_state_is_confused_is_given_to_nobody_else(single: AsyncEngine) -> None:
    link, pid = Link(single), "SELECT pg_backend_pid()"

    async def confused() -> None:
        async with link.transaction() as (_, driver):
            seen.append(await driver.fetchval(pid))
            raise InternalClientError("cannot switch to state 15; another operation (2) is in progress")

    seen: list[int] = []
    with pytest.raises(InternalClientError):
        await confused()
    async with single.connect() as connection:
        assert (await connection.execute(text(pid))).scalar_one() not in seen


async def test_an_appender_without_work_gives_its_connection_back(single: AsyncEngine) -> None:
    ledger = Ledger(single, "parindex.test", "submission", b"s" * 32)
    register = Register(ledger, Generation("2024", b"g" * 32))
    event = PointsDeclared.model_validate({"agency": "a-017", "item": "1.1", "data": "1", "points": "1"})
    await register.start()
    for log in ("submission/2024-year", "submission/2024-half"):
        await register.open(log)
        answer = await ledger.execute(
            ANYTHING, log, "period", lambda _: [event], actor="0" * 32, door="http", key=log, digest=b"d" * 32
        )
        assert answer.first == 0
    await asyncio.sleep(3 * KEEP)
    async with single.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM entry"))).scalar_one() == 6
    await ledger.close()
