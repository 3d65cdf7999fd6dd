"""The relay: sends each log of the ledger to its topic in log order, with signed checkpoints between the entries."""

import asyncio
import logging
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, Protocol

from opentelemetry.trace import SpanKind
from sqlalchemy import text

from shared import telemetry
from shared.bus import Bus, Publisher, checkpoint_record, to_record
from shared.events import Entry
from shared.ledger import Ledger, read_entries
from shared.outage import persevere
from shared.tlog.checkpoint import Checkpoint
from shared.tlog.merkle import Frontier, leaf_hash

BATCH: Final = 500
SIGN_SECONDS: Final = 5.0
_logger = logging.getLogger(__name__)

_LOGS = text("""
    SELECT log.name FROM log LEFT JOIN relayed ON relayed.log = log.name WHERE log.size > coalesce(relayed.size, 0)
    UNION SELECT relayed.log FROM relayed WHERE relayed.size > 0
""")
_LOAD = text("""
    SELECT log.partition, coalesce(relayed.size, 0) AS size, coalesce(relayed.frontier, '') AS frontier,
        (SELECT max(checkpoint.size) FROM checkpoint WHERE checkpoint.log = log.name) AS signed
    FROM log LEFT JOIN relayed ON relayed.log = log.name WHERE log.name = :log
""")
_HEAD = text("SELECT size, frontier FROM log WHERE name = :log")
_SENT = text("""
    WITH lazily AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO relayed (log, size, frontier) SELECT :log, :size, :frontier FROM lazily
    ON CONFLICT (log) DO UPDATE SET size = excluded.size, frontier = excluded.frontier
    WHERE relayed.size < excluded.size
""")
"""A cursor that a crash sets back only repeats entries, so this commit need not wait for the disk."""
_SIGNED = text("INSERT INTO checkpoint (log, size, note) VALUES (:log, :size, :note) ON CONFLICT DO NOTHING")
_CHECKPOINT = text("SELECT note, time FROM checkpoint WHERE log = :log AND size = :size")


class Signer(Protocol):
    """Signs checkpoints and remembers the last one of each log, so that it never signs a smaller or another one."""

    async def sign(self, checkpoint: Checkpoint) -> bytes:
        """The signed note."""


class LedgerDamagedError(Exception):
    """The entries of a log do not lead to the frontier that the ledger keeps for it."""


@dataclass
class _Sent:
    """How far a log has been sent, the tree's frontier there, the size last signed, and when the next may be signed."""

    log: str
    partition: int
    frontier: Frontier
    signed: int
    due: float = 0.0

    @property
    def size(self) -> int:
        return self.frontier.size


