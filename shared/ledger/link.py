"""The connection of an appender: the same one through SQLAlchemy and through its driver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple

from asyncpg.exceptions import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

OUTAGES: Final = (SQLAlchemyError, PostgresError, InterfaceError, InternalClientError, OSError)
"""What the database raises, through either handle; the driver's own state is confused where a connection is cut in the
middle of an answer."""


class Handles(NamedTuple):
    """One connection to the database: `driver` is asyncpg's own, with a third of the cost of a statement."""

    connection: AsyncConnection
    driver: Any


class Link:
    """Keeps a connection from one transaction to the next, until it is given back or something fails."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")  # only `transaction` begins one
        self._held: Handles | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Handles]:
        """A transaction, committed at the end of the block and rolled back if it raises."""
        held = self._held = await self._connected()
        try:
            async with held.driver.transaction():
                yield held
        except BaseException as failure:
            await self.release(broken=isinstance(failure, OUTAGES))
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # what a closing connection raises must not hide it
                raise asyncio.CancelledError from failure
            raise

    async def release(self, *, broken: bool = False) -> None:
        """Give the connection back, if one is held; a broken one goes to nobody else."""
        if self._held is None:
            return
        (connection, driver), self._held = self._held, None
        if broken or driver.is_closed():
            await connection.invalidate()
        await connection.close()

    async def _connected(self) -> Handles:
        while self._held is None or self._held.driver.is_closed():
            await self.release()
            connection = await self._engine.connect()
            self._held = Handles(connection, (await connection.get_raw_connection()).driver_connection)
        return self._held
