"""A follower whose state is a chain of hashes: it shows any entry lost, repeated or out of order.

Run as a module it is a process that can be killed: arguments are database URL, brokers, topic prefix, register's key.
"""

import asyncio
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared.bus import Bus
from shared.events import Entry
from shared.follower import Follower
from shared.tlog.note import VerificationKey
from tests.shared.source import DEPLOYMENT, REGISTER

TABLE = "CREATE TABLE tally (log text PRIMARY KEY, count bigint NOT NULL, chain bytea NOT NULL)"


class Tally:
    """Counts and chains the entries of each log in the follower's transaction; `hindrance` may raise before it."""

    def __init__(self) -> None:
        self.hindrance: Callable[[str, Sequence[Entry]], None] = lambda log, entries: None

    async def apply(
        self, connection: AsyncConnection, log: str, entries: Sequence[Entry], _: Mapping[str, int]
    ) -> None:
        """Add the entries to the log's chain."""
        self.hindrance(log, entries)
        query = text("SELECT count AS entries, chain FROM tally WHERE log = :log")
        row = (await connection.execute(query, {"log": log})).one_or_none()
        count, chain = (0, b"") if row is None else (row.entries, row.chain)
        upsert = text("""
            INSERT INTO tally VALUES (:log, :count, :chain)
            ON CONFLICT (log) DO UPDATE SET count = excluded.count, chain = excluded.chain
        """)
        stored = {"log": log, "count": count + len(entries), "chain": chained(chain, entries)}
        await connection.execute(upsert, stored)


def chained(chain: bytes, entries: Sequence[Entry]) -> bytes:
    """The chain after these entries."""
    for entry in entries:
        chain = hashlib.sha256(chain + entry.leaf + (entry.data or b"")).digest()
    return chain


async def tallies(engine: AsyncEngine) -> dict[str, tuple[int, bytes]]:
    """Count and chain of each log."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT log, count, chain FROM tally"))
        return {log: (count, chain) for log, count, chain in rows}


def follower_of(engine: AsyncEngine, bus: Bus, registers: dict[str, VerificationKey], apply: Any) -> Follower:
    """Follows submission on behalf of scoring."""
    return Follower(
        engine,
        bus,
        service="scoring",
        deployment=DEPLOYMENT,
        sources=["submission"],
        registers=registers,
        apply=apply,
        session_seconds=2.0,
    )


async def _main(url: str, kafka: str, prefix: str, key: str) -> None:
    registers = {f"{DEPLOYMENT}/{REGISTER}": VerificationKey.parse(key)}
    follower = follower_of(create_async_engine(url), Bus(kafka, prefix), registers, Tally().apply)
    await follower.run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
