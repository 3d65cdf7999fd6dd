"""Commands of the local stack: up, down, status, reset, logs; its secrets, tokens, migrations and clock."""

import asyncio
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import httpx
import typer
from asyncpg.exceptions import InterfaceError, PostgresError
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy import migrate as migration
from deploy.fault import Fault
from deploy.local import clock as clocks
from deploy.local import credentials, jars
from deploy.local.home import NAMES, SERVICES, check_movable
from deploy.local.record import Process, Record, State
from deploy.local.stack import Progress, Stack, default_home, start
from shared.access import Role

T = TypeVar("T")
MIB: Final = 1024 * 1024
SHOWN: Final = 48  # characters of a name at most; a root is told apart by far fewer
COLOURS: Final = {State.READY: "green", State.FAILED: "red", State.RESTARTING: "yellow", State.STOPPED: "dim"}

app = typer.Typer()
clock = typer.Typer(help="The deployment's clock; only in deployments ending in .demo or .test it can be moved.")

HomeOption = Annotated[
    Path | None, typer.Option("--home", envvar="PARINDEX_HOME", help="Folder of the stack.", show_default=".parindex")
]


@app.command()
def fetch() -> None:
    """Download and check the jars of Kafka and Zipkin, which `up` would do otherwise."""
    with _display() as progress:
        jars.obtain([jars.KAFKA, jars.ZIPKIN], lambda done, of: progress("downloads", f"{done} of {of} jars"))


@app.command()
def up(
    home: HomeOption = None,
    deployment: Annotated[str | None, typer.Option(help="Name of a new deployment, e.g. parindex.demo.")] = None,
    begin: Annotated[
        str | None, typer.Option("--clock", help="A new deployment's clock begins here (.demo and .test only).")
    ] = None,
    only: Annotated[str | None, typer.Option(help=f"Only these parts, of {','.join(NAMES)}.")] = None,
) -> None:
    """Start the stack and return when everything is ready."""
    begun = time.monotonic()
    with _display() as progress:
        stack = start(
            home or default_home(),
            deployment=deployment,
            clock=None if begin is None else _instant(begin),
            only=NAMES if only is None else [name.strip() for name in only.split(",")],
            progress=progress,
        )
    console = Console()
    console.print(f"{stack.home.deployment} is up after {time.monotonic() - begun:.1f} s", highlight=False)
    console.print(_addresses(stack))


@app.command()
def url(
    part: Annotated[str, typer.Argument(help="A service, s3 or zipkin.")],
    home: HomeOption = None,
) -> None:
    """Print where a part of the stack answers."""
    stack = Stack.load(home or default_home())
    known = {**stack.services, "s3": stack.s3_endpoint, "zipkin": stack.zipkin}
    if part not in known:
        raise Fault(f"there is no part {part!r} with a URL; there are {', '.join(known)}")
    sys.stdout.write(f"{known[part]}\n")


@app.command()
def down(home: HomeOption = None) -> None:
    """End the stack; its data stays."""
    with _display() as progress:
        ended = Stack.load(home or default_home()).down(progress)
    sys.stdout.write("the stack is down\n" if ended else "the stack was not up\n")


