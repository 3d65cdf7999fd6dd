"""A follower's transaction: entries, cursors, offsets and what is computed from them are stored together or not."""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared import telemetry
from shared.events import Entry
from shared.follower.arrival import Arrival, Outcome, Place, contiguous, opened
from shared.follower.cursor import Advance, Cursor, Fault, Seen, advance, check_waiting
from shared.tlog.merkle import Frontier
from shared.tlog.note import NoteError, VerificationKey

Apply = Callable[[AsyncConnection, str, Sequence[Entry], Mapping[str, int]], Awaitable[None]]
"""Computes a service's own state from the next entries of a log; `followed` and `cursor` already hold them. The mapping
has the sizes, in this transaction, of that log and of those beside it that are known."""
Beside = Callable[[str], Collection[str]]
"""The other logs that `apply` reads for a log: none of them advances meanwhile."""

_logger = logging.getLogger(__name__)

_TAKE = text("""
    SELECT * FROM take_cursors(CAST(:logs AS text[]), CAST(:besides AS text[]), CAST(:topics AS text[]),
        CAST(:partitions AS integer[]))
""")
_HEADERS = text("SELECT position, header FROM followed WHERE log = :log AND position = ANY(:positions)")
_STORE = text("""
    WITH stored AS (
        INSERT INTO followed (log, position, header, salt, data)
        SELECT * FROM unnest(CAST(:logs AS text[]), CAST(:positions AS bigint[]), CAST(:headers AS bytea[]),
            CAST(:salts AS bytea[]), CAST(:datas AS bytea[]))
    ), going_on AS (
        INSERT INTO next_offset (topic, partition, next)
        SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[]), CAST(:nexts AS bigint[]))
        ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next
    )
    UPDATE cursor SET size = new.size, frontier = new.frontier, key = new.key, checked = new.checked,
        unchecked = new.unchecked
    FROM unnest(CAST(:names AS text[]), CAST(:sizes AS bigint[]), CAST(:frontiers AS bytea[]), CAST(:keys AS text[]),
        CAST(:checked AS bigint[]), CAST(:unchecked AS bytea[]))
        AS new (log, size, frontier, key, checked, unchecked)
    WHERE cursor.log = new.log
""")
_NEXT = text("""
    INSERT INTO next_offset (topic, partition, next)
    SELECT * FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS integer[]), CAST(:nexts AS bigint[]))
    ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next
""")
_PARK = text("""
    INSERT INTO parked (log, size, reason, stopped, topic, partition, next)
    VALUES (:log, :size, :reason, :stopped, :topic, :partition, :next)
    ON CONFLICT (log) DO UPDATE SET size = excluded.size, reason = excluded.reason, stopped = excluded.stopped
""")
_STILL_PARKED = text("SELECT topic, partition, next FROM parked WHERE log = :log AND NOT stopped FOR UPDATE")
_PARKED_AT = text("UPDATE parked SET size = :size, next = :next WHERE log = :log")
_UNPARK = text("DELETE FROM parked WHERE log = :log")


class ApplyError(Exception):
    """What a service computes from a log's entries cannot be computed; the fault is in the log, not in the database."""

    def __init__(self, log: str, cause: Exception) -> None:
        super().__init__(f"{log}: {type(cause).__name__}")
        self.log = log
        self.cause = cause


@dataclass
class _Work:
    """The changes of one transaction, and where it found things.

    `besides`: the sizes of logs that are only read; `nexts`: the stored next offsets.
    """

    cursors: dict[str, Cursor]
    besides: dict[str, int]
    parked: frozenset[str]
    nexts: dict[Place, int]
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    faults: dict[str, tuple[Fault, Place, int]] = field(default_factory=dict)


