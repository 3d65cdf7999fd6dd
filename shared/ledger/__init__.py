"""The ledger: all logs of one service, and the appender that decides and appends in one transaction."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from opentelemetry.trace import SpanKind
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared import telemetry
from shared.decider import Decider, Rejected
from shared.events import Entry
from shared.ledger.batch import APPEND, EVERY, Accepted, Batch, Book, Moment, Request, Seen
from shared.ledger.link import OUTAGES, Link
from shared.ledger.reading import Prefix, Projection, read_entries
from shared.tlog.merkle import Frontier

__all__ = ["EVERY", "Accepted", "Ledger", "Moment", "Prefix", "Projection", "Seen", "read_entries"]

MAX_BATCH: Final = 256
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
MAX_STATES: Final = 20_000
ATTEMPTS: Final = 3
KEEP: Final = 0.1
"""Seconds without a command after which an appender gives its connection back."""

_TAKE: Final = "SELECT * FROM take_log($1, $2)"
_VERSION: Final = text("SELECT coalesce(max(version), 0) FROM entry WHERE log = :log AND stream = :stream")

_logger = logging.getLogger(__name__)


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
        self._queues: dict[str, asyncio.Queue[Request]] = {}
        self._books: dict[str, Book] = {}

    def causation(self, door: str, actor: str, key: str) -> str:
        """The causation id of a request: the same door, actor and key give the same one."""
        message = "\0".join((door, actor, key)).encode()
        return hmac.digest(self._secret, message, "sha256")[:16].hex()

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
        request = Request(
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
        about = {telemetry.LOG: log, telemetry.STREAM: stream}
        with telemetry.span_from(telemetry.SPAN_APPEND, traceparent, SpanKind.INTERNAL, about) as span:
            answer = await request.answer
            span.set_attributes({telemetry.POSITION: answer.first, telemetry.COUNT: answer.count})
            return answer

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
        queue, link = self._queues[log], Link(self.engine)
        try:
            while True:
                batch = [await _first(queue, link)]
                while len(batch) < MAX_BATCH and not queue.empty():
                    batch.append(queue.get_nowait())
                await self._append_all(log, link, [request for request in batch if not request.answer.done()])
        finally:
            await link.release()

    async def _append_all(self, log: str, link: Link, batch: list[Request]) -> None:
        try:
            await self._append_with_retry(log, link, batch)
        except asyncio.CancelledError:
            for request in batch:
                request.answer.cancel()
            raise
        except Exception as failure:  # noqa: BLE001 - the appender must outlive any one batch; each caller is told
            _settle(batch, failure)

    async def _append_with_retry(self, log: str, link: Link, batch: list[Request]) -> None:
        try:
            await self._append(log, link, batch)
        except OUTAGES:
            # The answer to COMMIT may be what was lost: each request is looked up by its causation id as it is retried.
            self._books.pop(log, None)
            for request in batch:
                await self._append_alone(log, link, request)

    async def _append_alone(self, log: str, link: Link, request: Request) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await self._append(log, link, [request])
            except OUTAGES as failure:
                self._books.pop(log, None)
                _logger.warning("append to %s failed (%s), attempt %d", log, type(failure).__name__, attempt + 1)
                await asyncio.sleep(0.2 * 2**attempt)
            else:
                return
        request.settle(Rejected("ledger-unavailable", "the ledger cannot be reached; repeat with the same key"))

    async def _append(self, log: str, link: Link, requests: list[Request]) -> None:
        outcomes: list[tuple[Request, Accepted | Exception]] = []
        async with link.transaction() as (connection, driver):
            taken = await driver.fetchrow(_TAKE, log, [request.causationid for request in requests])
            if (refusal := _refusal(log, taken)) is not None:
                _settle(requests, refusal)
                return
            size, frontier, last_time, sealed, clock = taken[:5]
            book = self._book(log, size)
            source, time = f"{self.deployment}/{log}", max(clock, last_time)
            batch = Batch(log, source, size, Frontier.from_bytes(size, frontier), time)
            for causationid, digest, first, count in zip(*(column or () for column in taken[5:]), strict=True):
                batch.answers[causationid] = (digest, await self._answer_again(connection, log, first, count))
            for request in requests:
                outcomes.append((request, await self._outcome(connection, book, batch, request, sealed)))
            if batch.changes:
                await driver.execute(APPEND, *batch.arguments())
            book.size = batch.size
        for request, outcome in outcomes:
            request.settle(outcome)
        if batch.size > batch.base:
            telemetry.appended(self.service, batch.size - batch.base, len(requests))
            for callback in self.appended:
                callback(log)

    def _book(self, log: str, size: int) -> Book:
        book = self._books.get(log)
        if book is None or book.size != size or len(book.states) > MAX_STATES:
            book = self._books[log] = Book(size)
        book.size = -1  # until the transaction has committed, what is remembered does not count
        return book

    async def _outcome(
        self, connection: AsyncConnection, book: Book, batch: Batch, request: Request, sealed: bool
    ) -> Accepted | Exception:
        """Decide one command; a refused or failing one leaves no trace in the batch."""
        if (known := batch.known(request)) is not None:
            return known
        if sealed:
            return Rejected("log-sealed", f"{batch.log} is sealed")
        try:
            return await self._decide(connection, book, batch, request)
        except OUTAGES:
            raise
        except Exception as failure:  # noqa: BLE001 - handed to the caller; the other commands of the batch go on
            return failure

    async def _decide(self, connection: AsyncConnection, book: Book, batch: Batch, request: Request) -> Accepted:
        state = await self._state(connection, book, batch, request)
        version = await self._version(connection, book, batch, request.stream)
        if request.expected_version is not None and request.expected_version != version:
            raise Rejected("stale-version", f"the stream is at version {version}", "If-Match")
        seen = {prefix.log: await prefix.read(connection) for prefix in request.sees}
        moment = Moment(batch.time, batch.size, {log: folded for log, (_, folded) in seen.items()})
        events = request.decider.decide(state, request.command(moment))
        rows, first_id = batch.prepare(request, {log: size for log, (size, _) in seen.items()}, events, version)
        if request.within is not None:
            await request.within(connection)
        answer = Accepted(batch.log, batch.size, len(rows), version + len(rows), first_id, repeated=False)
        batch.add(request, rows, answer)
        book.versions[request.stream] = answer.version
        for event in events:
            if not event.erasable:
                batch.folded.append((request.stream, event))
                book.evolve(request.stream, event)
        return answer

    async def _state(self, connection: AsyncConnection, book: Book, batch: Batch, request: Request) -> Any:
        if (kept := book.states.get(request.key)) is not None:
            return kept[1]
        streams, state = request.streams, request.decider.initial
        for entry in await read_entries(connection, "entry", batch.log, 0, batch.base, streams):
            event = entry.event
            if event is not None and not event.erasable:
                state = request.decider.evolve(state, event)
        for stream, event in batch.folded:
            if streams is None or stream in streams:
                state = request.decider.evolve(state, event)
        book.keep(request, state)
        return state

    async def _version(self, connection: AsyncConnection, book: Book, batch: Batch, stream: str) -> int:
        if stream not in book.versions:
            found = await connection.execute(_VERSION, {"log": batch.log, "stream": stream})
            book.versions[stream] = found.scalar_one()
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
        """Hold the database's advisory lock of that name; yields whether it could be had. One holder at a time.

        The lock is the session's (PostgreSQL, "Explicit Locking"): it ends with its connection at the latest.
        """
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        async with self.engine.connect() as connection:
            had: bool = (await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key})).scalar_one()
            await connection.commit()
            try:
                yield had
            finally:
                if had:
                    await _unlock(connection, key)


async def _unlock(connection: AsyncConnection, key: int) -> None:
    """Let go of an advisory lock; where that fails, end the session that holds it, and raise nothing.

    So an error of the lock's holder is never hidden by one of its lost connection, and no pooled connection keeps it.
    """
    try:
        await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
        await connection.commit()
    except OUTAGES as failure:
        _logger.warning("a lock ends with its connection (%s)", type(failure).__name__)
        await connection.invalidate()


async def _first(queue: asyncio.Queue[Request], link: Link) -> Request:
    """The next command; the link is given back when none comes soon."""
    try:
        async with asyncio.timeout(KEEP):
            return await queue.get()
    except TimeoutError:
        await link.release()
        return await queue.get()


def _settle(requests: Sequence[Request], outcome: Exception) -> None:
    for request in requests:
        request.settle(outcome)


def _refusal(log: str, taken: Mapping[str, Any] | None) -> Rejected | None:
    """Why a log takes no appends at all."""
    if taken is None:
        return Rejected("log-unknown", f"there is no log {log}")
    if taken["last_time"] > taken["clock"] + CLOCK_TOLERANCE:
        return Rejected("clock-behind-log", f"the clock is behind the last entry of {log}")
    return None
