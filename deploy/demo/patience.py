"""Waiting, within bounds, for what one service has accepted and another has not yet applied."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from deploy.client import Refused

T = TypeVar("T")
SECONDS: Final = 20.0
PAUSE: Final = 0.15


async def again(work: Callable[[], Awaitable[T]], codes: Iterable[str]) -> T:
    """What the work gives once it is no more refused with one of these codes; the last refusal after `SECONDS`."""
    passing, loop = frozenset(codes), asyncio.get_running_loop()
    until = loop.time() + SECONDS
    while True:
        try:
            return await work()
        except Refused as refused:
            if refused.code not in passing or loop.time() > until:
                raise
        await asyncio.sleep(PAUSE)
