"""Work at the same time, and waiting, within bounds, for what a service has not yet applied."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from deploy.client import Refused
from deploy.fault import Fault

T = TypeVar("T")
SECONDS: Final = 60.0
PAUSE: Final = 0.15


async def again(work: Callable[[], Awaitable[T]], codes: Iterable[str]) -> T:
    """What the work gives once it is no more refused with one of these codes; the last refusal after `SECONDS`."""
    passing, loop = frozenset(codes), asyncio.get_running_loop()
    last = loop.time() + SECONDS
    while True:
        try:
            return await work()
        except Refused as refused:
            if refused.code not in passing or loop.time() > last:
                raise
        await asyncio.sleep(PAUSE)


async def until(holds: Callable[[], Awaitable[bool]], otherwise: str) -> None:
    """Return once it holds. Raises Fault with the text `otherwise` after `SECONDS`."""
    loop = asyncio.get_running_loop()
    last = loop.time() + SECONDS
    while not await holds():
        if loop.time() > last:
            raise Fault(otherwise)
        await asyncio.sleep(PAUSE)


async def together(works: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Do all of this at the same time; the first failure ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
