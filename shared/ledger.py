"""The ledger: all logs of one service, and the appender that decides and appends in one transaction."""

import asyncio
import hashlib
import hmac
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import uuid_utils
from sqlalchemy import TextClause, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared import telemetry
from shared.decider import Decider, Rejected
from shared.events import MAX_HEADER, Entry, Event, canonical, data_hash, encode, instant, type_tag
from shared.tlog.merkle import Frontier, leaf_hash

S = TypeVar("S")

MAX_BATCH: Final = 256
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
EVERY: Final = "*"
"""In `reads`: all streams of the log."""
MAX_STATES: Final = 20_000
ATTEMPTS: Final = 3

_logger = logging.getLogger(__name__)

_TAKE = text("SELECT * FROM take_log(:log, CAST(:causations AS text[]))")
_APPEND = text("""
    WITH appended AS (
        INSERT INTO entry (log, position, stream, version, type, header, salt, data)
        SELECT :log, * FROM unnest(CAST(:positions AS bigint[]), CAST(:streams AS text[]), CAST(:versions AS bigint[]),
            CAST(:types AS text[]), CAST(:headers AS bytea[]), CAST(:salts AS bytea[]), CAST(:datas AS bytea[]))
    ), answered AS (
        INSERT INTO request (log, causationid, digest, first, count, status)
        SELECT :log, * FROM unnest(CAST(:causations AS text[]), CAST(:digests AS bytea[]), CAST(:firsts AS bigint[]),
            CAST(:counts AS integer[]), CAST(:statuses AS smallint[]))
    )
    UPDATE log SET size = :size, frontier = :frontier, last_time = :time WHERE name = :log
""")
_READ = "SELECT position, header, salt, data FROM {table} WHERE log = :log AND position >= :start AND position < :stop"
_READS = {
    table: {
        True: text(_READ.format(table=table) + " AND stream = ANY(:streams) ORDER BY position"),
        False: text(_READ.format(table=table) + " ORDER BY position"),
    }
    for table in ("entry", "followed")
}
_SIZES = {
    "entry": text("SELECT size FROM log WHERE name = :log"),
    "followed": text("SELECT size FROM cursor WHERE log = :log"),
}


@dataclass(frozen=True)
class Moment:
    """What the ledger tells a command as it is decided.

    `time`: that the entries will bear. `position`: of the first entry that the command will append. `seen`: the states
    of the followed logs that the decision rests on, by log name.
    """

    time: datetime
    position: int
    seen: Mapping[str, Any]


class Seen(Protocol):
    """A followed log that a decision rests on; see `Projection.of`."""

    @property
    def log(self) -> str:
        """The log's name."""

    async def read(self, connection: AsyncConnection) -> tuple[int, Any]:
        """The cursor in this transaction, and the state folded to it."""


@dataclass(frozen=True)
class Accepted:
    """The answer to a command: its entries are `first` to `first + count - 1` of `log`; `version` is its stream's."""

    log: str
    first: int
    count: int
    version: int
    entry_id: str | None
    repeated: bool


@dataclass(eq=False)
class _Request:
    decider: Decider[Any, Any, Any]
    stream: str
    command: Callable[[Moment], Any]
    reads: tuple[str, ...]
    sees: Sequence[Seen]
    actor: str
    causationid: str
    digest: bytes
    traceparent: str | None
    expected_version: int | None
    status: int
    within: Callable[[AsyncConnection], Awaitable[None]] | None
    answer: asyncio.Future[Accepted]


_Key = tuple[int, str, tuple[str, ...]]


@dataclass
class _Book:
    """What the appender remembers of a log; it counts only at `size`."""

    size: int = -1
    states: dict[_Key, tuple[Decider[Any, Any, Any], Any]] = field(default_factory=dict)
    listeners: dict[str, list[_Key]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)


class _Batch:
    """The entries and answers that one transaction adds to a log."""

    def __init__(self, log: str, size: int, frontier: Frontier, time: datetime) -> None:
        self.log, self.base, self.frontier, self.time = log, size, frontier, time
        self.entries: list[Entry] = []
        self.folded: list[tuple[str, Event]] = []
        self.rows: list[tuple[str, bytes, int, int, int]] = []
        self.answers: dict[str, tuple[bytes, Accepted]] = {}

    @property
    def size(self) -> int:
        return self.base + len(self.entries)


