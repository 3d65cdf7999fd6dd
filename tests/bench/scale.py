"""A whole period of 10, 100 and 1,000 agencies with 150 items each, through the services' doors: how time grows.

`python -m tests.bench.scale HOME [SIZE …]`. Each size is one period: opened, declared, proven, approved and submitted,
recognised, closed, finalised, consolidated, approved, published. What is not reached in time is told as such.
"""

import asyncio
import secrets
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import uvloop

from deploy.assessment import send_file
from deploy.client import Client, Refused
from deploy.fault import Fault
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label, Rubric, load_rubric
from tests.bench.figure import Figure, tell
from tests.flow.office import Office, patient

SIZES: Final = (10, 100, 1000)
FIELDS: Final = 5
ITEMS: Final = 150
BATCH: Final = 50
"""Declarations in one request to the intake."""
TOGETHER: Final = 16
"""Agencies at work at the same time."""
LIMIT: Final = 1200.0
"""Seconds that one size may take."""
AGAIN: Final = 2.0
"""Seconds until what timed out or is not applied yet is asked again."""
DONE: Final = frozenset({"already-published", "agency-closed", "period-exists"})
"""Refusals of a repeat: the first request, whose answer was late, has done it."""
WAITING: Final = frozenset({"survey-open", "heads-not-archived", "agency-open", "leaf-open"})
"""What stands open only until a service has applied, or the archive holds, what is accepted."""


class OutOfTime(Exception):
    """The size's time has ended."""


def instrument() -> Rubric:
    """A rubric of so many yes-or-no items in so many fields, 100 points, without a survey."""
    each = ITEMS // FIELDS
    lines = [
        "id: scale",
        "title: {vi: Bộ tiêu chí để đo, en: A rubric to measure with}",
        "official: false",
        'source: {instrument: "1/QĐ", dated: "2024-01-01"}',
        "note: {vi: Để đo, en: To measure}",
        "parts: {appraisal: {label: {vi: Thẩm định}, max: '150'}}",
        "total: {rule: sum, scale: '150'}",
        "reasons: [{id: as-declared, label: {vi: Như kê khai}}]",
        "fields:",
    ]
    for field in range(1, FIELDS + 1):
        lines += [f'  - code: "{field}"', f"    label: {{vi: Lĩnh vực {field}}}", "    criteria:"]
        for item in range(1, each + 1):
            label = f"label: {{vi: Tiêu chí {field}.{item}}}"
            lines.append(f'      - {{code: "{field}.{item}", {label}, max: "1", rule: {{kind: yes-no}}}}')
    return load_rubric("\n".join(lines))


