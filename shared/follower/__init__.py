"""The follower: applies the logs of other services in log order, each fetch in one transaction with its cursors."""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, time
from typing import Any, Final, NamedTuple

import faust
import mode
from aiokafka import TopicPartition
from faust.contrib.asgi import faust_app_running
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared import telemetry
from shared.bus import Bus
from shared.follower.applier import Applier, Apply, ApplyError, Beside
from shared.follower.arrival import Arrival, Place, arrival
from shared.follower.cursor import Seen
from shared.outage import persevere
from shared.tlog.merkle import EMPTY_ROOT, Frontier
from shared.tlog.note import VerificationKey

FETCH: Final = 1000
FETCHES: Final = 8
"""So many fetches wait while a transaction is under way; the next takes all of them."""
WITHIN: Final = 0.01
LATE_SECONDS: Final = 1.0
GATHER_SECONDS: Final = 0.05
"""Records that have waited on the topic for so long can wait a little for company: a transaction for many is cheap."""
SEEK_PAUSE: Final = 1.0
"""Between two seeks of a partition: what was fetched before a seek still comes in, and can undo it."""
FETCH_BYTES: Final = 4 * 1024 * 1024
FETCH_WAIT_MS: Final = 20
"""How long the broker keeps a fetch that finds nothing. While a partition's records are being taken, a fetch for the
others is under way to the same broker and holds up its next one; Faust would have it wait 1.5 seconds."""
STALL_SECONDS: Final = 15.0
MEASURE_SECONDS: Final = 2.0
STOP_SECONDS: Final = 5.0
FAUST: Final = tuple(Path(module.__file__).parent for module in (faust, mode) if module.__file__)
LONGEST_WAIT: Final = 30.0
"""Between two attempts to read a parked log again: each reads a whole partition."""

Fetches = asyncio.Queue[Sequence[Any]]

_logger = logging.getLogger(__name__)

_PROGRESS = text("""
    SELECT cursor.log, cursor.size, cursor.checked, parked.reason, parked.stopped
    FROM cursor LEFT JOIN parked ON parked.log = cursor.log ORDER BY cursor.log
""")
_NEXT_OFFSETS = text("SELECT topic, partition, next FROM next_offset WHERE topic = ANY(:topics)")
_TO_CATCH_UP = text("SELECT log, topic, partition, next FROM parked WHERE NOT stopped ORDER BY log")
_HEADS = text("SELECT log, size, frontier FROM cursor WHERE log = ANY(:logs)")


class Head(NamedTuple):
    """A log's size and its root there."""

    size: int
    root: bytes


class StalledError(ConnectionError):
    """Faust has ended, or brings nothing though records wait."""


async def heads(connection: AsyncConnection, logs: Sequence[str]) -> dict[str, Head]:
    """The heads of followed logs as this transaction sees them; a log not yet seen is empty."""
    found = {
        log: Head(size, Frontier.from_bytes(size, frontier).root())
        for log, size, frontier in await connection.execute(_HEADS, {"logs": list(logs)})
    }
    return {log: found.get(log, Head(0, EMPTY_ROOT)) for log in logs}


