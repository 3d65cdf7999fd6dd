"""`parindex period | assess | appraise`: what people do, over HTTP with their own token."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from deploy.assessment import read_rows, send_rows
from deploy.client import Client, Refused, key_of
from deploy.files import text_of, wrong
from deploy.local.stack import Stack
from shared.rubric import PeriodOpening, RubricError, load_period, load_rubric, opening

T = TypeVar("T")

period = typer.Typer(
    help="A period of the index: open, close, finalise, consolidate, approve, publish.", no_args_is_help=True
)
assess = typer.Typer(help="An agency's self-assessment.", no_args_is_help=True)
appraise = typer.Typer(help="Appraisal and council.", no_args_is_help=True)

Home = Annotated[Path, typer.Option("--home", envvar="PARINDEX_HOME", help="Folder of the local stack.")]
Token = Annotated[str, typer.Option("--token", envvar="PARINDEX_TOKEN", help="Bearer token; see `parindex token`.")]
Name = Annotated[str, typer.Argument(metavar="PERIOD", envvar="PARINDEX_PERIOD", help="Id of the period.")]
Period = Annotated[str, typer.Option("--period", envvar="PARINDEX_PERIOD", help="Id of the period.")]
DEFAULT_HOME = Path(".parindex")
PATIENCE = 20.0  # seconds
PASSING = frozenset({"period-unknown", "appraisal-not-open", "log-incomplete", "heads-not-archived"})


def run(home: Path, token: str | None, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do the work; what a service refuses only because it has not yet applied another's entries is tried again."""

    async def whole() -> T:
        async with Client(Stack.load(home).services, token) as client:
            until = asyncio.get_running_loop().time() + PATIENCE
            while True:
                try:
                    return await work(client)
                except Refused as refused:
                    if not _passes(refused) or asyncio.get_running_loop().time() > until:
                        raise
                await asyncio.sleep(0.3)

    return asyncio.run(whole())


def _passes(refused: Refused) -> bool:
    codes = {error.get("code") for error in refused.problem.get("errors", ())}
    return refused.code in PASSING or (bool(codes) and codes <= PASSING)


def told(answer: Any) -> None:
    """Print a service's answer."""
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


def read_opening(path: Path) -> PeriodOpening:
    """A period's file with the rubric files that it names; Fault with the place of what is wrong."""
    try:
        read = load_period(text_of(path))
        rubrics = {group.rubric: load_rubric(text_of(path.parent / group.rubric)) for group in read.groups}
        return opening(read, rubrics)
    except RubricError as error:
        raise wrong(path, error) from None


