"""`python -m tests.bench`: one table of what the parts reach here, each figure beside its floor.

Each part is measured by a process of its own, on servers that it starts and ends; nothing fails for being slow.
"""

import argparse
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from deploy.fault import Fault
from deploy.local import stack as local
from deploy.local.home import NAMES
from deploy.local.stack import Stack
from tests.bench.figure import Figure
from tests.bench.place import Place
from tests.conftest import ROOT

PARTS: Final = ("ledger", "latency", "follow", "audit", "scale")
SERVED: Final = ("latency", "scale")
"""The parts that need the services too."""
SERVERS: Final = ("postgres", "kafka")
SECONDS: Final = 240.0
"""That one part may take at most; it is far less on a quiet machine."""
LONG: Final = {"scale": 3000.0}
"""Those that take longer: a period of a thousand agencies, which ends its own time."""
WIDTH: Final = 130  # columns where the output is no terminal
QUIET: Final = 1.0  # load average below which a machine has little else to do


@contextmanager
def up(home: Path, only: Sequence[str], console: Console) -> Iterator[Stack]:
    """A stack of these parts in a home, down afterwards."""
    with console.status("starting the stack") as status:
        stack = local.start(
            home,
            deployment="parindex.test",
            only=only,
            progress=lambda name, state: status.update(f"starting the stack: {name} {state}"),
        )
    try:
        yield stack
    finally:
        stack.down()


def measured(
    part: str, console: Console, words: Sequence[str] = (), place: Mapping[str, str] | None = None
) -> list[Figure]:
    """The figures of one part; none, and why, if it did not end well."""
    argv, seconds = [sys.executable, "-m", f"tests.bench.{part}", *words], LONG.get(part, SECONDS)
    with console.status(f"measuring: {part}"):
        try:
            done = subprocess.run(
                argv,
                check=False,
                cwd=ROOT,
                env={**os.environ, **(place or {})},
                stdout=subprocess.PIPE,
                text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            console.print(f"{part}: not measured within {seconds:g} s")
            return []
    if done.returncode != 0:
        console.print(f"{part}: not measured, it ended with {done.returncode}")
        return []
    return [Figure.of_line(line) for line in done.stdout.splitlines()]


def run(home: Path | None, parts: Sequence[str], console: Console) -> list[Figure]:
    """The figures of these parts, on a stack that is up in a home, or on one of its own."""
    if home is not None:
        return on(Stack.load(home), parts, console)
    folder = ROOT / f".parindex-bench-{secrets.token_hex(4)}"
    alone, served = [part for part in parts if part not in SERVED], [part for part in parts if part in SERVED]
    figures: list[Figure] = []
    try:
        if alone:
            # without the services, which would take their share of the machine
            with up(folder, SERVERS, console) as stack:
                figures += on(stack, alone, console)
        if served:
            with up(folder, NAMES, console) as stack:
                figures += on(stack, served, console)
    finally:
        if (folder / "home.json").exists():
            Stack.load(folder).reset()
    return figures


def on(stack: Stack, parts: Sequence[str], console: Console) -> list[Figure]:
    """The figures of these parts on a stack that is up."""
    place = Place.of(stack).environment()
    found = {part: measured(part, console, [str(stack.home.path)] * (part in SERVED), place) for part in parts}
    return [figure for figures in found.values() for figure in figures]


def table(figures: Sequence[Figure], busy: float) -> Table:
    """All figures as one table; `busy` is the load average before the run."""
    shown = Table(box=box.SIMPLE_HEAD, caption=_machine(busy), caption_justify="left")
    shown.add_column("", min_width=64)
    for name in ("measured", "floor", "ratio", "target"):
        shown.add_column(name, justify="right")
    shown.add_column("met")
    for figure in figures:
        shown.add_row(
            _about(figure),
            _number(figure.value, figure.unit),
            _number(figure.floor, figure.unit),
            f"{figure.ratio:.2f}",
            _target(figure),
            {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[figure.is_met],
        )
    return shown


def _about(figure: Figure) -> str:
    lines = [figure.name, f"[dim]floor: {figure.floor_name}[/]"]
    return "\n".join(lines + [f"[dim]others: {figure.others}[/]"] * bool(figure.others))


def _number(value: float, unit: str) -> str:
    return f"{value:,.1f} ms" if unit == "ms" else f"{value:,.0f} {unit}"


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    if figure.of_floor:
        return f"≥ {figure.target} of floor"
    sign = "≤" if figure.unit == "ms" else "≥"
    return f"{sign} {figure.target:,.0f} {figure.unit}"


def _machine(busy: float) -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    said = f"{os.cpu_count()} cores, Python {python}; load average before the run {busy:.1f}"
    return said if busy < QUIET else f"{said}: the machine was busy, the figures are lower than they could be"


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    words.add_argument("--home", type=Path, help="the home of a stack that is up; by default one is made and deleted")
    words.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    given = words.parse_args()
    console, busy = Console(), os.getloadavg()[0]
    if not console.is_terminal:
        console = Console(width=WIDTH)
    try:
        figures = run(given.home, given.only, console)
    except Fault as fault:
        raise SystemExit(str(fault)) from fault
    console.print(table(figures, busy))


if __name__ == "__main__":
    main()