@app.command()
def reset(home: HomeOption = None, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """End the stack and delete its data, logs and secrets."""
    stack = Stack.load(home or default_home())
    if not yes and not typer.confirm(f"Delete all data of {stack.home.deployment} in {stack.home.path}?"):
        raise Fault("nothing was deleted")
    stack.reset()
    sys.stdout.write(f"deleted {stack.home.path}\n")


@app.command()
def status(home: HomeOption = None) -> None:
    """Show the processes, and each service's logs: sizes, heads, lag, last checkpoint."""
    stack = Stack.load(home or default_home())
    record = stack.record
    if record is None:
        last = Record.load(stack.home.record)
        why = f" ({last.cause})" if last is not None and last.cause else ""
        raise Fault(f"the stack in {stack.home.path} is down{why}; `parindex up` starts it")
    console = Console()
    console.print(f"{stack.home.deployment} in {stack.home.path}: {record.state}", highlight=False)
    console.print(_processes(stack, record))
    reports = _run(_progress({name: url for name, url in stack.services.items() if name in record.processes}))
    if reports:
        console.print(_logs(reports))
        console.print(_followed(reports))


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="A part, or `supervisor`; all without it.")] = None,
    home: HomeOption = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines of each file.")] = 20,
) -> None:
    """Print the last lines of the processes' logs."""
    stack = Stack.load(home or default_home())
    names = [*NAMES, "supervisor"]
    if name is not None and name not in names:
        raise Fault(f"there is no log {name!r}; there are {', '.join(names)}")
    files = {part: stack.home.log(part) for part in ([name] if name else names)}
    ends = {}
    for part, file in files.items():
        content = file.read_bytes() if file.exists() else b""
        ends[part] = len(content)
        _write(part, content.splitlines()[-lines:] if lines else [], alone=name is not None)
    while follow:
        time.sleep(0.3)
        for part, file in files.items():
            ends[part] = _follow(part, file, ends[part], alone=name is not None)


@app.command()
def token(
    sub: Annotated[str, typer.Argument(help="Who: the subject of the token.")],
    role: Annotated[list[Role], typer.Option("--role", "-r", help="A role; may be repeated.")],
    agency: Annotated[str | None, typer.Option(help="The agency that the token speaks for.")] = None,
    minutes: Annotated[int, typer.Option(min=1, max=7 * 24 * 60, help="How long it holds.")] = 8 * 60,
    home: HomeOption = None,
) -> None:
    """Print a token of the local issuer."""
    stack = Stack.load(home or default_home())
    try:
        minted = stack.token(sub, role, agency, timedelta(minutes=minutes))
    except ValueError as error:
        raise Fault(str(error)) from error
    sys.stdout.write(minted + "\n")


@app.command()
def secrets(
    folder: Annotated[Path, typer.Argument(help="A folder for the containers' secrets.")],
    deployment: Annotated[str, typer.Option(help="Name of the deployment, e.g. parindex.example.")],
) -> None:
    """Make the secrets that docker-compose.yml mounts; those that are there stay."""
    year = str(datetime.now(UTC).year)
    credentials.make(folder, deployment=deployment, generation=year, postgres="postgres:5432", mode=credentials.MOUNTED)
    sys.stdout.write(f"{folder} has the secrets of {deployment}\n")


@app.command()
def migrate(home: HomeOption = None) -> None:
    """Run the database migrations that were not yet run, in each service's database of the running stack."""
    stack = Stack.load(home or default_home())

    async def all_services() -> list[str]:
        return [
            f"{service}: {', '.join(await migration.migrate(stack.owner_url(service), service)) or 'nothing to run'}\n"
            for service in SERVICES
        ]

    sys.stdout.write("".join(_run(all_services())))


@clock.command("show")
def clock_show(home: HomeOption = None) -> None:
    """Print what the deployment's clock says."""
    stack = Stack.load(home or default_home())
    sys.stdout.write(f"{_run(clocks.now(stack.owner_url(SERVICES[0]))).isoformat(timespec='seconds')}\n")


@clock.command("forward")
def clock_forward(
    to: Annotated[str, typer.Option("--to", help="The instant, with its offset: 2024-12-01T00:00+07:00.")],
    home: HomeOption = None,
) -> None:
    """Move the clock of all services forward to an instant."""
    stack = Stack.load(home or default_home())
    check_movable(stack.home.deployment)
    _run(clocks.forward([stack.owner_url(service) for service in SERVICES], _instant(to)))
    sys.stdout.write(f"the clock of {stack.home.deployment} is at {to}\n")


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Fault(f"{text!r} is no instant; write it like 2024-12-01T00:00+07:00") from None
    if instant.tzinfo is None:
        raise Fault(f"{text!r} has no offset; write it like 2024-12-01T00:00+07:00")
    return instant


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except (OSError, PostgresError, InterfaceError) as error:
        raise Fault(f"the database does not answer: {error}; is the stack up?") from error


