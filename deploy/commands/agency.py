"""The agency's side beside declaring: reopening, reminders, drafts of an earlier period, withdrawal, the report."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from deploy.client import Client
from deploy.commands.officer import DEFAULT_HOME, Home, Period, Token
from deploy.fault import Fault
from deploy.local.stack import Stack
from shared.events import parse_instant

T = TypeVar("T")

agency = typer.Typer(
    help="An agency's side: reopen, reminders, drafts, take-over, withdraw, report.", no_args_is_help=True
)
FORMATS = {".docx": "docx", ".pdf": "pdf", ".xlsx": "xlsx"}


def run(home: Path, token: str, work: Callable[[Client], Awaitable[T]]) -> T:
    async def whole() -> T:
        async with Client(Stack.load(home).services, token) as client:
            return await work(client)

    return asyncio.run(whole())


def told(answer: Any) -> None:
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


@agency.command("reopen")
def reopen(
    name: Annotated[str, typer.Argument(metavar="AGENCY")],
    until: Annotated[str, typer.Option(help="New last time, exclusive, like 2025-12-05T00:00+07:00.")],
    reason_code: Annotated[str, typer.Option(help="A reason code of the agency's rubric.")],
    reason: Annotated[str, typer.Option(help="The words of the reason.")],
    period: Period,
    token: Token,
    home: Home = DEFAULT_HOME,
) -> None:
    """Reopen one agency's self-assessment until a new last time (role officer)."""
    try:
        parse_instant(until)
    except ValueError:
        raise Fault(f"--until {until}: write a time with its offset, like 2025-12-05T00:00+07:00") from None
    body = {"until": until, "reason_code": reason_code, "reason": reason}
    path = f"/periods/{period}/agencies/{name}/reopening"
    told(run(home, token, lambda client: client.post("submission", path, body)))


@agency.command("reminders")
def reminders(
    period: Period,
    token: Token,
    days: Annotated[int, typer.Option(help="How many days ahead.")] = 14,
    home: Home = DEFAULT_HOME,
) -> None:
    """Show what is overdue, due soon or missing: of all agencies for an officer, else of one's own."""
    path = f"/periods/{period}/reminders?days={days}"
    answer = run(home, token, lambda client: client.get("submission", path))
    table = Table(title=f"{period}: {answer['at']}")
    for heading in (
        "Cơ quan / Agency",
        "Việc / What",
        "Tiêu chí / Item",
        "Hạn / Due",
        "Quá hạn / Overdue",
        "Thiếu / Missing",
    ):
        table.add_column(heading)
    for each in answer["reminders"]:
        overdue, missing = "có / yes" if each["overdue"] else "", str(len(each["missing"]) or "")
        table.add_row(each["name_vi"], each["what"], each["item"], each["due"], overdue, missing)
    Console().print(table)


@agency.command("drafts")
def drafts(
    name: Annotated[str, typer.Argument(metavar="AGENCY")],
    earlier: Annotated[str, typer.Option("--from", help="Id of the earlier period.")],
    period: Period,
    token: Token,
    home: Home = DEFAULT_HOME,
) -> None:
    """Show what an earlier period offers to be taken over, item by item (role agency, its own)."""
    path = f"/periods/{period}/agencies/{name}/drafts?from={earlier}"
    told(run(home, token, lambda client: client.get("submission", path)))


@agency.command("take-over")
def take_over(
    name: Annotated[str, typer.Argument(metavar="AGENCY")],
    item: str,
    data: Annotated[str, typer.Argument(help="The draft's data, as they were seen.")],
    earlier: Annotated[str, typer.Option("--from", help="Id of the earlier period.")],
    position: Annotated[int, typer.Option(help="Position of the draft's entry; see `agency drafts`.")],
    period: Period,
    token: Token,
    home: Home = DEFAULT_HOME,
) -> None:
    """Take one item over from an earlier period, with its evidence (role agency)."""
    body = {"data": data, "taken_from": {"log": f"submission/{earlier}", "position": position}}
    path = f"/periods/{period}/agencies/{name}/items/{item}"
    told(run(home, token, lambda client: client.put("submission", path, body)))


@agency.command("withdraw")
def withdraw(
    name: Annotated[str, typer.Argument(metavar="AGENCY")],
    sha256: str,
    period: Period,
    token: Token,
    item: Annotated[list[str] | None, typer.Option(help="An item that it no longer serves; all without one.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Withdraw a document from items before the submission; it is kept (role agency)."""
    path = f"/periods/{period}/agencies/{name}/evidence/{sha256}/withdrawal"
    told(run(home, token, lambda client: client.post("submission", path, {"items": item or []})))


@agency.command("report")
def report(
    name: Annotated[str, typer.Argument(metavar="AGENCY")],
    file: Annotated[Path, typer.Argument(help="Where it goes: a name that ends in .docx, .pdf or .xlsx.")],
    period: Period,
    token: Token,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write the self-assessment report in its official layout."""
    kind = FORMATS.get(file.suffix.lower())
    if kind is None:
        raise Fault(f"{file}: name a file that ends in .docx, .pdf or .xlsx")
    path = f"/periods/{period}/agencies/{name}/report?format={kind}"
    answer = run(home, token, lambda client: client.send("submission", "GET", path))
    try:
        file.write_bytes(answer.content)
    except OSError as error:
        raise Fault(f"{file}: cannot be written ({error.strerror})") from None
    typer.echo(f"{file}: {len(answer.content)} bytes")
