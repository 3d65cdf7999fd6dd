"""The register: a service's one log that is never sealed; it says which logs exist and with which key."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.decider import Decider, Rejected
from shared.events import Event
from shared.events.register import LogOpened, RegisterOpened
from shared.ledger import Accepted, Ledger
from shared.settings import Generation
from shared.tlog.note import SigningKey, log_key

PARTITIONS = 12
STREAM = "register"
Within = Callable[[AsyncConnection], Awaitable[None]]


@dataclass(frozen=True)
class Opened:
    """What a register says: the deployment once it is opened, and the verification key of each log."""

    deployment: str | None = None
    keys: frozenset[tuple[str, str]] = frozenset()


def _decide(state: Opened, command: RegisterOpened | LogOpened) -> list[Event]:
    if isinstance(command, RegisterOpened):
        return [] if state.deployment is not None else [command]
    if state.deployment is None:
        raise Rejected("register-not-open", "the register has no first entry yet")
    known = dict(state.keys).get(command.log)
    if known is not None:
        if known != command.key:
            raise Rejected("log-key-changed", f"{command.log} is open with another key")
        return []
    return [command]


def _evolve(state: Opened, event: Event) -> Opened:
    match event:
        case RegisterOpened():
            return Opened(event.deployment, state.keys)
        case LogOpened():
            return Opened(state.deployment, state.keys | {(event.log, event.key)})
        case _:
            return state


DECIDER: Decider[Opened, RegisterOpened | LogOpened, Event] = Decider(Opened(), _decide, _evolve)


class Register:
    """Opens the logs of one service, each with its own key of the generation given, and signs for none of them."""

    def __init__(self, ledger: Ledger, generation: Generation) -> None:
        self._ledger = ledger
        self._generation = generation
        self.log = f"{ledger.service}/register"

    def signing_key(self, log: str) -> SigningKey:
        """The key of one of this service's logs."""
        return log_key(self._generation.secret, f"{self._ledger.deployment}/{log}")

    async def start(self) -> None:
        """Make sure that the register exists and has its first two entries: its own opening and its key."""
        async with self._ledger.engine.begin() as connection:
            await _insert_log(connection, self.log)
            offset: timedelta = (await connection.execute(text("SELECT delta FROM clock_offset"))).scalar_one()
        microseconds = offset // timedelta(microseconds=1)
        opened = RegisterOpened(
            deployment=self._ledger.deployment, clock_table="clock_offset", clock_offset=microseconds
        )
        await self._record(opened, "register-opened")
        await self._record(self._opening(self.log), "log-opened/register")

    async def open(self, log: str) -> None:
        """Open a log: it is in the register and takes appends from then on. Opening it again changes nothing."""

        async def insert(connection: AsyncConnection) -> None:
            await _insert_log(connection, log)

        await self._record(self._opening(log), f"log-opened/{log}", insert)

    def _opening(self, log: str) -> LogOpened:
        key = str(self.signing_key(log).verifier)
        return LogOpened(log=log, key=key, generation=self._generation.name, partition=partition_of(log))

    async def _record(self, event: RegisterOpened | LogOpened, key: str, within: Within | None = None) -> Accepted:
        return await self._ledger.execute(
            DECIDER,
            self.log,
            STREAM,
            lambda _: event,
            actor=self._ledger.service,
            door="register",
            key=key,
            digest=hashlib.sha256(key.encode()).digest(),
            within=within,
        )


def partition_of(log: str) -> int:
    """The partition that a log's entries go to, chosen when it is opened."""
    return int.from_bytes(hashlib.sha256(log.encode()).digest()[:4], "big") % PARTITIONS


async def _insert_log(connection: AsyncConnection, log: str) -> None:
    insert = text("INSERT INTO log (name, partition) VALUES (:log, :partition) ON CONFLICT (name) DO NOTHING")
    await connection.execute(insert, {"log": log, "partition": partition_of(log)})
