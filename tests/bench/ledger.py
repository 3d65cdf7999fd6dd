"""Commands appended through the ledger, with leaf, frontier and idempotency, by 1, 8 and 64 clients at a time."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from time import perf_counter
from typing import Any, Final

import asyncpg
import uvloop
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.migrate import dsn
from shared.decider import Decider
from shared.events import Event
from shared.events.submission import PointsDeclared
from shared.ledger import Ledger
from shared.register import Register
from shared.settings import Generation
from shared.tlog.merkle import leaf_hash, root
from tests.bench.figure import Figure, median, rounds, tell
from tests.bench.place import Place

ROUNDS: Final = 3
BUDGET: Final = 25.0  # seconds after which no further round begins
WARM: Final = 0.5  # seconds before a count begins
WINDOW: Final = 2.0  # seconds that are counted

EVENT: Final = PointsDeclared.model_validate({"agency": "a-017", "item": "1.1", "data": "97.2", "points": "3.75"})
ACCEPT: Final[Decider[int, Event, Event]] = Decider(0, lambda _, event: [event], lambda state, _: state + 1)
DIGEST: Final = secrets.token_bytes(32)
ACTOR: Final = secrets.token_hex(16)

FLOOR: Final = """
    CREATE TABLE floor_log (name text PRIMARY KEY, size bigint NOT NULL);
    CREATE TABLE floor (log text, position bigint, header bytea, data bytea, PRIMARY KEY (log, position));
"""

TARGETS: Final[dict[int, tuple[float, bool]]] = {1: (0.5, True), 8: (5000, False), 64: (12_000, False)}
"""By clients: the target, and whether it is a part of the floor."""
OTHERS: Final = {
    1: "pyeventsourcing 1,830; protean 1,741; emmett 1,205; immudb 165",
    8: "pyeventsourcing 3,815; protean 2,360; emmett 2,126; immudb 689",
}

Call = Callable[[int, int], Awaitable[object]]
"""One command of a client: its number, and how many it sent before."""


async def rate(clients: int, call: Call) -> float:
    """Calls a second that so many clients complete together, each one call after the other."""
    done, stop = 0, False

    async def client(number: int) -> None:
        nonlocal done
        for count in itertools.count():
            if stop:
                return
            await call(number, count)
            done += 1

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
        await asyncio.sleep(WARM)
        started, before = perf_counter(), done
        await asyncio.sleep(WINDOW)
        counted, seconds = done - before, perf_counter() - started
        stop = True
    return counted / seconds


async def floor_rate(url: str, clients: int, header: bytes, data: bytes) -> float:
    """The same bytes, each inserted at the next position in a transaction that takes it from a locked row."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(_connected(url)) for _ in range(clients)]
        log = secrets.token_hex(6)
        await connections[0].execute("INSERT INTO floor_log VALUES ($1, 0)", log)

        async def insert(number: int, _: int) -> None:
            connection = connections[number]
            async with connection.transaction():
                position = await connection.fetchval(
                    "UPDATE floor_log SET size = size + 1 WHERE name = $1 RETURNING size", log
                )
                await connection.execute("INSERT INTO floor VALUES ($1, $2, $3, $4)", log, position, header, data)

        return await rate(clients, insert)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn(url))
    try:
        yield connection
    finally:
        await connection.close()


async def ledger_rate(ledger: Ledger, log: str, clients: int) -> float:
    """Commands of so many clients, each on a stream of its own, into one log."""

    async def execute(number: int, count: int) -> None:
        await ledger.execute(
            ACCEPT,
            log,
            f"self-assessment/a-{number}",
            lambda _: EVENT,
            actor=ACTOR,
            door="http",
            key=f"{number}-{count}",
            digest=DIGEST,
        )

    return await rate(clients, execute)


async def check(ledger: Ledger, log: str) -> None:
    """What was counted is there: the entries lead to the frontier that the appends kept."""
    head = (await ledger.heads())[log]
    entries = await ledger.read(log, 0, head.size)
    assert len(entries) == head.size
    assert root(leaf_hash(entry.leaf) for entry in entries) == head.root()


async def measure(place: Place) -> list[Figure]:
    """Floor and ledger in turn, some rounds of each; the middle one counts."""
    async with place.database("submission") as url, place.database() as bare:
        async with _connected(bare) as connection:
            await connection.execute(FLOOR)
        engine = create_async_engine(url)
        ledger = Ledger(engine, "parindex.test", "submission", secrets.token_bytes(32))
        register = Register(ledger, Generation("2024", secrets.token_bytes(32)))
        try:
            await register.start()
            return [await _figure(ledger, register, bare, clients) for clients in TARGETS]
        finally:
            await ledger.close()
            await engine.dispose()


async def _figure(ledger: Ledger, register: Register, bare: str, clients: int) -> Figure:
    floors: list[float] = []
    rates: list[float] = []
    for number in rounds(ROUNDS, BUDGET):
        log = f"submission/bench-{clients}-{number}"
        await register.open(log)
        rates.append(await ledger_rate(ledger, log, clients))
        first = (await ledger.read(log, 0, 1))[0]
        floors.append(await floor_rate(bare, clients, first.leaf, first.data or b""))
        await check(ledger, log)
    target, of_floor = TARGETS[clients]
    return Figure(
        f"commands appended, {clients} client{'s' * (clients > 1)}",
        "/s",
        median(rates),
        "bare ordered INSERT a transaction",
        median(floors),
        target,
        of_floor,
        OTHERS.get(clients, ""),
    )


if __name__ == "__main__":
    tell(uvloop.run(measure(Place.read())))
