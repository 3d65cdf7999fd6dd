"""`parindex period progress | period revise | results`: what people read of a period, take home, and open anew."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from deploy.client import Client
from deploy.commands import officer
from deploy.commands.officer import DEFAULT_HOME, Home, Name, Token
from deploy.fault import Fault
from deploy.local.stack import Stack

T = TypeVar("T")
ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")

results = typer.Typer(help="Results to take home.", no_args_is_help=True)


def _asked(home: Path, token: str | None, work: Callable[[Client], Awaitable[T]]) -> T:
    async def whole() -> T:
        async with Client(Stack.load(home).services, token) as client:
            return await work(client)

    return asyncio.run(whole())


@officer.period.command("progress")
def period_progress(name: Name, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Where each agency stands, what holds it, whose turn it is, until when and by which command."""
    answer = _asked(home, token, lambda client: client.get("scoring", f"/periods/{name}/progress"))
    Console().print(progress_table(answer))


@officer.period.command("revise")
def period_revise(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why the published index is revised.")],
    decision: Annotated[str, typer.Option(help="Number of the decision that opens the revision.")],
    dated: Annotated[str, typer.Option(help="Its date, 2025-03-20.")],
    token: Token,
    home: Home = DEFAULT_HOME,
) -> None:
    """Open a revision of the published index (role officer)."""
    body = {"reason": reason, "decision": decision, "dated": dated}
    answer = _asked(home, token, lambda client: client.post("scoring", f"/periods/{name}/revision", body))
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


@results.command("export")
def results_export(
    name: Name,
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    what: Annotated[
        Literal["ranking", "agency", "fields", "criteria", "comparison"], typer.Option(help="Which table.")
    ] = "ranking",
    kind: Annotated[Literal["xlsx", "csv", "json"], typer.Option("--format", help="Kind of file.")] = "xlsx",
    agency: Annotated[str | None, typer.Option(help="One agency, for its own or an item-by-item table.")] = None,
    before: Annotated[str | None, typer.Option(help="The earlier published period of a comparison.")] = None,
    provisional: Annotated[bool, typer.Option(help="As it stands, before publication; needs a token.")] = False,
    token: Annotated[str | None, typer.Option("--token", envvar="PARINDEX_TOKEN", help="Bearer token.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Write a published result, or the provisional one, as a table in the official layout."""
    if provisional and token is None:
        raise Fault("the provisional result needs a token of an officer: set --token or PARINDEX_TOKEN")
    asked = {"what": what, "format": kind, "agency": agency, "before": before}
    query = urlencode({key: value for key, value in asked.items() if value is not None})
    path = f"/{'periods' if provisional else 'published'}/{name}/export?{query}"
    answer = _asked(home, token if provisional else None, lambda client: client.send("scoring", "GET", path))
    try:
        out.write_bytes(answer.content)
    except OSError as error:
        raise Fault(f"{out} cannot be written ({type(error).__name__}); name another file") from None
    typer.echo(f"{out}: {len(answer.content)} bytes")


def progress_table(answer: dict[str, Any]) -> Table:
    """The progress of a period as a table in Vietnamese and English."""
    names = {step["step"]: f"{number} {step['name_vi']}" for number, step in enumerate(answer["steps"], 1)}
    table = Table(title=f"Tiến độ / Progress: {answer['period']}")
    for heading in ("Cơ quan\nAgency", "Bước\nStep"):
        table.add_column(heading)
    for heading in ("Kê khai\nDeclared", "Kiểm chứng\nProved", "Thẩm định\nAppraised", "Giải trình\nAnswered"):
        table.add_column(heading, justify="right")
    for heading in ("Vướng mắc\nHeld by", "Đến lượt\nWhose turn"):
        table.add_column(heading)
    for row in answer["agencies"]:
        counts = row["counts"]
        table.add_row(
            row["name_vi"],
            names.get(row["step"], "Rút khỏi kỳ / Withdrawn" if row["withdrawn"] else "Đã công bố / Published"),
            f"{counts['declared']}/{counts['to_declare']}",
            f"{counts['proved']}/{counts['to_declare']}",
            f"{counts['appraised']}/{counts['to_appraise']}",
            f"{counts['answered']}/{counts['flagged']}",
            _held(row["blocks"]),
            "\n".join(map(_turn, row["turns"])),
        )
    if "blocks" in answer:
        table.caption = "\n".join([_held(answer["blocks"]), *map(_turn, answer["turns"])]).strip()
    return table


def _held(blocks: list[dict[str, str]]) -> str:
    """The codes with how many there are of each, in the order of the work."""
    codes = [block["code"] for block in blocks]
    return "\n".join(f"{code} × {codes.count(code)}" for code in dict.fromkeys(codes))


def _turn(turn: dict[str, Any]) -> str:
    until = ""
    if "until" in turn:
        over = " (quá hạn / overdue)" if turn["overdue"] else ""
        until = f" trước / before {datetime.fromisoformat(turn['until']).astimezone(ZONE):%H:%M %d-%m-%Y}{over}"
    return f"{turn['role']}: {turn['what_vi']}{until}\n  {turn.get('command') or turn['route']}"
