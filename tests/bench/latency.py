"""From a request at one service's door until the live table shows it, at a steady rate of requests."""

import asyncio
import itertools
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.client import Client
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.bench.figure import Figure, percentile, tell
from tests.bench.place import Place
from tests.flow.office import RUBRICS, Office, rubric

RATE: Final = 50  # requests a second
WARM: Final = 100  # requests that are not counted
COUNTED: Final = 600
PATIENCE: Final = 30.0  # seconds after the last request until all must be seen
AGENCIES: Final = 4
ITEM: Final = "7.1"
"""A count of 0,5 points each up to 2: data from 1 to 4 move the card."""
TARGETS: Final = {50: 40.0, 99: 150.0}
"""Milliseconds by per cent."""


async def steadily(send: Callable[[int], Coroutine[Any, Any, None]]) -> list[float]:
    """Send all requests, each at its time whether or not those before it are answered; when each was due."""
    begun = perf_counter() + 0.05
    due = [begun + number / RATE for number in range(WARM + COUNTED)]
    async with asyncio.TaskGroup() as group:
        for number, time in enumerate(due):
            await asyncio.sleep(max(0.0, time - perf_counter()))
            group.create_task(send(number))
    return due


class Watch:
    """When the live table first showed each size of a log."""

    def __init__(self, officer: Client, path: str, log: str) -> None:
        self._officer, self._path, self._log = officer, path, log
        self.shown: list[tuple[int, float]] = []

    async def run(self) -> None:
        """Read the table again and again; the service answers as soon as there is a newer one."""
        version = 0
        while True:
            table = await self._officer.get("scoring", f"{self._path}?after={version}")
            self.shown.append((table["heads"][self._log]["size"], perf_counter()))
            version = table["version"]

    async def until(self, size: int) -> None:
        """Return when the table has shown this size."""
        async with asyncio.timeout(PATIENCE):
            while not self.shown or self.shown[-1][0] < size:  # noqa: ASYNC110 - it is seen by a request that waits
                await asyncio.sleep(0.01)

    def first(self, position: int) -> float:
        """When an entry was first shown."""
        return next(time for size, time in self.shown if size > position)


async def index_latencies(stack: Stack) -> list[float]:
    """Milliseconds from when a request was due until the table that has its entry has been read."""
    agencies = [Agency(id=f"agency-{number}", name=Label(vi=f"Cơ quan {number}")) for number in range(1, AGENCIES + 1)]
    name, rules = f"bench-{secrets.token_hex(4)}", rubric(RUBRICS / "vinh-phuc-2019.yaml")
    async with await Office.plan(stack, name, ("central", rules, agencies)) as office:
        await office.open()
        clerks = [(agency.id, await office.by(Role.AGENCY, agency.id)) for agency in agencies]
        log = f"submission/{office.period}"
        watch = Watch(await office.by(Role.OFFICER), office.here(rest="/table"), log)
        positions: dict[int, int] = {}

        async def declare(number: int) -> None:
            agency, clerk = clerks[number % AGENCIES]
            body = {"data": str(number // AGENCIES % 4 + 1)}
            answer = await clerk.put("submission", office.here(agency, f"/items/{ITEM}"), body)
            positions[number] = answer["position"]

        async with _running(watch.run()):
            due = await steadily(declare)
            await watch.until(max(positions.values()) + 1)
        return [1000 * (watch.first(positions[number]) - time) for number, time in _counted(due)]


async def round_trips(kafka: str) -> list[float]:
    """Milliseconds from when a bare record was due until a bare consumer has it."""
    topic, came = f"bench-{secrets.token_hex(4)}", dict[int, float]()
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, enable_idempotence=True, acks="all")
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
        await producer.start()
        await consumer.start()

        async def receive() -> None:
            async for record in consumer:
                came[int(record.value)] = perf_counter()

        async def send(number: int) -> None:
            await producer.send_and_wait(topic, str(number).encode())

        async with _running(receive()):
            due = await steadily(send)
            async with asyncio.timeout(PATIENCE):
                while len(came) < len(due):  # noqa: ASYNC110 - records come when they come
                    await asyncio.sleep(0.01)
    finally:
        await consumer.stop()
        await producer.stop()
        await admin.delete_topics([topic])
        await admin.close()
    return [1000 * (came[number] - time) for number, time in _counted(due)]


def _counted(due: list[float]) -> Iterator[tuple[int, float]]:
    return itertools.islice(enumerate(due), WARM, None)


@asynccontextmanager
async def _running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        if not isinstance(outcome, asyncio.CancelledError):
            raise outcome


async def measure(stack: Stack) -> list[Figure]:
    """The percentiles of both."""
    floor, seen = await round_trips(Place.of(stack).kafka), await index_latencies(stack)
    return [
        Figure(
            f"request to new index visible, p{per_cent}",
            "ms",
            percentile(seen, per_cent),
            "bare aiokafka round trip",
            percentile(floor, per_cent),
            target,
        )
        for per_cent, target in TARGETS.items()
    ]


if __name__ == "__main__":
    tell(uvloop.run(measure(Stack.load(Path(sys.argv[1])))))
