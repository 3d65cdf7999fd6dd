"""Outages: what fails while a database, a broker or a store is away is tried again with a growing pause."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from aiokafka.errors import KafkaError
from asyncpg.exceptions import InterfaceError as AsyncpgInterfaceError
from asyncpg.exceptions import InternalClientError
from asyncpg.exceptions import PostgresError as AsyncpgError
from sqlalchemy.exc import SQLAlchemyError

from shared.decider import Rejected

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 5.0
"""So long after an outage everything goes on again at the latest."""
EXPECTED: Final = (
    SQLAlchemyError, AsyncpgError, AsyncpgInterfaceError, InternalClientError, KafkaError, OSError, Rejected,
)  # fmt: skip
"""What the clients of the database, the broker and (as an OSError) the object store raise while these are away, and a
refusal by the rules."""

_logger = logging.getLogger(__name__)


async def persevere(
    what: str, step: Callable[[], Awaitable[bool]], longest: float = LONGEST_PAUSE, level: int = logging.WARNING
) -> None:
    """Call `step` until it returns False; after an error call it again, with a pause in seconds that doubles.

    The pause begins anew after a success and after a step that held for longer than the longest pause. A cancellation
    of the caller always ends it: the error of a closing connection, which comes in its place, does not hide it.
    """
    pause = FIRST_PAUSE
    while True:
        started = monotonic()
        try:
            if not await step():
                return
            pause = FIRST_PAUSE
        except (Exception, asyncio.CancelledError) as failure:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise asyncio.CancelledError from failure
            if monotonic() - started > longest:
                pause = FIRST_PAUSE
            name = failure.code if isinstance(failure, Rejected) else type(failure).__name__
            fault = None if isinstance(failure, EXPECTED) else failure  # a fault of ours shows where it happened
            _logger.log(level, "%s: %s; again in %.1f s", what, name, pause, exc_info=fault)
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)
