"""A service whose only rule is to accept: what it appends is there to be relayed and followed."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus import Bus, CheckpointRecord, RecordError
from shared.decider import Decider
from shared.events import Entry, Event
from shared.events.submission import PointsDeclared
from shared.follower.arrival import Place, arrival
from shared.ledger import Ledger
from shared.register import Register, partition_of
from shared.relay import Relay
from shared.settings import Generation
from shared.tlog.checkpoint import Checkpoint, sign_checkpoint
from shared.tlog.note import VerificationKey

DEPLOYMENT = "parindex.test"
YEAR = "submission/2024-year"
OTHER = "submission/2024-half"
REGISTER = "submission/register"
ANYTHING: Decider[int, Sequence[Event], Event] = Decider(0, lambda _, events: events, lambda state, _: state + 1)


def declared(number: int) -> PointsDeclared:
    """One of a row of events that differ."""
    return PointsDeclared.model_validate(
        {"agency": "a-017", "item": "1.1", "data": str(number), "points": str(number % 100)}
    )


class Source:
    """A submission service: ledger, register, the two logs of its periods, and the relay when it is asked for."""

    def __init__(self, engine: AsyncEngine, bus: Bus) -> None:
        self.engine, self.bus = engine, bus
        self.ledger = Ledger(engine, DEPLOYMENT, "submission", b"s" * 32)
        self.register = Register(self.ledger, Generation("2024", b"g" * 32))
        self.topic = bus.topic("submission")

    @property
    def registers(self) -> dict[str, VerificationKey]:
        """The policy that a follower is given."""
        return {f"{DEPLOYMENT}/{REGISTER}": self.register.signing_key(REGISTER).verifier}

    async def sign(self, checkpoint: Checkpoint) -> bytes:
        """Sign with the log's own key."""
        key = self.register.signing_key(checkpoint.origin.removeprefix(f"{DEPLOYMENT}/"))
        return sign_checkpoint(checkpoint, key)

    async def open(self) -> None:
        """Topics, register and logs."""
        await self.bus.ensure_topics(["submission"])
        await self.register.start()
        await self.register.open(YEAR)
        await self.register.open(OTHER)

    async def append(self, count: int, log: str = YEAR, each: int = 50, traceparent: str | None = None) -> None:
        """Append so many entries, `each` in a command."""
        commands = [
            [declared(number) for number in range(start, min(start + each, count))] for start in range(0, count, each)
        ]

        async def execute(events: list[PointsDeclared]) -> None:
            key = secrets.token_hex(8)
            await self.ledger.execute(
                ANYTHING,
                log,
                "self-assessment/a-017",
                lambda _: events,
                actor="0" * 32,
                door="http",
                key=key,
                digest=hashlib.sha256(key.encode()).digest(),
                traceparent=traceparent,
            )

        # all have ended when one that failed is told: what is compared afterwards no longer grows
        outcomes = await asyncio.gather(*(execute(events) for events in commands), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def relay(self, **options: Any) -> Relay:
        """A new relay of this ledger."""
        return Relay(self.ledger, self.bus, self, **options)

    async def size(self, log: str = YEAR) -> int:
        """The log's size in the ledger."""
        return (await self.ledger.heads())[log].size

    async def relayed(self, log: str = YEAR) -> int:
        """The relay's stored cursor."""
        async with self.engine.connect() as connection:
            query = text("SELECT size FROM relayed WHERE log = :log")
            return (await connection.execute(query, {"log": log})).scalar_one_or_none() or 0

    async def on_topic(self, log: str = YEAR) -> list[Entry | CheckpointRecord | RecordError]:
        """What the topic holds of a log, in its order."""
        place = Place(self.topic, partition_of(log))
        tp, found = TopicPartition(*place), []
        async with self.bus.reader() as reader:
            reader.assign([tp])
            reader.seek(tp, 0)
            while await reader.position(tp) < (await reader.end_offsets([tp]))[tp]:
                for record in (await reader.getmany(tp, timeout_ms=500)).get(tp, ()):
                    seen = arrival(place, record.offset, record.key, record.value, record.headers)
                    if seen.log == log:
                        found.append(seen.content)
        return found


@asynccontextmanager
async def running(part: Any) -> AsyncIterator[None]:
    """Run a part's task; it must not have ended by itself."""
    task = asyncio.create_task(part.run())
    try:
        yield
    finally:
        assert not task.done() or task.cancelled(), task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any, seconds: float = 60.0) -> None:
    """Wait until an asynchronous condition holds; fails after so many seconds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition is in a database, not in this process
            await asyncio.sleep(0.02)
