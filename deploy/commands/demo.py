"""`parindex demo`: the year-period of 2024 with the four pilot agencies, from an empty stack to an audited result; with
`--full` both periods of 2025 with eleven agencies."""

import asyncio
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.console import Console
from rich.status import Status

from deploy.commands.officer import read_opening
from deploy.demo import ending, exports, plan
from deploy.demo.people import People
from deploy.demo.plan import Plan
from deploy.demo.screen import Screen
from deploy.demo.story import Story
from deploy.demo.whole import SixMonths, WholeYear
from deploy.fault import Fault
from deploy.local.compose import ROOT
from deploy.local.home import Home
from deploy.local.stack import Stack, start
from shared.rubric import PeriodOpening

DEPLOYMENT: Final = "hanoi.demo"
SUFFIX: Final = ".demo"
PERIODS: Final = ROOT / "deploy" / "periods"
FILES: Final = "declarations"
EXPORTS: Final = "exports"
"""Folders in the home: what agencies send, and what is taken home of the results."""
SETTINGS: Final = {"PARINDEX_ARCHIVE_INTERVAL": "1", "PARINDEX_BOX_INTERVAL": "1"}
"""Seconds, so that little time is spent waiting."""

WIDTH: Final = 132
"""Columns of what is printed where the output is no terminal."""
HOME: Final = Path(".parindex/demo")


class Act(NamedTuple):
    """One period of a demonstration: its file, who plays it, as planned."""

    file: Path
    story: type[Story]
    plan: Plan


SHORT: Final = (Act(PERIODS / "hanoi-2024-year.yaml", Story, plan.PILOT),)
FULL: Final = (
    Act(PERIODS / "hanoi-2025-six-month.yaml", SixMonths, plan.SIX_MONTH),
    Act(PERIODS / "hanoi-2025-year.yaml", WholeYear, plan.YEAR),
)


class Told(NamedTuple):
    """What a period came to: its opening, and the index as anyone reads it."""

    opening: PeriodOpening
    published: dict[str, Any]


app = typer.Typer()


@app.command()
def demo(
    home: Annotated[Path, typer.Option("--home", help="Folder of the demonstration's own stack.")] = HOME,
    full: Annotated[bool, typer.Option("--full", help="Both periods of a year, two groups, all exports.")] = False,
) -> None:
    """Play a whole period with four agencies on a fresh stack; ends with the audit, and with its exit code."""
    begun, console = time.monotonic(), Console(width=None if sys.stdout.isatty() else WIDTH)
    path = home.absolute()
    _clear(path)
    acts = FULL if full else SHORT
    openings = [read_opening(act.file) for act in acts]
    stack = _start(console, path, acts[0].plan.opening)
    screens = [Screen(console, begun, opening.period) for opening in openings]
    screens[0].tell(f"{DEPLOYMENT} đã khởi động, vết tại {stack.zipkin}/zipkin/", "the stack is up, traces are there")
    ends, trace = asyncio.run(_play(screens, stack, [*zip(acts, openings, strict=True)]))
    for end in ends:
        ending.show_published(console, end.published, end.opening)
    if full:
        written = asyncio.run(_export(stack, openings))
        ending.show_written(console, path / EXPORTS, written)
        screens[-1].tell("Đã ghi các báo cáo, bảng kết quả, biên bản", "reports, tables and minutes are written")
    archive, policy = ending.take_out(stack)
    code = ending.audit(console, archive, policy, openings[-1].period)
    ending.farewell(console, stack, openings[-1].period, trace)
    screens[-1].tell("Xong", "done")
    raise typer.Exit(code)


def _clear(path: Path) -> None:
    """Delete what an earlier demonstration left in its home. Raises Fault if anything else is there."""
    if (path / "home.json").exists():
        deployment = Home.load(path).deployment
        if not deployment.endswith(SUFFIX):
            raise Fault(f"{path} holds {deployment}; only what ends in {SUFFIX} is deleted: choose another --home")
        Stack.load(path).reset()
    elif path.exists() and not ending.is_all_there(path, SUFFIX, FILES, EXPORTS):
        raise Fault(f"{path} holds other files than a demonstration's; choose another --home")
    for folder in (FILES, EXPORTS):
        shutil.rmtree(path / folder, ignore_errors=True)
    ending.clear(path)


def _start(console: Console, path: Path, clock: datetime) -> Stack:
    states: dict[str, str] = {}
    with Status("khởi động / starting", console=console) as status:

        def progress(name: str, state: str) -> None:
            states[name] = state
            status.update("  ".join(f"{part} {stands}" for part, stands in states.items() if stands != "ready"))

        return start(path, deployment=DEPLOYMENT, clock=clock, progress=progress, settings=SETTINGS)


async def _play(
    screens: Sequence[Screen], stack: Stack, acts: Sequence[tuple[Act, PeriodOpening]]
) -> tuple[list[Told], str]:
    """Play the periods one after the other; what each came to, and the trace of a decision of the last one."""
    ends: list[Told] = []
    async with People(stack) as people:
        for screen, (act, opening) in zip(screens, acts, strict=True):
            story = act.story(stack, opening, act.plan, people, screen, stack.home.path / FILES)
            async with screen.following(await people.approver()):
                await story.play()
            ends.append(Told(opening, await (await people.anyone()).get("scoring", f"/published/{opening.period}")))
        await story.archived()
        return ends, story.trace


async def _export(stack: Stack, openings: Sequence[PeriodOpening]) -> list[Path]:
    """Write what there is of each period, the later one beside the earlier; only the last one's council has minutes."""
    files: list[Path] = []
    before = None
    async with People(stack) as people:
        for opening in openings:
            last = opening is openings[-1]
            files += await exports.write(people, stack.home.path / EXPORTS, opening, before, last)
            before = opening.period
    return files
