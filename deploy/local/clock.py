"""The deployment's clock, an offset in each service's database; in demonstrations and tests it may go forward."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from deploy.fault import Fault
from deploy.migrate import dsn


async def begin(owner_urls: Sequence[str], instant: datetime) -> None:
    """Set clocks that were never moved to the instant, and leave the others alone."""
    unmoved = [url for url in owner_urls if not await _offset(url)]
    if unmoved:
        await _move(unmoved, instant, forward=False)


async def forward(owner_urls: Sequence[str], instant: datetime) -> timedelta:
    """Move all clocks to the instant by one offset, which is returned. Raises Fault if one of them is past it."""
    return await _move(owner_urls, instant, forward=True)


async def now(owner_url: str) -> datetime:
    """What the deployment's clock says."""
    connection = await asyncpg.connect(dsn(owner_url))
    try:
        value: datetime = await connection.fetchval("SELECT clock_timestamp() + delta FROM clock_offset")
    finally:
        await connection.close()
    return value


async def _offset(url: str) -> timedelta:
    connection = await asyncpg.connect(dsn(url))
    try:
        value: timedelta = await connection.fetchval("SELECT delta FROM clock_offset")
    finally:
        await connection.close()
    return value


async def _move(urls: Sequence[str], instant: datetime, *, forward: bool) -> timedelta:
    connections: list[asyncpg.Connection] = []
    try:
        for url in urls:
            connections.append(await asyncpg.connect(dsn(url)))
        delta: timedelta = await connections[0].fetchval("SELECT $1 - clock_timestamp()", instant)
        transactions = [connection.transaction() for connection in connections]
        for connection, transaction in zip(connections, transactions, strict=True):
            await transaction.start()
            old = await connection.fetchval("SELECT delta FROM clock_offset FOR UPDATE")
            if forward and delta < old:
                raise Fault(f"the clock is past {instant.isoformat()} already; it only goes forward")
            await connection.execute("UPDATE clock_offset SET delta = $1", delta)
        # all have taken the new offset before the first one shows it
        for transaction in transactions:
            await transaction.commit()
        return delta
    finally:
        for connection in connections:
            await connection.close()
