"""The ledgers as they lie in the services' databases, read past the services, and whether all copies are level."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import asyncpg
import httpx

from deploy.local.home import SERVICES
from deploy.local.stack import Stack
from deploy.migrate import dsn
from shared.events import Entry
from shared.tlog.merkle import EMPTY, leaf_hash

FOLLOWS: Final = {
    "submission": ("appraisal", "scoring"),
    "appraisal": ("submission", "survey", "scoring"),
    "survey": ("submission", "scoring"),
    "scoring": ("submission", "appraisal", "survey"),
}
"""Whose logs each service follows."""
PAUSE: Final = 0.25


async def rows(stack: Stack, service: str, query: str, *args: Any) -> list[Any]:
    """What the owner of a service's database reads there."""
    connection = await asyncpg.connect(dsn(stack.owner_url(service)))
    try:
        found: list[Any] = await connection.fetch(query, *args)
    finally:
        await connection.close()
    return found


async def entries(stack: Stack, service: str, log: str, table: str = "entry") -> list[Entry]:
    """The entries of a log in position order: the service's own (`entry`), or its copy of another's (`followed`)."""
    query = f"SELECT position, header, salt, data FROM {table} WHERE log = $1 ORDER BY position"  # noqa: S608 - two names of ours
    return [Entry(log, *row) for row in await rows(stack, service, query, log)]


def root(log: Sequence[Entry]) -> bytes:
    """The root over the entries."""
    return EMPTY.extend(leaf_hash(entry.leaf) for entry in log).root()


async def level(stack: Stack, period: str, seconds: float) -> None:
    """Wait until every service is ready, has relayed, signed and archived the period's log and its register to their
    ends, and has applied those that it follows; fails with what is not so after so many seconds.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    logs = {f"{service}/{name}" for service in SERVICES for name in (period, "register")}
    async with httpx.AsyncClient(timeout=10) as http:
        while wrong := await _behind(http, stack, logs):
            assert loop.time() < end, "; ".join(wrong)
            await asyncio.sleep(PAUSE)


async def _behind(http: httpx.AsyncClient, stack: Stack, logs: Collection[str]) -> list[str]:
    told, wrong = {}, []
    for service, url in stack.services.items():
        try:
            ready, progress = await http.get(f"{url}/health/ready"), await http.get(f"{url}/health/progress")
        except httpx.HTTPError as failure:
            return [f"{service} does not answer: {type(failure).__name__}"]
        if ready.is_error or progress.is_error:
            return [f"{service}: {answer.text}" for answer in (ready, progress) if answer.is_error]
        told[service] = progress.json()
    sizes = {log["log"]: log["size"] for each in told.values() for log in each["logs"]}
    for service, each in told.items():
        wrong += [f"{service}: {what}" for what in _not_level(each, sizes, FOLLOWS[service], logs)]
    return wrong


def _not_level(
    told: Mapping[str, Any], sizes: Mapping[str, int], follows: Collection[str], logs: Collection[str]
) -> Iterator[str]:
    if told["lag"]:
        yield f"{told['lag']} records wait"
    yield from (f"{log} is stopped: {why}" for log, why in told["stopped"].items() if log in logs)
    for own in told["logs"]:
        reached = {name: own[name] for name in ("relayed", "checkpoint", "archived")}
        if own["log"] in logs and {*reached.values()} != {own["size"]}:
            yield f"{own['log']} of {own['size']}: {reached}"
    copies = {copy["log"]: copy for copy in told["follows"]}
    for log in sorted(logs):
        copy, size = copies.get(log, {}), sizes.get(log)
        whole = {"size": size, "checked": size, "parked": False}
        if log.partition("/")[0] in follows and not whole.items() <= copy.items():
            yield f"{log} of {size}: {copy}"