class Ledger:
    """The record of one service. Every append goes through `execute`; nothing here changes or removes an entry.

    `origin` of a log is `<deployment>/<log>`; `secret` keys the causation ids. `appended` is called with a log's name
    after each commit, so that the relay need not wait for its poll.
    """

    def __init__(self, engine: AsyncEngine, deployment: str, service: str, secret: bytes) -> None:
        self.engine = engine
        self.deployment = deployment
        self.service = service
        self._secret = secret
        self.appended: list[Callable[[str], None]] = []
        self._appenders: dict[str, asyncio.Task[None]] = {}
        self._queues: dict[str, asyncio.Queue[_Request]] = {}
        self._books: dict[str, _Book] = {}

    def causation(self, door: str, actor: str, key: str) -> str:
        """The causation id of a request: the same door, actor and key give the same one."""
        message = "\0".join((door, actor, key)).encode()
        return hmac.new(self._secret, message, hashlib.sha256).digest()[:16].hex()

    async def execute(
        self,
        decider: Decider[Any, Any, Any],
        log: str,
        stream: str,
        command: Callable[[Moment], Any],
        *,
        actor: str,
        door: str,
        key: str,
        digest: bytes,
        reads: Sequence[str] = (),
        sees: Sequence[Seen] = (),
        traceparent: str | None = None,
        expected_version: int | None = None,
        status: int = 201,
        within: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> Accepted:
        """Decide a command on the state read under the log's lock and append its events to `stream`.

        The state is folded from `stream` and the streams in `reads` of the same log; `sees` are the followed logs that
        the command takes from `Moment.seen`, and the entries name these prefixes. `within` runs in the transaction.
        A repeat of (door, actor, key) with the same digest gets the first answer.

        Raises Rejected: the rules' own codes, `stale-version`, `idempotency-key-reused`, `log-unknown`, `log-sealed`,
        `clock-behind-log`, `ledger-unavailable`.
        """
        request = _Request(
            decider,
            stream,
            command,
            tuple(reads),
            sees,
            actor,
            self.causation(door, actor, key),
            digest,
            traceparent,
            expected_version,
            status,
            within,
            asyncio.get_running_loop().create_future(),
        )
        if log not in self._queues:
            self._queues[log] = asyncio.Queue()
            self._appenders[log] = asyncio.create_task(self._append_forever(log), name=f"appender {log}")
        self._queues[log].put_nowait(request)
        return await request.answer

    async def close(self) -> None:
        """Stop the appenders; commands still waiting are cancelled."""
        for task in self._appenders.values():
            task.cancel()
        await asyncio.gather(*self._appenders.values(), return_exceptions=True)
        self._appenders.clear()
        for queue in self._queues.values():
            while not queue.empty():
                queue.get_nowait().answer.cancel()
        self._queues.clear()

    async def _append_forever(self, log: str) -> None:
        queue = self._queues[log]
        while True:
            batch = [await queue.get()]
            while len(batch) < MAX_BATCH and not queue.empty():
                batch.append(queue.get_nowait())
            batch = [request for request in batch if not request.answer.done()]
            try:
                await self._append_with_retry(log, batch)
            except asyncio.CancelledError:
                for request in batch:
                    request.answer.cancel()
                raise
            except Exception as failure:  # noqa: BLE001 - the appender must outlive any one batch; each caller is told
                _settle(batch, failure)

    async def _append_with_retry(self, log: str, batch: list[_Request]) -> None:
        try:
            await self._append(log, batch)
        except (SQLAlchemyError, OSError):
            # The answer to COMMIT may be what was lost: each request is looked up by its causation id as it is retried.
            self._books.pop(log, None)
            for request in batch:
                await self._append_alone(log, request)

    async def _append_alone(self, log: str, request: _Request) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await self._append(log, [request])
            except (SQLAlchemyError, OSError) as failure:
                self._books.pop(log, None)
                _logger.warning("append to %s failed (%s), attempt %d", log, type(failure).__name__, attempt + 1)
                await asyncio.sleep(0.2 * 2**attempt)
            else:
                return
        _settle([request], Rejected("ledger-unavailable", "the ledger cannot be reached; repeat with the same key"))

    async def _append(self, log: str, requests: list[_Request]) -> None:
        outcomes: list[tuple[_Request, Accepted | Exception]] = []
        async with self.engine.connect() as connection, connection.begin():
            causations = [request.causationid for request in requests]
            row = (await connection.execute(_TAKE, {"log": log, "causations": causations})).one_or_none()
            if row is None:
                _settle(requests, Rejected("log-unknown", f"there is no log {log}"))
                return
            if row.last_time > row.clock + CLOCK_TOLERANCE:
                _settle(requests, Rejected("clock-behind-log", f"the clock is behind the last entry of {log}"))
                return
            book = self._book(log, row.size)
            batch = _Batch(log, row.size, Frontier.from_bytes(row.size, row.frontier), max(row.clock, row.last_time))
            if row.answered:
                for known in zip(row.answered, row.digests, row.firsts, row.counts, strict=True):
                    causationid, digest, first, count = known
                    batch.answers[causationid] = (digest, await self._answer_again(connection, log, first, count))
            for request in requests:
                outcomes.append((request, await self._outcome(connection, book, batch, request, row.sealed)))
            if batch.rows:
                await connection.execute(_APPEND, _parameters(batch))
            book.size = batch.size
        for request, outcome in outcomes:
            _settle([request], outcome)
        if batch.entries:
            telemetry.appended(self.service, len(batch.entries), len(requests))
            for callback in self.appended:
                callback(log)

    def _book(self, log: str, size: int) -> _Book:
        book = self._books.get(log)
        if book is None or book.size != size or len(book.states) > MAX_STATES:
            book = self._books[log] = _Book(size)
        book.size = -1  # until the transaction has committed, what is remembered does not count
        return book

    async def _outcome(
        self, connection: AsyncConnection, book: _Book, batch: _Batch, request: _Request, sealed: bool
    ) -> Accepted | Exception:
        """Decide one command; a refused or failing one leaves no trace in the batch."""
        known = batch.answers.get(request.causationid)
        if known is not None:
            if known[0] != request.digest:
                return Rejected("idempotency-key-reused", "the same key came with other content", "Idempotency-Key")
            return known[1]
        if sealed:
            return Rejected("log-sealed", f"{batch.log} is sealed")
        try:
            return await self._decide(connection, book, batch, request)
        except (SQLAlchemyError, OSError):
            raise
        except Exception as failure:  # noqa: BLE001 - handed to the caller; the other commands of the batch go on
            return failure

    async def _decide(self, connection: AsyncConnection, book: _Book, batch: _Batch, request: _Request) -> Accepted:
        state = await self._state(connection, book, batch, request)
        version = await self._version(connection, book, batch, request.stream)
        if request.expected_version is not None and request.expected_version != version:
            raise Rejected("stale-version", f"the stream is at version {version}", "If-Match")
        seen = {prefix.log: await prefix.read(connection) for prefix in request.sees}
        moment = Moment(batch.time, batch.size, {log: folded for log, (_, folded) in seen.items()})
        events = request.decider.decide(state, request.command(moment))
        first, entry_id = batch.size, None
        common = self._common_header(batch, request, {log: size for log, (size, _) in seen.items()})
        entries = []
        for number, event in enumerate(events):
            entry = _entry(batch.log, self.service, common, event, first + number, version + number + 1)
            entry_id = entry_id or entry.id
            entries.append(entry)
        if request.within is not None:
            await request.within(connection)
        batch.entries += entries
        batch.frontier = batch.frontier.extend([leaf_hash(entry.leaf) for entry in entries])
        batch.rows.append((request.causationid, request.digest, first, len(entries), request.status))
        book.versions[request.stream] = version + len(entries)
        for event in events:
            if not event.erasable:
                batch.folded.append((request.stream, event))
                _evolve(book, request.stream, event)
        answer = Accepted(batch.log, first, len(entries), version + len(entries), entry_id, repeated=False)
        batch.answers[request.causationid] = (request.digest, _again(answer))
        return answer

    def _common_header(self, batch: _Batch, request: _Request, seen: Mapping[str, int]) -> dict[str, str]:
        header = {
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "source": f"{self.deployment}/{batch.log}",
            "subject": request.stream,
            "time": instant(batch.time),
            "actor": request.actor,
            "causationid": request.causationid,
        }
        if seen:
            header["seen"] = " ".join(f"{log}@{size}" for log, size in sorted(seen.items()))
        if request.traceparent:
            header["traceparent"] = request.traceparent
        return header

    async def _state(self, connection: AsyncConnection, book: _Book, batch: _Batch, request: _Request) -> Any:
        key = (id(request.decider.decide), request.stream, request.reads)
        if key in book.states:
            return book.states[key][1]
        every = EVERY in request.reads
        streams = None if every else [request.stream, *request.reads]
        state = request.decider.initial
        for entry in await read_entries(connection, "entry", batch.log, 0, batch.base, streams):
            event = entry.event
            if event is not None and not event.erasable:
                state = request.decider.evolve(state, event)
        for stream, event in batch.folded:
            if streams is None or stream in streams:
                state = request.decider.evolve(state, event)
        book.states[key] = (request.decider, state)
        for stream in [EVERY] if streams is None else streams:
            book.listeners.setdefault(stream, []).append(key)
        return state

    async def _version(self, connection: AsyncConnection, book: _Book, batch: _Batch, stream: str) -> int:
        if stream not in book.versions:
            query = text("SELECT coalesce(max(version), 0) FROM entry WHERE log = :log AND stream = :stream")
            book.versions[stream] = (await connection.execute(query, {"log": batch.log, "stream": stream})).scalar_one()
        return book.versions[stream]

    async def _answer_again(self, connection: AsyncConnection, log: str, first: int, count: int) -> Accepted:
        entries = await read_entries(connection, "entry", log, first, first + count)
        last = entries[-1].version if entries else 0
        return Accepted(log, first, count, last, entries[0].id if entries else None, repeated=True)

    async def read(self, log: str, start: int, stop: int) -> list[Entry]:
        """The entries of a log at positions start to stop - 1, in order."""
        async with self.engine.connect() as connection:
            return await read_entries(connection, "entry", log, start, stop)

    async def heads(self) -> dict[str, Frontier]:
        """Every log of this service with its size and frontier."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(text("SELECT name, size, frontier FROM log ORDER BY name"))
            return {row.name: Frontier.from_bytes(row.size, row.frontier) for row in rows}

    async def newest_checkpoint(self, log: str) -> tuple[int, bytes] | None:
        """The size and the signed note of a log's newest checkpoint."""
        query = text("SELECT size, note FROM checkpoint WHERE log = :log ORDER BY size DESC LIMIT 1")
        async with self.engine.connect() as connection:
            row = (await connection.execute(query, {"log": log})).one_or_none()
            return None if row is None else (row.size, row.note)

    async def archived(self, log: str) -> int:
        """The size of a log's newest archived checkpoint, 0 where there is none."""
        async with self.engine.connect() as connection:
            query = text("SELECT size FROM archived WHERE log = :log")
            return (await connection.execute(query, {"log": log})).scalar_one_or_none() or 0

    async def set_archived(self, log: str, size: int) -> None:
        """Record that a log is archived up to a size."""
        async with self.engine.begin() as connection:
            await connection.execute(
                text("""
                    INSERT INTO archived (log, size) VALUES (:log, :size)
                    ON CONFLICT (log) DO UPDATE SET size = excluded.size, time = excluded.time
                """),
                {"log": log, "size": size},
            )

    async def now(self) -> datetime:
        """The deployment's clock."""
        async with self.engine.connect() as connection:
            now: datetime = (await connection.execute(text("SELECT deployment_clock()"))).scalar_one()
            return now

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        """Hold the database's advisory lock of that name; yields whether it could be had. One holder at a time."""
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        async with self.engine.connect() as connection:
            had: bool = (await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key})).scalar_one()
            await connection.commit()
            try:
                yield had
            finally:
                if had:
                    await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
                    await connection.commit()


