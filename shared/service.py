"""The parts of one service, started and stopped together: ledger, register, relay, follower, reactions, archiver."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Final

from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from shared import period
from shared.archive import Archiver, Signer
from shared.bus import Bus
from shared.decider import Decider, Rejected
from shared.events import SERVICES, Entry, instant
from shared.follower import WITHIN, Follower
from shared.follower.applier import Apply, Beside
from shared.follower.reaction import Reactions
from shared.ledger import Accepted, Ledger, Moment, Prefix, Projection, Seen
from shared.objects import Objects
from shared.period import Period
from shared.register import Register
from shared.relay import Relay
from shared.settings import Settings
from shared.tlog.checkpoint import Policy
from shared.tlog.merkle import Frontier

SIGNED_POLL: Final = 0.2  # seconds between two looks for a checkpoint that is to be archived at once
GATHERING: Final = 0.1
"""Seconds that a service without tables of its own gathers records: each transaction costs more than its records."""
START_PAUSE: Final = 0.5  # seconds between two attempts to reach what a service needs at its start
PROGRESS: Final = text("""
    SELECT log.name AS log, log.size, log.frontier, coalesce(relayed.size, 0) AS relayed,
        coalesce(archived.size, 0) AS archived, checkpoint.size AS checkpoint, checkpoint.time
    FROM log LEFT JOIN relayed ON relayed.log = log.name LEFT JOIN archived ON archived.log = log.name
    LEFT JOIN LATERAL (
        SELECT size, time FROM checkpoint WHERE checkpoint.log = log.name ORDER BY size DESC LIMIT 1
    ) AS checkpoint ON true ORDER BY log.name
