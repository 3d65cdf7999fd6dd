"""Entries applied in scoring from a prefilled topic, beside what Faust alone does with the same records.

Each way reads in a process of its own: `python -m tests.bench.follow WAY PREFIX COUNT`.
"""

import asyncio
import json
import logging
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import faust
import uvloop
from faust.contrib.asgi import faust_app_running
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.scoring.scorecard import SCORED
from services.scoring.views import Live, beside
from shared.bus import PARTITIONS, Bus, Publisher, to_record
from shared.events import Entry
from shared.follower import FETCH, FETCH_BYTES, WITHIN, Follower
from shared.register import partition_of
from tests.bench.figure import Figure, median, rounds, tell
from tests.bench.place import Place
from tests.services.scoring.archived import DEPLOYMENT, Year, key_of

ROUNDS: Final = 3
REDECLARED: Final = 15_000
"""Declarations of each of the two agencies, beside all that a published period has."""
SECONDS: Final = 60.0  # that one reading may take
BUDGET: Final = 30.0  # seconds after which no further round begins
TARGET: Final = 0.65


class Meter:
    """From the first record that comes to the last one that is done with."""

    def __init__(self, expected: int) -> None:
        self._expected, self._done, self._started = expected, 0, 0.0
        self._rate: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Records have come."""
        self._started = self._started or perf_counter()

    def take(self, count: int) -> None:
        """So many records are done with."""
        self._done += count
        if self._done >= self._expected and not self._rate.done():
            self._rate.set_result(self._done / (perf_counter() - self._started))

    async def rate(self) -> float:
        """Records a second, once all have come."""
        return await asyncio.wait_for(self._rate, SECONDS)


def _app(bus: Bus, folder: str, **options: Any) -> tuple[faust.App, Any]:
    """An app with the settings of the follower's own, and the topics of the records."""
    settings: dict[str, Any] = {
        "broker": [f"kafka://{bus.kafka}"],
        "datadir": Path(folder),
        "topic_disable_leader": True,
        "topic_allow_declare": False,
        "table_standby_replicas": 0,
        "web_enabled": False,
        "broker_session_timeout": 6.0,
        "broker_heartbeat_interval": 2.0,
        "broker_commit_interval": 1.0,
        "consumer_auto_offset_reset": "earliest",
        "stream_wait_empty": True,
        "consumer_max_fetch_size": FETCH_BYTES,
    }
    app = faust.App(f"{bus.prefix}.{secrets.token_hex(4)}", **settings | options)
    topics = [bus.topic(service) for service in SCORED]
    raw: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}
    return app, app.topic(*topics, **raw)


async def empty_agent(bus: Bus, meter: Meter) -> float:
    """An agent that takes the records as the follower does, and does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        app, topic = _app(bus, folder)

        @app.agent(topic, concurrency=1)
        async def follow(stream: Any) -> None:
            async for events in stream.take_events(FETCH, within=WITHIN):
                meter.begin()
                meter.take(len(events))

        async with faust_app_running(app, stop_timeout=5):
            return await meter.rate()


async def table_agent(bus: Bus, meter: Meter) -> float:
    """An agent that adds one to a Faust table for each record."""
    with tempfile.TemporaryDirectory() as folder:
        app, topic = _app(bus, folder, topic_allow_declare=True, store="memory://")
        table = app.Table("counts", default=int, partitions=PARTITIONS)

        @app.agent(topic, concurrency=1)
        async def follow(stream: Any) -> None:
            async for event in stream.events():
                meter.begin()
                table[event.key.decode()] += 1
                meter.take(1)

        async with faust_app_running(app, stop_timeout=5):
            return await meter.rate()


async def follower(bus: Bus, meter: Meter) -> float:
    """The scoring's own follower: verified, stored, folded, cards moved, in one transaction with the cursors."""
    live, taken = Live(), 0

    def besides(log: str) -> list[str]:
        meter.begin()
        return beside(log)

    async def apply(connection: AsyncConnection, log: str, entries: Sequence[Entry], sizes: Mapping[str, int]) -> None:
        nonlocal taken
        await live.apply(connection, log, entries, sizes)
        taken += len(entries)

    def applied(_: str) -> None:
        nonlocal taken
        meter.take(taken)
        taken = 0

    async with Place.read().database("scoring") as url:
        engine = create_async_engine(url)
        registers = {f"{DEPLOYMENT}/{service}/register": key_of(f"{service}/register").verifier for service in SCORED}
        part = Follower(
            engine,
            bus,
            service=secrets.token_hex(4),
            deployment=DEPLOYMENT,
            sources=SCORED,
            registers=registers,
            apply=apply,
            beside=besides,
        )
        part.applied.append(applied)
        task = asyncio.create_task(part.run())
        try:
            return await meter.rate()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await engine.dispose()


WAYS: Final[dict[str, Callable[[Bus, Meter], Awaitable[float]]]] = {
    "empty": empty_agent,
    "table": table_agent,
    "follower": follower,
}


async def read(way: str, prefix: str, expected: int) -> None:
    """Read the prefilled topics in one way; tells the rate."""
    logging.disable(logging.WARNING)
    rate = await WAYS[way](Bus(Place.read().kafka, prefix), Meter(expected))
    sys.stdout.write(json.dumps(rate))
    sys.stdout.flush()


async def fill(bus: Bus) -> int:
    """Write a synthetic period to new topics, the registers first; how many records."""
    await bus.ensure_topics(SCORED)
    year, publisher, count = Year(redeclared=REDECLARED), Publisher(bus), 0
    for log in sorted(year.logs, key=lambda log: not log.endswith("/register")):
        service = log.partition("/")[0]
        if service in SCORED:
            place = bus.topic(service), partition_of(log)
            sent = [await publisher.send(place[0], to_record(entry), place[1]) for entry in year.logs[log]]
            await publisher.settled(sent)
            count += len(sent)
    await publisher.close()
    return count


async def measure(place: Place) -> list[Figure]:
    """All ways in turn, some rounds of each; the middle one counts."""
    bus = Bus(place.kafka, f"bench-{secrets.token_hex(4)}")
    try:
        count = await fill(bus)
        rates: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in rounds(ROUNDS, BUDGET):
            for way, known in rates.items():
                known.append(await asyncio.to_thread(_read_apart, way, bus.prefix, count))
    finally:
        await place.drop_topics(bus.prefix)
    name, value = "entries applied in scoring", median(rates["follower"])
    return [
        Figure(name, "/s", value, "Faust agent that does nothing", median(rates["empty"]), TARGET, of_floor=True),
        Figure(name, "/s", value, "Faust, a table update an event", median(rates["table"])),
    ]


def _read_apart(way: str, prefix: str, count: int) -> float:
    words = [sys.executable, "-m", "tests.bench.follow", way, prefix, str(count)]
    done = subprocess.run(words, stdout=subprocess.PIPE, check=True, timeout=2 * SECONDS)
    rate: float = json.loads(done.stdout)
    return rate


if __name__ == "__main__":
    if sys.argv[1:]:
        uvloop.run(read(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    else:
        tell(uvloop.run(measure(Place.read())))