def _settle(requests: Sequence[_Request], outcome: Accepted | Exception) -> None:
    for request in requests:
        if request.answer.done():
            continue  # its caller has gone away
        if isinstance(outcome, Accepted):
            request.answer.set_result(outcome)
        else:
            request.answer.set_exception(outcome)


def _again(answer: Accepted) -> Accepted:
    return Accepted(answer.log, answer.first, answer.count, answer.version, answer.entry_id, repeated=True)


def _evolve(book: _Book, stream: str, event: Event) -> None:
    for key in (*book.listeners.get(stream, ()), *book.listeners.get(EVERY, ())):
        decider, state = book.states[key]
        book.states[key] = (decider, decider.evolve(state, event))


def _entry(log: str, service: str, common: Mapping[str, str], event: Event, position: int, version: int) -> Entry:
    salt, data = os.urandom(32), encode(event)
    header = dict(common)
    header["id"] = str(uuid_utils.uuid7())
    header["type"] = type_tag(event, service)
    header["position"] = str(position)
    header["version"] = str(version)
    header["datahash"] = data_hash(salt, data)
    leaf = canonical(header)
    if len(leaf) > MAX_HEADER or not leaf.isascii():
        raise Rejected("header-too-large", "the request's headers make an entry header that is not 4 KiB of ASCII")
    return Entry(log, position, leaf, salt, data)


