"""One append to a log: the commands it takes, the states they are decided on, the entries and answers it adds."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

import uuid_utils
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.decider import Decider, Rejected
from shared.events import MAX_HEADER, Event, canonical, data_hash, encode, instant, type_tag
from shared.tlog.merkle import Frontier, leaf_hash

EVERY: Final = "*"
"""In `reads`: all streams of the log."""

APPEND: Final = """
    WITH appended AS (
        INSERT INTO entry (log, position, stream, version, type, header, salt, data)
        SELECT $1::text, * FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::bytea[], $7::bytea[],
            $8::bytea[])
    ), answered AS (
        INSERT INTO request (log, causationid, digest, first, count, status)
        SELECT $1, * FROM unnest($9::text[], $10::bytea[], $11::bigint[], $12::integer[], $13::smallint[])
    )
    UPDATE log SET size = $14, frontier = $15, last_time = $16 WHERE name = $1
"""
"""Stores a batch; its arguments are `Batch.arguments`."""


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
        """The log\'s name."""

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
class Request:
    """A command that waits for its log, and where its answer goes."""

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

    @property
    def key(self) -> "Key":
        """Which state the command is decided on."""
        return (id(self.decider.decide), self.stream, self.reads)

    @property
    def streams(self) -> list[str] | None:
        """The streams that this state is folded from; None is all of the log."""
        return None if EVERY in self.reads else [self.stream, *self.reads]

    def settle(self, outcome: Accepted | Exception) -> None:
        """Answer, unless the caller has gone away."""
        if self.answer.done():
            return
        if isinstance(outcome, Accepted):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)


Key = tuple[int, str, tuple[str, ...]]


@dataclass
class Book:
    """What the appender remembers of a log; it counts only at `size`."""

    size: int = -1
    states: dict[Key, tuple[Decider[Any, Any, Any], Any]] = field(default_factory=dict)
    listeners: dict[str, list[Key]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def keep(self, request: Request, state: Any) -> None:
        """Remember a state, and let it evolve with the streams that it is folded from."""
        self.states[request.key] = (request.decider, state)
        for stream in request.streams or [EVERY]:
            self.listeners.setdefault(stream, []).append(request.key)

    def evolve(self, stream: str, event: Event) -> None:
        """Fold one more event of a stream into the states that it concerns."""
        for key in (*self.listeners.get(stream, ()), *self.listeners.get(EVERY, ())):
            decider, state = self.states[key]
            self.states[key] = (decider, decider.evolve(state, event))


class _Row(NamedTuple):
    """A row of the table `entry`, without the log."""

    position: int
    stream: str
    version: int
    type: str
    header: bytes
    salt: bytes
    data: bytes


class Batch:
    """The entries and answers that one transaction adds to a log of `size`, all at `time`."""

    def __init__(self, log: str, source: str, size: int, frontier: Frontier, time: datetime) -> None:
        self.log, self.base, self.time = log, size, time
        self.folded: list[tuple[str, Event]] = []
        self.answers: dict[str, tuple[bytes, Accepted]] = {}
        self._service = log.partition("/")[0]
        self._frontier = frontier
        self._entries: list[_Row] = []
        self._requests: list[tuple[str, bytes, int, int, int]] = []
        self._common = {
            "specversion": "1.0",
            "datacontenttype": "application/json",
            "source": source,
            "time": instant(time),
        }

    @property
    def size(self) -> int:
        """The log's size with the entries so far."""
        return self.base + len(self._entries)

    @property
    def changes(self) -> bool:
        """Whether there is anything to store."""
        return bool(self._requests)

    def known(self, request: Request) -> Accepted | Rejected | None:
        """The answer that the same request got before; a refusal if it had other content."""
        if (known := self.answers.get(request.causationid)) is None:
            return None
        digest, answer = known
        if digest != request.digest:
            return Rejected("idempotency-key-reused", "the same key came with other content", "Idempotency-Key")
        return replace(answer, repeated=True)

    def prepare(
        self, request: Request, seen: Mapping[str, int], events: Sequence[Event], version: int
    ) -> tuple[list[_Row], str | None]:
        """The rows of a request's events after `version` of its stream, and the id of the first; nothing is added yet.

        Raises Rejected `header-too-large`.
        """
        common = self._common | {
            "subject": request.stream,
            "actor": request.actor,
            "causationid": request.causationid,
        }
        if seen:
            common["seen"] = " ".join(f"{log}@{size}" for log, size in sorted(seen.items()))
        if request.traceparent:
            common["traceparent"] = request.traceparent
        ids = [str(uuid_utils.uuid7()) for _ in events]
        rows = [
            self._row(common | {"id": ids[number]}, event, self.size + number, version + number + 1)
            for number, event in enumerate(events)
        ]
        return rows, ids[0] if ids else None

    def _row(self, header: dict[str, str], event: Event, position: int, version: int) -> _Row:
        salt, data = os.urandom(32), encode(event)
        header["type"] = type_tag(event, self._service)
        header["position"] = str(position)
        header["version"] = str(version)
        header["datahash"] = data_hash(salt, data)
        leaf = canonical(header)
        if len(leaf) > MAX_HEADER or not leaf.isascii():
            raise Rejected("header-too-large", "the request's headers make an entry header that is not 4 KiB of ASCII")
        return _Row(position, header["subject"], version, header["type"], leaf, salt, data)

    def add(self, request: Request, rows: Sequence[_Row], answer: Accepted) -> None:
        """Take the rows of a request and its answer."""
        self._entries += rows
        self._requests.append((request.causationid, request.digest, answer.first, answer.count, request.status))
        self.answers[request.causationid] = (request.digest, answer)

    def arguments(self) -> list[Any]:
        """The arguments of `APPEND`: columns of entries, columns of answers, and the log as it is afterwards."""
        frontier = self._frontier.extend(leaf_hash(row.header) for row in self._entries)
        entries = list(zip(*self._entries, strict=True)) or [()] * len(_Row._fields)
        return [self.log, *entries, *zip(*self._requests, strict=True), self.size, frontier.to_bytes(), self.time]