class Applier:
    """Applies records in one transaction, live and in a catch-up alike.

    `registers` has the keys of the followed registers by origin; the keys of the other logs come from the registers.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        deployment: str,
        registers: Mapping[str, VerificationKey],
        apply: Apply,
        beside: Beside = lambda _: (),
    ) -> None:
        self._engine = engine
        self._deployment = deployment
        self._registers = registers
        self._apply = apply
        self._beside = beside

    async def fetch(self, arrivals: Sequence[Arrival]) -> Outcome:
        """Apply what one fetch brought, in the order of each partition; a log that fails is parked, the others go on.

        Raises what the database raises; then nothing was applied and the same fetch can be tried again.
        """
        failing: dict[str, Fault] = {}
        while True:
            try:
                return await self._fetch(arrivals, failing)
            except ApplyError as error:
                _logger.error("%s cannot be applied", error.log, exc_info=error.cause)
                failing[error.log] = Fault(f"apply failed: {type(error.cause).__name__}", stopped=False)

    async def catch_up(self, log: str, records: Sequence[Seen], after: int) -> Advance | None:
        """Apply records of a parked log, read again up to the offset `after`; None if it is parked no more or stopped.

        Raises ApplyError, and what the database raises.
        """
        named = {event.log for _, content in records if (event := opened(log, content))}
        with ExitStack() as spans:
            async with self._engine.begin() as connection:
                work = await self._begin(connection, {log, *named})
                place = (await connection.execute(_STILL_PARKED, {"log": log})).one_or_none()
                if place is None:
                    return None
                done = await self._advance(connection, work, log, records, over_holes=True)
                at = Place(place.topic, place.partition)
                if done.fault is not None:
                    work.faults[log] = (done.fault, at, done.offset)
                self._open_logs(work, log, done.entries, at, after)
                await self._store(connection, work, {}, spans)
                if done.fault is None:
                    following = place.next if done.size > work.cursors[log].size else after
                    await connection.execute(
                        _PARKED_AT, {"log": log, "size": work.cursors[log].size, "next": following}
                    )
        _tell(work)
        return done

    async def unpark(self, log: str, place: Place, offset: int, size: int) -> bool:
        """End the parking if the catch-up is level with the live path at `offset`, and the cursor with `size`."""
        async with self._engine.begin() as connection:
            work = await self._begin(connection, [log], [place])
            if work.nexts.get(place, 0) > offset or size > work.cursors[log].size:
                return False
            await connection.execute(_UNPARK, {"log": log})
        _logger.warning("%s is level again and no longer parked", log)
        return True

    async def start(self, first: Mapping[Place, int]) -> dict[Place, int]:
        """The stored next offset of each partition, not below the first one that the topic still has."""
        async with self._engine.begin() as connection:
            nexts = (await self._begin(connection, [], first)).nexts
            gone = {place: offset for place, offset in first.items() if offset > nexts.get(place, 0)}
            for place, offset in gone.items():
                _logger.error("%s/%d begins at %d only: logs with a hole will be parked", *place, offset)
            if gone:
                await connection.execute(_NEXT, _columns(gone))
        return {place: gone.get(place, nexts.get(place, 0)) for place in first}

    async def _fetch(self, arrivals: Sequence[Arrival], failing: Mapping[str, Fault]) -> Outcome:
        outcome = Outcome()
        named = {event.log for _, _, log, content in arrivals if (event := opened(log, content))}
        logs = {arrived.log for arrived in arrivals if arrived.log} | named
        with ExitStack() as spans:
            async with self._engine.begin() as connection:
                work = await self._begin(connection, logs, {arrived.place for arrived in arrivals})
                fresh = contiguous(arrivals, work.nexts, outcome)
                for log in sorted(fresh, key=_registers_first):
                    place, records = fresh[log]
                    if log in work.parked:
                        continue
                    if log in failing:
                        work.faults[log] = (failing[log], place, records[0].offset)
                        continue
                    done = await self._advance(connection, work, log, records, over_holes=False)
                    if done.fault is not None:
                        work.faults[log] = (done.fault, place, done.offset)
                    self._open_logs(work, log, done.entries, place, records[-1].offset)
                if outcome.nexts:
                    await self._store(connection, work, outcome.nexts, spans)
        _tell(work)
        outcome.advanced = [log for log, entries in work.entries.items() if entries]
        outcome.parked = {log: fault for log, (fault, _, _) in work.faults.items()}
        return outcome

    async def _begin(self, connection: AsyncConnection, logs: Collection[str], places: Collection[Place] = ()) -> _Work:
        """Lock the cursors of these logs and of those beside them, then the offsets of these partitions."""
        besides = {other for log in logs for other in self._beside(log)}.difference(logs)
        sought = {"topics": [place.topic for place in places], "partitions": [place.partition for place in places]}
        row = (await connection.execute(_TAKE, {"logs": list(logs), "besides": list(besides)} | sought)).one()
        cursors, sizes = {}, {}
        columns = (row.logs, row.sizes, row.frontiers, row.keys, row.checks, row.uncheckeds)
        for log, size, frontier, key, checked, unchecked in zip(*(column or () for column in columns), strict=True):
            if log in besides:
                sizes[log] = size
                continue
            origin = f"{self._deployment}/{log}"
            known = self._registers.get(origin) or (None if key is None else VerificationKey.parse(key))
            cursors[log] = Cursor(log, origin, Frontier.from_bytes(size, frontier), known, checked, unchecked)
        found = map(Place, row.topics or (), row.partitions or ())
        nexts = dict(zip(found, row.nexts or (), strict=True))
        return _Work(cursors, sizes, frozenset(row.parkeds or ()), nexts)

    @staticmethod
    async def _advance(
        connection: AsyncConnection, work: _Work, log: str, records: Sequence[Seen], *, over_holes: bool
    ) -> Advance:
        cursor = work.cursors[log]
        again = [
            content.position for _, content in records if isinstance(content, Entry) and content.position < cursor.size
        ]
        applied: dict[int, bytes] = {}
        if again:
            rows = await connection.execute(_HEADERS, {"log": log, "positions": again})
            applied = {row.position: row.header for row in rows}
        done = advance(cursor, records, applied, over_holes=over_holes)
        work.entries[log] = done.entries
        return done

    def _open_logs(self, work: _Work, register: str, entries: Iterable[Entry], place: Place, offset: int) -> None:
        """Take the keys of logs that a register opens."""
        for entry in entries:
            event = opened(register, entry)
            if event is None:
                continue
            cursor = work.cursors[event.log]
            try:
                key = VerificationKey.parse(event.key)
            except NoteError as error:
                work.faults[event.log] = (Fault(f"the register's key cannot be read: {error}", True), place, offset)
                continue
            if cursor.key is None and key.name == cursor.origin:
                cursor.key = key
                fault = check_waiting(cursor)
            else:
                fault = None if cursor.key == key else Fault("the register names a second key", stopped=True)
            work.entries.setdefault(event.log, [])
            if fault is not None:
                work.faults[event.log] = (fault, place, offset)

    async def _store(
        self, connection: AsyncConnection, work: _Work, nexts: Mapping[Place, int], spans: ExitStack
    ) -> None:
        """Write entries, cursors and offsets, compute the service's own state, and park the logs at fault."""
        rows = [entry for entries in work.entries.values() for entry in entries]
        changed = [work.cursors[log] for log in work.entries]
        stored = {
            "logs": [entry.log for entry in rows],
            "positions": [entry.position for entry in rows],
            "headers": [entry.leaf for entry in rows],
            "salts": [entry.salt for entry in rows],
            "datas": [entry.data for entry in rows],
            "names": [cursor.log for cursor in changed],
            "sizes": [cursor.size for cursor in changed],
            "frontiers": [cursor.frontier.to_bytes() for cursor in changed],
            "keys": [None if cursor.key is None else str(cursor.key) for cursor in changed],
            "checked": [cursor.checked for cursor in changed],
            "unchecked": [cursor.unchecked for cursor in changed],
        }
        await connection.execute(_STORE, stored | _columns(nexts))
        sizes = work.besides | {log: cursor.size for log, cursor in work.cursors.items()}
        for log, entries in work.entries.items():
            if entries:
                _trace(spans, log, entries)
                await self._compute(connection, log, entries, sizes)
        for log, (fault, place, offset) in work.faults.items():
            about = {"log": log, "size": work.cursors[log].size, "reason": fault.reason, "stopped": fault.stopped}
            at = {"topic": place.topic, "partition": place.partition, "next": offset}
            await connection.execute(_PARK, about | at)

    async def _compute(
        self, connection: AsyncConnection, log: str, entries: Sequence[Entry], sizes: Mapping[str, int]
    ) -> None:
        try:
            await self._apply(connection, log, entries, sizes)
        except Exception as failure:
            if _is_outage(failure):
                raise
            raise ApplyError(log, failure) from failure