def _parameters(batch: _Batch) -> dict[str, Any]:
    headers = [entry.header for entry in batch.entries]
    causations, digests, firsts, counts, statuses = zip(*batch.rows, strict=True)
    return {
        "log": batch.log,
        "positions": [entry.position for entry in batch.entries],
        "streams": [header["subject"] for header in headers],
        "versions": [int(header["version"]) for header in headers],
        "types": [header["type"] for header in headers],
        "headers": [entry.leaf for entry in batch.entries],
        "salts": [entry.salt for entry in batch.entries],
        "datas": [entry.data for entry in batch.entries],
        "causations": list(causations),
        "digests": list(digests),
        "firsts": list(firsts),
        "counts": list(counts),
        "statuses": list(statuses),
        "size": batch.size,
        "frontier": batch.frontier.to_bytes(),
        "time": batch.time,
    }


async def read_entries(
    connection: AsyncConnection, table: str, log: str, start: int, stop: int, streams: Sequence[str] | None = None
) -> list[Entry]:
    """Entries of one's own log (`entry`) or of a followed one (`followed`), in position order."""
    query: TextClause = _READS[table][streams is not None]
    parameters: dict[str, Any] = {"log": log, "start": start, "stop": stop}
    if streams is not None:
        parameters["streams"] = list(streams)
    rows = await connection.execute(query, parameters)
    return [Entry(log, position, header, salt, data) for position, header, salt, data in rows]