@period.command("open")
def period_open(file: Path, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Open a period from its file and the rubric files that it names (role officer)."""
    body = read_opening(file).model_dump(mode="json", by_alias=True)
    key = key_of("period-open", json.dumps(body, sort_keys=True))
    told(run(home, token, lambda client: client.post("submission", "/periods", body, key)))


@period.command("show")
def period_show(name: Name, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Show a period: dates, agencies, items."""
    told(run(home, token, lambda client: client.get("submission", f"/periods/{name}")))


@period.command("close")
def period_close(name: Name, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Close the step of self-assessment (role officer)."""
    told(run(home, token, lambda client: client.post("submission", f"/periods/{name}/closing")))


@period.command("finalise")
def period_finalise(name: Name, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Declare the appraisal final (role officer)."""
    told(run(home, token, lambda client: client.post("appraisal", f"/periods/{name}/finalisation")))


@period.command("obstacles")
def period_obstacles(name: Name, token: Token, home: Home = DEFAULT_HOME) -> None:
    """What is still open before publication, each by name."""
    told(run(home, token, lambda client: client.get("scoring", f"/periods/{name}/obstacles")))


@period.command("consolidate")
def period_consolidate(name: Name, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Consolidate the result (role officer); prints its digest, which the approver approves."""
    path = f"/periods/{name}/consolidation"
    run(home, token, lambda client: client.post("scoring", path))
    typer.echo(run(home, token, lambda client: client.get("scoring", path))["digest"])


@period.command("approve")
def period_approve(
    name: Name,
    digest: str,
    decision: Annotated[str, typer.Option(help="Number of the decision, 12/QĐ-UBND.")],
    dated: Annotated[str, typer.Option(help="Its date, 2025-01-20.")],
    token: Token,
    home: Home = DEFAULT_HOME,
) -> None:
    """Approve exactly the consolidated result (role approver, another person)."""
    body = {"digest": digest, "decision": decision, "dated": dated}
    told(run(home, token, lambda client: client.post("scoring", f"/periods/{name}/approval", body)))


@period.command("publish")
def period_publish(name: Name, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Publish the approved result (role officer)."""
    told(run(home, token, lambda client: client.post("scoring", f"/periods/{name}/publication")))


@period.command("result")
def period_result(name: Name, home: Home = DEFAULT_HOME) -> None:
    """The published table; needs no token."""
    answer = run(home, None, lambda client: client.get("scoring", f"/published/{name}"))
    Console().print(index_table(answer["table"], name))


@period.command("table")
def period_table(name: Name, token: Token, home: Home = DEFAULT_HOME) -> None:
    """The table as it stands, provisional until publication."""
    answer = run(home, token, lambda client: client.get("scoring", f"/periods/{name}/table"))
    Console().print(index_table(answer["rows"], str(answer.get("period", name))))


@assess.command("import")
def assess_import(agency: str, file: Path, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Declare what a CSV file holds (code, data, evidence, explanation) and upload its evidence (role agency)."""
    rows = read_rows(file)
    answer = run(home, token, lambda client: send_rows(client, name, agency, rows))
    typer.echo(f"{len(rows)} items declared; total {answer['total']}; digest {answer['digest']}")


@assess.command("show")
def assess_show(agency: str, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Show the self-assessment with its digest (role agency, its own)."""
    told(run(home, token, lambda client: client.get("submission", f"/periods/{name}/agencies/{agency}")))


@assess.command("digest")
def assess_digest(agency: str, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Print only the digest of the self-assessment as it stands (role agency, its own)."""
    typer.echo(
        run(home, token, lambda client: client.get("submission", f"/periods/{name}/agencies/{agency}"))["digest"]
    )


@assess.command("approve")
def assess_approve(agency: str, digest: str, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """The head approves exactly the self-assessment that the digest names (role agency-head)."""
    path = f"/periods/{name}/agencies/{agency}/approval"
    told(run(home, token, lambda client: client.post("submission", path, {"digest": digest})))


@assess.command("submit")
def assess_submit(agency: str, digest: str, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Submit the approved self-assessment (role agency)."""
    path = f"/periods/{name}/agencies/{agency}/submission"
    told(run(home, token, lambda client: client.post("submission", path, {"digest": digest})))


@appraise.command("assign")
def appraise_assign(
    subject: str, group: str, fields: list[str], name: Period, token: Token, home: Home = DEFAULT_HOME
) -> None:
    """Assign an appraiser (the token's sub) to fields of a group (role officer)."""
    body = {"subject": subject, "group": group, "fields": fields}
    told(run(home, token, lambda client: client.post("appraisal", f"/periods/{name}/appraisers", body)))


@appraise.command("council")
def appraise_council(chair: str, members: list[str], name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Seat the council: its chair, then the other members (role officer)."""
    body = {"chair": chair, "members": [chair, *members]}
    told(run(home, token, lambda client: client.post("appraisal", f"/periods/{name}/council", body)))


@appraise.command("recognise")
def appraise_recognise(
    agency: str,
    name: Period,
    token: Token,
    reason: Annotated[str, typer.Option(help="Why.")],
    item: Annotated[list[str] | None, typer.Option(help="An item; may be repeated.")] = None,
    field: Annotated[str | None, typer.Option(help="All remaining items of a field.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Recognise items as declared (role appraiser)."""
    body = {"items": item or [], "field": field, "reason": reason}
    path = f"/periods/{name}/agencies/{agency}/recognitions"
    told(run(home, token, lambda client: client.post("appraisal", path, body)))


@appraise.command("correct")
def appraise_correct(
    agency: str,
    item: str,
    name: Period,
    token: Token,
    reason_code: Annotated[str, typer.Option(help="A reason code of the rubric.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    data: Annotated[str | None, typer.Option(help="The corrected data; left out: the item does not apply.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Correct an item's data, or settle that it does not apply (role appraiser)."""
    body = {"data": data, "not_applicable": data is None, "reason_code": reason_code, "reason": reason}
    path = f"/periods/{name}/agencies/{agency}/items/{item}/appraisal"
    told(run(home, token, lambda client: client.put("appraisal", path, body)))


@appraise.command("adjust")
def appraise_adjust(
    agency: str,
    item: str,
    data: str,
    name: Period,
    token: Token,
    resolution: Annotated[str, typer.Option(help="Number of the council's resolution.")],
    votes: Annotated[tuple[int, int, int], typer.Option(help="In favour, against, abstained.")],
    reason_code: Annotated[str, typer.Option(help="A reason code of the rubric.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    members: Annotated[int, typer.Option(help="Members of the council.")] = 10,
    in_writing: Annotated[int, typer.Option(help="Votes given in writing.")] = 0,
    home: Home = DEFAULT_HOME,
) -> None:
    """Enter the council's adjustment of an item (role council-chair)."""
    tally = dict(zip(("in_favour", "against", "abstained"), votes, strict=True))
    body = {
        "data": data,
        "resolution": resolution,
        "tally": {"members": members, "in_writing": in_writing, **tally},
        "reason_code": reason_code,
        "reason": reason,
    }
    path = f"/periods/{name}/agencies/{agency}/items/{item}/adjustment"
    told(run(home, token, lambda client: client.put("appraisal", path, body)))


@appraise.command("close")
def appraise_close(agency: str, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Close an agency's appraisal (role officer)."""
    told(run(home, token, lambda client: client.post("appraisal", f"/periods/{name}/agencies/{agency}/closing")))


def index_table(rows: list[dict[str, Any]], title: str) -> Table:
    """The index as a table in Vietnamese and English, with comma decimals."""
    parts = [part for part in _PARTS if any(part in _points(row) for row in rows)]
    table = Table(title=title)
    for heading in ("Hạng\nRank", "Cơ quan\nAgency", "Tự chấm\nSelf"):
        table.add_column(heading, justify="left" if heading.startswith("Cơ") else "right")
    for part in parts:
        table.add_column(_PARTS[part], justify="right")
    table.add_column("Tổng\nTotal", justify="right", style="bold")
    table.add_column("Xếp loại\nBand")
    for row in rows:
        table.add_row(
            str(row.get("rank") or ""),
            row["name_vi"],
            _comma(row.get("self_assessed")),
            *(_comma(_points(row).get(part)) for part in parts),
            _comma(row.get("total")),
            row.get("band") or "",
        )
    return table


_PARTS = {
    "appraisal": "Thẩm định\nAppraisal",
    "survey": "Điều tra\nSurvey",
    "bonus": "Thưởng\nBonus",
    "penalty": "Phạt\nPenalty",
}


def _points(row: dict[str, Any]) -> dict[str, str]:
    """The parts' points of a row; none where the publication policy withholds them."""
    parts = row.get("parts")
    return parts if isinstance(parts, dict) else {}


def _comma(number: str | None) -> str:
    return "" if number is None else number.replace(".", ",")
