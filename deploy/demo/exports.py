"""What the people of the demonstration take home: every report and table of each period, written to a folder."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from deploy.client import Client
from deploy.demo.meeting import SESSION
from deploy.demo.patience import together
from deploy.demo.people import People
from shared.rubric import PeriodOpening

FORMATS: Final = ("xlsx", "csv", "json")
REPORTS: Final = ("docx", "pdf", "xlsx")
MINUTES: Final = ("docx", "pdf", "json")
AT_ONCE: Final = 4
"""Files that are asked for at the same time."""


class Wanted(NamedTuple):
    """One file: where it is written, below the folder, and which route of which service gives it."""

    file: str
    service: str
    path: str


def results(opening: PeriodOpening, before: str | None) -> Iterator[Wanted]:
    """The published tables of a period, with the comparison where an earlier period is named."""
    period = opening.period
    here = f"/published/{period}"
    for form in FORMATS:
        for what in ("ranking", "fields", "criteria"):
            yield Wanted(f"{period}/{what}.{form}", "scoring", f"{here}/export?what={what}&format={form}")
        if before is not None:
            query = f"what=comparison&before={before}&format={form}"
            yield Wanted(f"{period}/comparison.{form}", "scoring", f"{here}/export?{query}")
    earlier = "" if before is None else f"?before={before}"
    for agency in _agencies(opening):
        for form in FORMATS:
            query = f"what=agency&agency={agency}&format={form}"
            yield Wanted(f"{period}/agencies/{agency}.{form}", "scoring", f"{here}/export?{query}")
        yield Wanted(f"{period}/strengths/{agency}.json", "scoring", f"{here}/agencies/{agency}/strengths{earlier}")


def papers(opening: PeriodOpening, minutes: bool) -> Iterator[Wanted]:
    """The self-assessment reports of a period, and the minutes of its council's session."""
    period = opening.period
    for agency in _agencies(opening):
        for form in REPORTS:
            path = f"/periods/{period}/agencies/{agency}/report?format={form}"
            yield Wanted(f"{period}/reports/{agency}.{form}", "submission", path)
    if minutes:
        session = f"/periods/{period}/council/sessions/{SESSION}/minutes"
        for form in MINUTES:
            yield Wanted(f"{period}/minutes.{form}", "appraisal", f"{session}?format={form}")


async def write(people: People, folder: Path, opening: PeriodOpening, before: str | None, minutes: bool) -> list[Path]:
    """Write all of a period; the files, sorted."""
    anyone, officer = await people.anyone(), await people.officer()
    wanted = [(anyone, each) for each in results(opening, before)]
    wanted += [(officer, each) for each in papers(opening, minutes)]
    turn = asyncio.Semaphore(AT_ONCE)

    async def fetch(client: Client, each: Wanted) -> None:
        async with turn:
            answer = await client.send(each.service, "GET", each.path)
        file = folder / each.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(answer.content)

    await together(fetch(client, each) for client, each in wanted)
    return sorted(folder / each.file for _, each in wanted)


def _agencies(opening: PeriodOpening) -> list[str]:
    return [agency.id for group in opening.groups for agency in group.agencies]
