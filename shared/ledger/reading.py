"""Reading logs: their entries, and states folded from a log's whole prefix."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.events import Entry

S = TypeVar("S")

_READ: Final = """
    SELECT position, header, salt, data FROM {table} WHERE log = :log AND position >= :start AND position < :stop
"""
_READS: Final = {
    table: {
        True: text(_READ.format(table=table) + " AND stream = ANY(:streams) ORDER BY position"),
        False: text(_READ.format(table=table) + " ORDER BY position"),
    }
    for table in ("entry", "followed")
}
_SIZES: Final = {
    "entry": text("SELECT size FROM log WHERE name = :log"),
    "followed": text("SELECT size FROM cursor WHERE log = :log"),
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