def _registers_first(log: str) -> tuple[bool, str]:
    return (not log.endswith("/register"), log)


def _columns(nexts: Mapping[Place, int]) -> dict[str, list[Any]]:
    places = sorted(nexts)
    return {
        "topics": [place.topic for place in places],
        "partitions": [place.partition for place in places],
        "nexts": [nexts[place] for place in places],
    }


def _is_outage(failure: Exception) -> bool:
    """Whether the database is at fault and not what was asked of it."""
    if isinstance(failure, DBAPIError):
        return not isinstance(failure, IntegrityError | DataError | ProgrammingError)
    return isinstance(failure, OSError)


def _trace(spans: ExitStack, log: str, entries: Sequence[Entry]) -> None:
    """A consumer span for each sampled entry, in its request's trace; the first links to the others and is current."""
    sampled = [entry for entry in entries if not entry.header.get("traceparent", "-00").endswith("-00")]
    for entry in reversed(sampled):
        first = entry is sampled[0]
        links = [other.header["traceparent"] for other in sampled[1:]] if first else []
        about: dict[str, str | int] = {
            telemetry.MESSAGING_SYSTEM: "kafka",
            telemetry.MESSAGING_OPERATION: "process",
            telemetry.LOG: log,
            telemetry.POSITION: entry.position,
            telemetry.COUNT: len(entries) if first else 1,
        }
        spans.enter_context(
            telemetry.span_from(telemetry.SPAN_APPLY, entry.header["traceparent"], attributes=about, links=links)
        )


def _tell(work: _Work) -> None:
    """Metrics and alarms of what has been committed."""
    for log, entries in work.entries.items():
        if entries:
            telemetry.APPLIED.labels(log).inc(len(entries))
    for log, (fault, _, _) in work.faults.items():
        _logger.error("%s is %s: %s", log, "stopped" if fault.stopped else "parked", fault.reason)
