"""`parindex demo`: the year-period of 2024 with the four pilot agencies, from an empty stack to an audited result."""

import asyncio
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.status import Status

from deploy.commands.officer import read_opening
from deploy.demo import ending
from deploy.demo.people import People
from deploy.demo.screen import Screen
from deploy.demo.story import OPENING, Story
from deploy.fault import Fault
from deploy.local.compose import ROOT
from deploy.local.home import Home
from deploy.local.stack import Stack, start
from shared.rubric import PeriodOpening

DEPLOYMENT: Final = "hanoi.demo"
SUFFIX: Final = ".demo"
PERIOD: Final = ROOT / "deploy" / "periods" / "hanoi-2024-year.yaml"
FILES: Final = "declarations"
SETTINGS: Final = {"PARINDEX_ARCHIVE_INTERVAL": "1", "PARINDEX_BOX_INTERVAL": "1"}
"""Seconds, so that little time is spent waiting."""

WIDTH: Final = 132
"""Columns of what is printed where the output is no terminal."""
HOME: Final = Path(".parindex/demo")

app = typer.Typer()


@app.command()
def demo(
    home: Annotated[Path, typer.Option("--home", help="Folder of the demonstration's own stack.")] = HOME,
) -> None:
    """Play a whole period with four agencies on a fresh stack; ends with the audit, and with its exit code."""
    begun, console = time.monotonic(), Console(width=None if sys.stdout.isatty() else WIDTH)
    path = home.absolute()
    _clear(path)
    opening = read_opening(PERIOD)
    stack = _start(console, path)
    screen = Screen(console, begun, opening.period)
    screen.tell(f"{DEPLOYMENT} đã khởi động, vết tại {stack.zipkin}/zipkin/", "the stack is up, traces are there")
    published, trace = asyncio.run(_play(screen, stack, opening))
    ending.show_published(console, published, opening)
    archive, policy = ending.take_out(stack)
    code = ending.audit(console, archive, policy, opening.period)
    ending.farewell(console, stack, opening.period, trace)
    screen.tell("Xong", "done")
    raise typer.Exit(code)


def _clear(path: Path) -> None:
    """Delete what an earlier demonstration left in its home. Raises Fault if anything else is there."""
    if (path / "home.json").exists():
        deployment = Home.load(path).deployment
        if not deployment.endswith(SUFFIX):
            raise Fault(f"{path} holds {deployment}; only what ends in {SUFFIX} is deleted: choose another --home")
        Stack.load(path).reset()
    elif path.exists() and not ending.is_all_there(path, SUFFIX, FILES):
        raise Fault(f"{path} holds other files than a demonstration's; choose another --home")
    shutil.rmtree(path / FILES, ignore_errors=True)
    ending.clear(path)


def _start(console: Console, path: Path) -> Stack:
    states: dict[str, str] = {}
    with Status("khởi động / starting", console=console) as status:

        def progress(name: str, state: str) -> None:
            states[name] = state
            status.update("  ".join(f"{part} {stands}" for part, stands in states.items() if stands != "ready"))

        return start(path, deployment=DEPLOYMENT, clock=OPENING, progress=progress, settings=SETTINGS)


async def _play(screen: Screen, stack: Stack, opening: PeriodOpening) -> tuple[dict[str, Any], str]:
    async with People(stack) as people:
        story = Story(stack, opening, people, screen, stack.home.path / FILES)
        async with screen.following(await people.approver()):
            await story.play()
        published: dict[str, Any] = await (await people.anyone()).get("scoring", f"/published/{opening.period}")
        await story.archived()
        return published, story.trace