""")

React = Callable[[Entry], Awaitable[None]]
_logger = logging.getLogger(__name__)


async def _nothing_to_compute(
    connection: AsyncConnection, log: str, entries: Sequence[Entry], sizes: Mapping[str, int]
) -> None:
    """A service whose views are folded when they are read computes nothing as entries come."""


class Service:
    """One service as its settings say. `run` keeps all parts going for the time of the HTTP application.

    `follows` names the services whose logs it applies; `apply` computes its tables in the transaction that brings
    entries; `react` answers each followed entry, and may be repeated; `tasks` are more loops of its own.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        follows: Sequence[str],
        apply: Apply = _nothing_to_compute,
        beside: Beside = lambda _: (),
    ) -> None:
        self.settings = settings
        self.engine: AsyncEngine = create_async_engine(settings.database_url, pool_size=20, max_overflow=10)
        self.ledger = Ledger(self.engine, settings.deployment, settings.service, settings.service_secret)
        self.register = Register(self.ledger, settings.generation)
        self.objects = Objects(settings.s3_endpoint, settings.s3_access_key, settings.s3_secret_key, settings.s3_prefix)
        self.bus = Bus(settings.kafka, settings.kafka_prefix)
        self.periods = Projection(Period(), period.fold, "entry" if settings.service == "submission" else "followed")
        self.follower = Follower(
            self.engine,
            self.bus,
            service=settings.service,
            deployment=settings.deployment,
            sources=follows,
            registers=_registers(settings),
            apply=apply,
            beside=beside,
            within=GATHERING if apply is _nothing_to_compute else WITHIN,
        )
        signer = Signer(
            self.objects, lambda origin: self.register.signing_key(origin.removeprefix(f"{settings.deployment}/"))
        )
        self.relay = Relay(self.ledger, self.bus, signer, checkpoint_interval=settings.checkpoint_interval)
        self.archiver = Archiver(
            self.ledger, self.objects, interval=settings.archive_interval, retain_until=self._retain_until
        )
        self.react: React | None = None
        self.tasks: list[Callable[[], Awaitable[None]]] = []
        self._loops: list[asyncio.Task[None]] = []
        self._errands: set[asyncio.Task[None]] = set()
        self._started = False

    @asynccontextmanager
    async def run(self, _: FastAPI) -> AsyncIterator[None]:
        """The application's lifespan: HTTP is up at once, the other parts come up behind it as what they need does."""
        loops: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            ("relay", self.relay.run),
            ("follower", self.follower.run),
            ("archiver", self.archiver.run),
        ]
        if self.react is not None:
            loops.append(("reactions", Reactions(self.engine, self.follower, self.react).run))
        loops += [(loop.__qualname__, loop) for loop in self.tasks]
        starter = asyncio.create_task(self._start(loops), name="start")
        try:
            yield
        finally:
            running = (starter, *self._loops, *self._errands)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self.ledger.close()
            await self.objects.close()
            await self.engine.dispose()

    async def _start(self, loops: Sequence[tuple[str, Callable[[], Awaitable[None]]]]) -> None:
        while True:
            try:
                await self.bus.ensure_topics(SERVICES)
                await self.register.start()
            except Exception as failure:  # noqa: BLE001 - what a service needs may come up after it
                _logger.warning("the start waits: %s", type(failure).__name__)
                await asyncio.sleep(START_PAUSE)
            else:
                break
        self._started = True
        for name, loop in loops:
            self._loops.append(asyncio.create_task(_keep(name, loop), name=name))

    async def ready(self) -> Mapping[str, str | None]:
        """Each part with None, or why it is not ready."""
        parts: dict[str, str | None] = {"start": None if self._started else "has not finished"}
        try:
            async with asyncio.timeout(2), self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
            parts["database"] = None
        except (SQLAlchemyError, OSError):
            parts["database"] = "cannot be reached"
        parts["follower"] = None if self.follower.lag() else "has not measured its topics yet"
        parts |= {task.get_name(): "has ended" for task in self._loops if task.done()}
        return parts

    async def progress(self) -> Mapping[str, Any]:
        """How far each own log is relayed, signed and archived, and each followed one applied."""
        async with self.engine.connect() as connection:
            rows = (await connection.execute(PROGRESS)).all()
        return {
            "service": self.settings.service,
            "logs": [
                {
                    "log": row.log,
                    "size": row.size,
                    "root": _root(row.size, row.frontier),
                    "relayed": row.relayed,
                    "checkpoint": row.checkpoint or 0,
                    "signed": None if row.time is None else instant(row.time),
                    "archived": row.archived,
                }
                for row in rows
            ],
            "follows": await self.follower.progress(),
            "lag": sum(self.follower.lag().values()),
            "stopped": {**self.relay.stopped, **self.archiver.stopped},
        }

    async def read(self, *prefixes: Prefix[Any]) -> list[tuple[int, Any]]:
        """The size and folded state of each log, all as one moment of the database shows them."""
        snapshot = self.engine.execution_options(isolation_level="REPEATABLE READ")
        async with snapshot.connect() as connection:
            return [await prefix.read(connection) for prefix in prefixes]

    async def decide(
        self,
        decider: Decider[Any, Any, Any],
        period: str,
        stream: str,
        command: Callable[[Moment], Any],
        **terms: Any,
    ) -> Accepted:
        """Run a command on a period's log of this service, as `Ledger.execute`; Rejected `period-unknown`."""
        try:
            return await self.ledger.execute(decider, f"{self.settings.service}/{period}", stream, command, **terms)
        except Rejected as refused:
            if refused.code == "log-unknown":
                raise Rejected("period-unknown", "there is no such period", "period") from None
            raise

    async def reaction(
        self,
        to: Entry,
        name: str,
        decider: Decider[Any, Any, Any],
        log: str,
        stream: str,
        command: Callable[[Any], Any],
        *,
        reads: Sequence[str] = (),
        sees: Sequence[Seen] = (),
    ) -> Accepted:
        """Append what a followed entry calls for, once: its causation id is that entry's id and the reaction's name."""
        return await self.ledger.execute(
            decider,
            log,
            stream,
            command,
            actor=self.settings.service,
            door="reaction",
            key=f"{to.id}/{name}",
            digest=hashlib.sha256(name.encode()).digest(),
            reads=reads,
            sees=sees,
            traceparent=to.header.get("traceparent"),
        )

    def archive_soon(self, log: str, size: int) -> None:
        """Have the log archived as soon as a checkpoint of that size is signed, not at the archiver's next turn."""

        async def wake() -> None:
            # no event to wait for: the relay that signs may be another replica's
            while ((await self.ledger.newest_checkpoint(log)) or (0,))[0] < size:  # noqa: ASYNC110
                await asyncio.sleep(SIGNED_POLL)
            self.archiver.wake(log)

        errand = asyncio.create_task(wake(), name=f"archive {log} at {size}")
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    async def _retain_until(self, log: str) -> datetime | None:
        """Until when a period's proof is locked; a register's is not."""
        name = log.partition("/")[2]
        [(_, known)] = await self.read(self.periods.of(f"submission/{name}"))
        return None if known.opened is None else known.opened.retain_until


def _registers(settings: Settings) -> Mapping[str, Any]:
    policy = Policy.parse(settings.registers_file.read_text())
    return policy.keys


def _root(size: int, frontier: bytes) -> str:
    return Frontier.from_bytes(size, frontier).root().hex()


async def _keep(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Keep one part going; its own code waits out outages, so what ends it is a fault to be seen and tried again."""
    with suppress(asyncio.CancelledError):
        while True:
            try:
                await loop()
            except Exception:
                _logger.exception("%s failed and begins anew", name)
            await asyncio.sleep(1)
