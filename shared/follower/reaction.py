"""Reactions: what a service does because of an entry of another service's log, once and in the order of that log."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.events import Entry
from shared.follower import Follower
from shared.ledger import read_entries
from shared.outage import persevere

BATCH: Final = 500
GATHER: Final = 0.05
"""Seconds that entries are waited for once there is one: few of them call for anything."""
POLL: Final = 1.0
"""Seconds between two looks for entries that nobody told of: the answer to the follower's commit was lost, or another
replica has applied them and ended before its reaction."""

_LOGS = text("""
    SELECT cursor.log FROM cursor LEFT JOIN reacted ON reacted.log = cursor.log
    WHERE cursor.size > coalesce(reacted.size, 0)
""")
_RANGE = text("""
    SELECT coalesce(reacted.size, 0) AS start, cursor.size AS stop
    FROM cursor LEFT JOIN reacted ON reacted.log = cursor.log WHERE cursor.log = :log
""")
_REACTED = text("""
    INSERT INTO reacted (log, size) VALUES (:log, :size)
    ON CONFLICT (log) DO UPDATE SET size = greatest(reacted.size, excluded.size)
""")


class Reactions:
    """Calls `react` with each followed entry, in the order of its log, and keeps how far it came (table `reacted`).

    `react` must be repeatable: it appends with door `reaction` and key `<entry id>/<name>`, so that a repeat after a
    crash, or in a second replica, gets the first answer. It handles the refusals that the rules foresee; any error that
    it raises, a refusal too, is logged and tried again with a growing pause, and the log's later entries wait.
    """

    def __init__(self, engine: AsyncEngine, follower: Follower, react: Callable[[Entry], Awaitable[None]]) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._react = react
        self._wakers: dict[str, asyncio.Event] = {}
        self._new_log = asyncio.Event()
        follower.applied.append(self._wake)

    async def run(self) -> None:
        """React until cancelled."""
        async with asyncio.TaskGroup() as group:

            async def look() -> bool:
                self._new_log.clear()
                async with self._engine.connect() as connection:
                    logs = (await connection.execute(_LOGS)).scalars().all()
                for log in logs:
                    if log not in self._wakers:
                        self._wakers[log] = asyncio.Event()
                        group.create_task(self._react_to(log), name=f"reactions to {log}")
                    self._wakers[log].set()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await self._new_log.wait()
                return True

            await persevere("looking for logs to react to", look)

    def _wake(self, log: str) -> None:
        waker = self._wakers.get(log)
        if waker is None:
            self._new_log.set()
        else:
            waker.set()

    async def _react_to(self, log: str) -> None:
        waker = self._wakers[log]

        async def step() -> bool:
            waker.clear()
            if not await self._batch(log):
                await waker.wait()
                await asyncio.sleep(GATHER)
            return True

        await persevere(f"reacting to {log}", step, level=logging.ERROR)

    async def _batch(self, log: str) -> bool:
        """React to the next entries; returns whether there were any."""
        async with self._engine.connect() as connection:
            start, stop = (await connection.execute(_RANGE, {"log": log})).one()
            entries = await read_entries(connection, "followed", log, start, min(stop, start + BATCH))
        done = start
        try:
            for entry in entries:
                await self._react(entry)
                done = entry.position + 1
        finally:
            if done > start:
                async with self._engine.connect() as connection:
                    await connection.execute(_REACTED, {"log": log, "size": done})
        return bool(entries)