class Relay:
    """Sends what lies after its cursor (table `relayed`); a crash repeats entries, never skips one.

    One relay of a service runs at a time. Each log has its own task, so a slow one holds up no other. Checkpoints of a
    log are at least `checkpoint_interval` seconds apart and only made when there are new entries.
    """

    def __init__(
        self, ledger: Ledger, bus: Bus, signer: Signer, *, checkpoint_interval: float = 1.0, poll: float = 0.5
    ) -> None:
        self._ledger = ledger
        # each statement by itself: one way to the database and back less where there is only one
        self._each = ledger.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._topic = bus.topic(ledger.service)
        self._publisher = Publisher(bus)
        self._signer = signer
        self._interval = checkpoint_interval
        self._poll = poll
        self._wakers: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._new_log = asyncio.Event()
        self.stopped: dict[str, str] = {}
        """Logs that are not sent any more, with the reason."""
        ledger.appended.append(self.wake)

    def wake(self, log: str) -> None:
        """Say that the log has new entries."""
        waker = self._wakers.get(log)
        if waker is None:
            self._new_log.set()
        else:
            waker.set()

    async def run(self) -> None:
        """Relay until cancelled; outages of the database or the broker are waited out."""
        try:
            await persevere(f"the relay of {self._ledger.service}", self._relay_if_alone)
        finally:
            await self._publisher.close()

    async def _relay_if_alone(self) -> bool:
        async with self._ledger.exclusive(f"relay/{self._ledger.service}") as held:
            if held:
                await self._relay_all()
        await asyncio.sleep(self._poll)
        return True

    async def _relay_all(self) -> None:
        """Keep a task for each log; ends only by an error of the database or when cancelled."""
        try:
            while True:
                self._new_log.clear()
                async with self._ledger.engine.connect() as connection:
                    logs = (await connection.execute(_LOGS)).scalars().all()
                for log in logs:
                    if log not in self._tasks:
                        self._wakers[log] = asyncio.Event()
                        self._tasks[log] = asyncio.create_task(self._relay_log(log), name=f"relay {log}")
                    self._wakers[log].set()
                await _wait(self._new_log, self._poll)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)
            self._tasks.clear()
            self._wakers.clear()

    async def _relay_log(self, log: str) -> None:
        sent: _Sent | None = None

        async def step() -> bool:
            nonlocal sent
            going, sent = sent or await self._load(log), None  # after an error the stored cursor counts
            try:
                await self._step(going)
            except LedgerDamagedError as damage:
                self.stopped[log] = str(damage)
                _logger.error("sending %s is stopped: %s", log, damage)
                return False
            sent = going
            return True

        await persevere(f"sending {log}", step)

    async def _step(self, sent: _Sent) -> None:
        """Send a batch, then a checkpoint if one is due; wait for more if the log is level."""
        waker = self._wakers[sent.log]
        waker.clear()
        level = await self._send_batch(sent)
        unsigned = sent.size > sent.signed
        now = asyncio.get_running_loop().time()
        if unsigned and now >= sent.due:
            await self._sign(sent)
        elif level:
            await _wait(waker, sent.due - now if unsigned else None)

    async def _load(self, log: str) -> _Sent:
        async with self._ledger.engine.connect() as connection:
            row = (await connection.execute(_LOAD, {"log": log})).one()
        sent = _Sent(log, row.partition, Frontier.from_bytes(row.size, row.frontier), row.signed or 0)
        if row.signed and row.signed == row.size:  # it may be stored and not sent; a repeat is harmless
            await self._send_checkpoint(sent)
        return sent

    async def _send_batch(self, sent: _Sent) -> bool:
        """Send the next entries and store the cursor; returns whether none is left."""
        async with self._each.connect() as connection:
            head = (await connection.execute(_HEAD, {"log": sent.log})).one()
            stop = min(head.size, sent.size + BATCH)
            entries = await read_entries(connection, "entry", sent.log, sent.size, stop)
        frontier = sent.frontier.extend([leaf_hash(entry.leaf) for entry in entries])
        if frontier.size != max(stop, sent.size) or (
            frontier.size == head.size and frontier.to_bytes() != head.frontier
        ):
            raise LedgerDamagedError(f"the entries of {sent.log} up to {stop} do not make the ledger's frontier")
        if not entries:
            return True
        await self._send(sent, entries)
        async with self._each.connect() as connection:
            await connection.execute(_SENT, {"log": sent.log, "size": frontier.size, "frontier": frontier.to_bytes()})
        sent.frontier = frontier
        return frontier.size == int(head.size)

    async def _send(self, sent: _Sent, entries: list[Entry]) -> None:
        about = {
            telemetry.MESSAGING_SYSTEM: "kafka",
            telemetry.MESSAGING_OPERATION: "send",
            telemetry.MESSAGING_TOPIC: self._topic,
            telemetry.MESSAGING_PARTITION: str(sent.partition),
            telemetry.LOG: sent.log,
        }
        with ExitStack() as spans:
            for entry in entries:
                traceparent = entry.header.get("traceparent")
                if traceparent is not None:
                    spans.enter_context(
                        telemetry.span_from(telemetry.SPAN_RELAY, traceparent, SpanKind.PRODUCER, about)
                    )
            sends = [await self._publisher.send(self._topic, to_record(entry), sent.partition) for entry in entries]
            await self._publisher.settled(sends)
        telemetry.RELAYED.labels(sent.log).inc(len(entries))

    async def _sign(self, sent: _Sent) -> None:
        """Sign the size that has been sent; while the signer cannot, the entries go on without a checkpoint."""
        checkpoint = Checkpoint(f"{self._ledger.deployment}/{sent.log}", sent.size, sent.frontier.root())
        sent.due = asyncio.get_running_loop().time() + self._interval
        try:
            async with asyncio.timeout(SIGN_SECONDS):
                note = await self._signer.sign(checkpoint)
        except Exception as failure:  # noqa: BLE001 - whatever hinders the signer, the log's entries must go on
            _logger.error("%s has no checkpoint of size %d: %s", sent.log, sent.size, type(failure).__name__)
            return
        async with self._ledger.engine.begin() as connection:
            await connection.execute(_SIGNED, {"log": sent.log, "size": sent.size, "note": note})
        sent.signed = sent.size
        telemetry.CHECKPOINT_TIME.labels(sent.log).set_to_current_time()
        await self._send_checkpoint(sent)

    async def _send_checkpoint(self, sent: _Sent) -> None:
        async with self._ledger.engine.connect() as connection:
            note, time = (await connection.execute(_CHECKPOINT, {"log": sent.log, "size": sent.size})).one()
        checkpoint = Checkpoint(f"{self._ledger.deployment}/{sent.log}", sent.size, sent.frontier.root())
        record = checkpoint_record(sent.log, checkpoint, note, time)
        await self._publisher.settled([await self._publisher.send(self._topic, record, sent.partition)])


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for the event, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