@contextmanager
def _display() -> Iterator[Progress]:
    """A table of what is worked on, redrawn in place; nothing where the output is no terminal."""
    states: dict[str, str] = {}

    def table() -> Table:
        grid = Table.grid(padding=(0, 2))
        for name, state in states.items():
            colour = COLOURS.get(State(state), "cyan") if state in set(State) else "cyan"
            grid.add_row(name, f"[{colour}]{state}")
        return grid

    with Live(console=Console(stderr=True), transient=True, get_renderable=table, refresh_per_second=8) as live:

        def progress(name: str, state: str) -> None:
            if states.get(name) != state:
                states[name] = state
                live.refresh()

        yield progress


def _addresses(stack: Stack) -> Table:
    record = stack.record
    running = set() if record is None else set(record.processes)
    where = {
        **stack.services,
        "zipkin": f"{stack.zipkin}/zipkin/",
        "s3": stack.s3_endpoint,
        "kafka": stack.kafka,
        "postgres": stack.home.address("postgres"),
    }
    grid = Table.grid(padding=(0, 2))
    for name in [name for name in where if name in running]:
        grid.add_row(name, where[name])
    return grid


def _processes(stack: Stack, record: Record) -> Table:
    table = Table("process", "state", "pid", "port", "memory", "restarts", "since")
    for name, known in record.processes.items():
        process = record.process(name)
        memory = "" if process is None else f"{process.memory_info().rss // MIB} MiB"
        shown = f"[{COLOURS.get(known.state, 'cyan')}]{known.state}" + (f"[/] {known.cause}" if known.cause else "")
        pid, port = str(known.pid or ""), str(stack.home.ports[name])
        table.add_row(name, shown, pid, port, memory, str(known.restarts), _since(known))
    return table


def _since(known: Process) -> str:
    return str(timedelta(seconds=int(time.time() - known.since)))


async def _progress(services: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What the services that answer say of their logs."""
    reports = {}
    async with httpx.AsyncClient(timeout=3.0, trust_env=False) as client:
        for name, url in services.items():
            try:
                response = await client.get(f"{url}/health/progress")
                if response.is_success:
                    reports[name] = response.json()
            except (httpx.HTTPError, ValueError):
                continue  # its row in the table of processes says how it is
    return reports


def _logs(reports: dict[str, dict[str, Any]]) -> Table:
    table = Table("log", "size", "root", "relayed", "checkpoint", "archived", title="logs")
    table.columns[0].no_wrap = True
    for report in reports.values():
        for log in report.get("logs", ()):
            columns = (log.get(name) for name in ("log", "size", "root", "relayed", "checkpoint", "archived"))
            table.add_row(*("" if value is None else str(value)[:SHOWN] for value in columns))
        for log, why in report.get("stopped", {}).items():
            table.add_row(str(log), f"[red]{why}")
    return table


def _followed(reports: dict[str, dict[str, Any]]) -> Table:
    table = Table("service", "follows", "applied", "state", "lag", title="followed logs")
    table.columns[1].no_wrap = True
    for service, report in reports.items():
        for log in report.get("follows", ()):
            state = "[red]parked" if log.get("parked") else "[green]following"
            table.add_row(service, str(log.get("log")), str(log.get("size")), state, str(report.get("lag", "")))
    return table


def _write(part: str, lines: list[bytes], *, alone: bool) -> None:
    for line in lines:
        text = line.decode(errors="replace")
        sys.stdout.write(f"{text}\n" if alone else f"{part:>10} | {text}\n")
    sys.stdout.flush()


def _follow(part: str, file: Path, end: int, *, alone: bool) -> int:
    """Write the whole lines after `end`; where the next ones begin. A new file is read from its start."""
    size = file.stat().st_size if file.exists() else 0
    start_at = end if size >= end else 0
    if size == start_at:
        return start_at
    with file.open("rb") as stream:
        stream.seek(start_at)
        fresh = stream.read(size - start_at)
    whole = fresh[: fresh.rfind(b"\n") + 1]
    _write(part, whole.splitlines(), alone=alone)
    return start_at + len(whole)