class Prefix(NamedTuple, Generic[S]):
    """A log as a projection reads it."""

    log: str
    projection: "Projection[S]"

    async def read(self, connection: AsyncConnection) -> tuple[int, S]:
        """The size of the log in this transaction, and the state folded to it."""
        return await self.projection.read(connection, self.log)


class Projection(Generic[S]):
    """A state folded from a log's whole prefix, kept in memory and caught up when it is read.

    `fold(state, entries)` returns a new state and never changes the one given. `table` is `entry` for the service's own
    logs and `followed` for those of others.
    """

    def __init__(self, initial: S, fold: Callable[[S, Sequence[Entry]], S], table: str) -> None:
        self._initial = initial
        self._fold = fold
        self._table = table
        self._kept: dict[str, tuple[int, S]] = {}

    def of(self, log: str) -> Prefix[S]:
        """The projection of one log, as `Ledger.execute` takes it in `sees`."""
        return Prefix(log, self)

    async def read(self, connection: AsyncConnection, log: str) -> tuple[int, S]:
        """The size of the log as this transaction sees it, and the state at that size."""
        size = (await connection.execute(_SIZES[self._table], {"log": log})).scalar_one_or_none() or 0
        kept, state = self._kept.get(log, (0, self._initial))
        if kept > size:  # that transaction was rolled back
            kept, state = 0, self._initial
        if kept < size:
            state = self._fold(state, await read_entries(connection, self._table, log, kept, size))
            self._kept[log] = (size, state)
        return size, state