class Follower:
    """Follows the topics of `sources` on behalf of `service`; Faust delivers, the database decides.

    Each fetch is one transaction of entries, cursors, next offsets and what `apply` computes. A log that has a hole or
    whose `apply` fails is parked: the others go on, and it is read again from the topic until it is level. A log with a
    fork or a false checkpoint is stopped. `applied` is called with a log's name after each commit that advanced it.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        bus: Bus,
        *,
        service: str,
        deployment: str,
        sources: Sequence[str],
        registers: Mapping[str, VerificationKey],
        apply: Apply,
        beside: Beside = lambda _: (),
        session_seconds: float = 6.0,
        within: float = WITHIN,
    ) -> None:
        self.applied: list[Callable[[str], None]] = []
        self._engine = engine
        self._bus = bus
        self._service = service
        self._topics = [bus.topic(source) for source in sources]
        self._applier = Applier(engine, deployment, registers, apply, beside)
        self._session = session_seconds
        self._within = within
        self._ends: dict[Place, int] = {}
        self._nexts: dict[Place, int] = {}
        self._lost: dict[Place, int] = {}
        self._seek_after: dict[Place, float] = {}
        self._taken: list[Arrival] = []
        self._parked = asyncio.Event()
        self._waits: dict[str, tuple[float, float]] = {}  # parked log -> not before, and the pause that led there
        self._app: Any = None

    async def run(self) -> None:
        """Follow until cancelled; outages of the broker and the database are waited out."""
        async with asyncio.TaskGroup() as group:
            for what, step in (("follows", self._host), ("measures", self._measure), ("catches up", self._catch_up)):
                name = f"{self._service} {what}"
                group.create_task(persevere(name, step), name=name)

    async def progress(self) -> list[dict[str, Any]]:
        """Each followed log: `log`, `size`, `checked` (size of the last checkpoint that held), `parked`, `reason`."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_PROGRESS)).all()
        return [
            {"log": log, "size": size, "checked": checked, "parked": reason is not None, "reason": reason}
            for log, size, checked, reason, _ in rows
        ]

    def lag(self) -> dict[str, int]:
        """Records not yet taken, by `<topic>/<partition>`, as last measured; empty until the broker has answered."""
        return {
            f"{place.topic}/{place.partition}": max(0, end - self._nexts.get(place, 0))
            for place, end in sorted(self._ends.items())
        }

    async def _host(self) -> bool:
        """Run Faust until it ends or stalls; each time it is a new app, since a used one cannot be started again."""
        fetches: Fetches = asyncio.Queue(FETCHES)
        ending, others = asyncio.Event(), asyncio.all_tasks()
        self._taken = []
        with tempfile.TemporaryDirectory(prefix="parindex-faust-") as folder:
            app = self._app = self._new_app(Path(folder), fetches)
            applying = asyncio.create_task(persevere(f"{self._service} applies", lambda: self._apply(fetches)))
            hosted = asyncio.create_task(self._run_app(app, fetches, ending))
            try:
                await asyncio.shield(hosted)  # a start that is cancelled half-way leaves a member of the group behind
            finally:
                ending.set()
                applying.cancel()
                await _end(app, hosted, others)
                await asyncio.gather(applying, return_exceptions=True)
        raise StalledError

    async def _run_app(self, app: Any, fetches: Fetches, ending: asyncio.Event) -> None:
        async with faust_app_running(app, stop_timeout=STOP_SECONDS):
            await self._watch(app, fetches, ending)

    async def _watch(self, app: Any, fetches: Fetches, ending: asyncio.Event) -> None:
        """Seek back where deliveries were lost; return once the app has ended or brings nothing though records wait."""
        seen, since = dict(self._nexts), monotonic()
        while not (ending.is_set() or app.should_stop or monotonic() - since > STALL_SECONDS):
            await _wait(ending, 0.25)
            await self._seek_back(app)
            if self._taken or not fetches.empty() or seen != self._nexts or not self._behind(app):
                seen, since = dict(self._nexts), monotonic()

    def _behind(self, app: Any) -> bool:
        """Whether records are known to wait on a partition that this process has to read."""
        own = {Place(*tp) for tp in app.consumer.assignment()}
        return any(end > self._nexts.get(place, 0) for place, end in self._ends.items() if place in own)

    def _new_app(self, folder: Path, fetches: Fetches) -> Any:
        app = faust.App(
            f"{self._bus.prefix}.{self._service}",
            broker=[f"kafka://{broker}" for broker in self._bus.kafka.split(",")],
            datadir=folder,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            web_enabled=False,
            broker_session_timeout=self._session,
            broker_heartbeat_interval=self._session / 3,
            broker_commit_interval=1.0,
            consumer_auto_offset_reset="earliest",
            stream_wait_empty=True,
            consumer_metadata_max_age_ms=2000,
            consumer_max_fetch_size=FETCH_BYTES,
        )
        topic = app.topic(*self._topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

        @app.on_rebalance_complete.connect(weak=False)
        async def align(app: Any, **_: Any) -> None:
            await self._align(app)

        @app.agent(topic, concurrency=1)
        async def follow(stream: Any) -> None:
            # Faust acknowledges a fetch when the next is asked for; that counts for nothing, see `_align`
            async for events in stream.take_events(FETCH, within=self._within):
                await fetches.put(events)

        return app

    async def _align(self, app: Any) -> None:
        """Read each assigned partition from the offset stored beside the state, whatever the broker holds."""
        assigned = {Place(*tp): tp for tp in app.consumer.assignment()}
        if not assigned:
            return
        app.consumer._thread._consumer._fetcher._fetch_max_wait_ms = max(FETCH_WAIT_MS, int(1000 * self._within))
        first = await app.consumer.earliest_offsets(*assigned.values())
        nexts = await self._applier.start({Place(*tp): offset for tp, offset in first.items()})
        positions = {assigned[place]: offset for place, offset in nexts.items()}
        await app.consumer._commit(positions)
        await app.consumer.seek_wait(positions)
        self._nexts |= nexts
        self._lost.clear()

    async def _apply(self, fetches: Fetches) -> bool:
        """Apply what has been fetched in one transaction; after an error it is called again with the same records."""
        if not self._taken:
            first = await fetches.get()
            if time() - first[0].message.timestamp > LATE_SECONDS:
                await asyncio.sleep(GATHER_SECONDS)
            self._taken += map(_event_arrival, first)
            while not fetches.empty():
                self._taken += map(_event_arrival, fetches.get_nowait())
        outcome = await self._applier.fetch(self._taken)
        self._taken = []
        self._nexts |= outcome.nexts
        self._lost |= outcome.lost
        if outcome.parked:
            self._parked.set()
        self._told(outcome.advanced)
        return True

    def _told(self, logs: Sequence[str]) -> None:
        for log in logs:
            for callback in self.applied:
                callback(log)

    async def _seek_back(self, app: Any) -> None:
        """Where deliveries were lost and have not come since, read again from the stored offset."""
        self._lost = {place: offset for place, offset in self._lost.items() if self._nexts.get(place, 0) <= offset}
        now = monotonic()
        due = {place: offset for place, offset in self._lost.items() if now >= self._seek_after.get(place, 0.0)}
        if not due:
            return
        named = {f"{place.topic}/{place.partition}": offset for place, offset in due.items()}
        _logger.warning("a delivery was lost; reading again: %s", named)
        self._seek_after |= dict.fromkeys(due, now + SEEK_PAUSE)
        tps = {tp: due[Place(*tp)] for tp in app.consumer.assignment() if Place(*tp) in due}
        try:
            await app.consumer.seek_wait(tps)
        except Exception as failure:  # noqa: BLE001 - it is tried again after the pause
            _logger.warning("seeking back failed: %s", type(failure).__name__)

    async def _measure(self) -> bool:
        """Measure where the partitions end, and show what is parked, every two seconds."""
        self._ends = {}
        async with self._bus.reader() as reader:
            while True:
                await self._measure_once(reader)
                await asyncio.sleep(MEASURE_SECONDS if self._ends else 0.2)

    async def _measure_once(self, reader: Any) -> None:
        ends = await reader.end_offsets([TopicPartition(*place) for place in self._nexts])
        self._ends = {Place(*tp): end for tp, end in ends.items()}
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_NEXT_OFFSETS, {"topics": self._topics})).all()
            logs = (await connection.execute(_PROGRESS)).all()
        self._nexts |= {
            Place(topic, partition): following
            for topic, partition, following in rows
            if following > self._nexts.get(Place(topic, partition), 0)
        }
        for place, end in self._ends.items():
            behind = max(0, end - self._nexts.get(place, 0))
            telemetry.LAG.labels(place.topic, place.partition).set(behind)
        for log, _, _, reason, stopped in logs:
            telemetry.PARKED.labels(log).set(int(reason is not None))
            telemetry.STOPPED.labels(log).set(int(bool(stopped)))

    async def _catch_up(self) -> bool:
        """Read the parked logs again that are due; each waits twice as long after every attempt that left it parked."""
        self._parked.clear()
        async with self._engine.connect() as connection:
            rows = (await connection.execute(_TO_CATCH_UP)).all()
        self._waits = {row.log: self._waits.get(row.log, (0.0, 0.5)) for row in rows}
        for log, topic, partition, start in rows:
            due, pause = self._waits[log]
            if monotonic() < due:
                continue
            # what an attempt passed over may stand before its mend: further attempts read the whole partition
            if not await self._catch_up_once(log, Place(topic, partition), 0 if due else start):
                pause = min(2 * pause, LONGEST_WAIT)
                self._waits[log] = (monotonic() + pause, pause)
        await _wait(self._parked, 0.5)
        return True

    async def _catch_up_once(self, log: str, place: Place, start: int) -> bool:
        """Read a parked log from an offset to the end; returns whether it is parked no more, or stopped."""
        tp, size = TopicPartition(*place), 0
        async with self._bus.reader() as reader:
            reader.assign([tp])
            reader.seek(tp, start)
            while True:
                offset = await reader.position(tp)
                end = (await reader.end_offsets([tp]))[tp]
                if offset >= end:
                    return await self._applier.unpark(log, place, offset, size)
                found = await reader.getmany(tp, timeout_ms=1000, max_records=FETCH)
                records = [
                    Seen(arrived.offset, arrived.content)
                    for arrived in map(_arrival, found.get(tp, ()))
                    if arrived.log == log
                ]
                if not records:
                    continue
                try:
                    done = await self._applier.catch_up(log, records, records[-1].offset + 1)
                except ApplyError as error:
                    _logger.error("%s still cannot be applied", log, exc_info=error.cause)
                    return False
                if done is None or done.fault is not None:
                    return True
                size = max(size, done.size)
                if done.entries:
                    self._told([log])


def _arrival(message: Any) -> Arrival:
    place = Place(message.topic, message.partition)
    return arrival(place, message.offset, message.key, message.value, message.headers)


def _event_arrival(event: Any) -> Arrival:
    return _arrival(event.message)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def _end(app: Any, hosted: asyncio.Task[None], others: set[asyncio.Task[Any]]) -> None:
    """Wait for Faust to stop; end what a failed start or stop leaves of it. `others` are the tasks from before it."""
    stopping = asyncio.create_task(app.stop())  # does nothing if `hosted` has begun to stop it
    await asyncio.wait([hosted, stopping], timeout=STOP_SECONDS + 1)
    for _ in range(10):  # its tasks take a cancellation for a reason to wait on
        left = [task for task in asyncio.all_tasks() - others if task in (hosted, stopping) or is_of_faust(task)]
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=0.2)
    _logger.error("%d tasks of Faust do not end", len(left))


def is_of_faust(task: asyncio.Task[Any]) -> bool:
    """Whether the task runs Faust's own code; a process has one app of it at a time."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and any(Path(code.co_filename).is_relative_to(folder) for folder in FAUST)