class Run:
    """One size: its office, and how long each step took."""

    def __init__(self, office: Office, size: int) -> None:
        self._office, self._size = office, size
        self._begun = perf_counter()
        self._items = list(office.opening.rubrics[0].leaves)
        self.done = 0
        self.step = "open"
        self.seconds: dict[str, float] = {}

    def left(self) -> float:
        """Seconds until the end of the size's time."""
        return LIMIT - (perf_counter() - self._begun)

    async def whole(self) -> None:
        """All steps; OutOfTime when the time ends before the last."""
        office = self._office
        async with self._measured("open"):
            await self._persist(office.open)
        async with self._measured("submit"):
            await self._each(self._assess)
        async with self._measured("appraise"):
            await self._each(office.recognise)
        async with self._measured("publish"):
            await self._each(office.close)
            await self._persist(office.finalise)
            result = await self._persist(office.consolidate)
            await self._persist(lambda: office.approve(result["digest"]))
            await self._persist(office.publish)

    @asynccontextmanager
    async def _measured(self, step: str) -> AsyncIterator[None]:
        self.step, self.done, begun = step, 0, perf_counter()
        try:
            async with asyncio.timeout(max(self.left(), 0)):
                yield
        except TimeoutError:
            raise OutOfTime from None
        self.seconds[step] = perf_counter() - begun
        sys.stderr.write(f"{self._size:>5} agencies: {step:9} {self.seconds[step]:8.1f} s\n")

    async def _each(self, work: Callable[[str], Awaitable[None]]) -> None:
        """The work for every agency, some at a time."""
        waiting = list(self._office.groups)

        async def worker() -> None:
            while waiting:
                agency = waiting.pop()
                await self._persist(partial(work, agency))
                self.done += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(TOGETHER):
                group.create_task(worker())

    async def _persist(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """The work, done again where a busy machine answered too late or has not applied yet."""
        while True:
            try:
                return await work()
            except Refused as refused:
                if refused.code in DONE:
                    return None
                codes = {error.get("code") for error in refused.problem.get("errors", ())}
                if not codes or not codes <= WAITING:
                    raise
            except Fault as fault:
                if "cannot be reached" not in str(fault):
                    raise
            await asyncio.sleep(AGAIN)

    async def _assess(self, agency: str) -> None:
        """All items by the intake, one document for all of them, the head's approval, the submission."""
        office = self._office
        async with self._client(Role.AGENCY, agency) as clerk, self._client(Role.AGENCY_HEAD, agency) as head:
            for batch in _batches(self._items):
                events = [self._declaration(agency, item) for item in batch]
                receipts = await clerk.post("submission", "/intake", events)
                refused = [receipt for receipt in receipts if receipt["status"] != "accepted"]
                if refused:
                    raise Fault(f"{agency}: {refused[0]}")
            document = f"%PDF-1.4 {office.period} {agency}".encode()
            await send_file(clerk, office.here(agency), "bao-cao.pdf", document, "application/pdf", self._items)
            digest = {"digest": (await head.get("submission", office.here(agency)))["digest"]}
            await head.post("submission", office.here(agency, "/approval"), digest)
            path = office.here(agency, "/submission")
            await patient(lambda: clerk.post("submission", path, digest), lambda _: False)

    def _client(self, role: Role, agency: str) -> Client:
        return Client(self._office.stack.services, self._office.token(role, agency))

    def _declaration(self, agency: str, item: str) -> dict[str, Any]:
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._office.period}/{agency}/{item}")
        return {
            "specversion": "1.0",
            "id": str(name),
            "source": f"urn:{agency}",
            "type": "parindex.intake.declare.v1",
            "data": {"period": self._office.period, "item": item, "data": "yes" if name.int % 3 else "no"},
        }

    async def events(self) -> int:
        """The entries of the period's four logs."""
        total = 0
        for url in self._office.stack.services.values():
            progress = (await self._office.http.get(f"{url}/health/progress", timeout=60)).json()
            total += sum(log["size"] for log in progress["logs"] if log["log"].endswith(f"/{self._office.period}"))
        return total


def _batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


async def one_size(stack: Stack, size: int, smallest: int, before: Sequence[Figure]) -> list[Figure]:
    """The figures of one size beside those of the smallest, which come first in `before`."""
    agencies = [Agency(id=f"scale-{number:04}", name=Label(vi=f"Cơ quan {number}")) for number in range(size)]
    rules = instrument()
    name = f"scale-{size}-{secrets.token_hex(2)}"
    async with await Office.plan(stack, name, ("central", rules, agencies)) as office:
        run, begun = Run(office, size), perf_counter()
        about = f"{size:,} agencies × {ITEMS} items"
        try:
            await run.whole()
        except OutOfTime:
            about += f", within {LIMIT:g} s only as far as “{run.step}”, {run.done} of {size}"
        rate = await run.events() / (perf_counter() - begun)
        steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in run.seconds.items())
        figures = [
            Figure(
                f"events a second, {about}",
                "/s",
                rate,
                "the smallest size",
                before[0].value if before else rate,
                others=steps,
            )
        ]
        if "publish" in run.seconds:
            took = 1000 * run.seconds["publish"]
            grown = before[1].value * size / smallest if len(before) > 1 else took
            name = f"from the last appraisal to the published index, {about}"
            figures.append(Figure(name, "ms", took, "the smallest size in proportion", grown))
        return figures


async def measure(stack: Stack, sizes: Sequence[int]) -> list[Figure]:
    """Every size, the smallest first."""
    found: list[Figure] = []
    for size in sorted(sizes):
        found += await one_size(stack, size, min(sizes), found)
    return found


if __name__ == "__main__":
    chosen = [int(word) for word in sys.argv[2:]] or list(SIZES)
    tell(uvloop.run(measure(Stack.load(Path(sys.argv[1])), chosen)))
