"""`parindex survey`: what the survey officer does, over HTTP with a token of that role."""

import csv
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import typer
import yaml
from rich.console import Console
from rich.table import Table

from deploy.commands.officer import DEFAULT_HOME, Home, Period, Token, run, told
from deploy.fault import Fault
from deploy.files import text_of
from deploy.tickets import Asked, Ticket, tickets
from shared.events import parse_instant
from shared.sheet import CSV_TYPE, WORKBOOK_TYPE

survey = typer.Typer(help="The sociological survey.", no_args_is_help=True)

COLUMNS: Final = ("token", "agency", "form")
"""Of a file of ballot tokens."""
PAPER_KINDS: Final = {".csv": CSV_TYPE, ".xlsx": WORKBOOK_TYPE}
"""Tables of paper ballots, by how their names end."""
Url = Annotated[str, typer.Option("--url", help="Where respondents reach the survey, https://khaosat.example.vn.")]


@survey.command("open")
def survey_open(
    campaign: str,
    group: str,
    opens: Annotated[str, typer.Option(help="First instant, 2024-12-01T00:00+07:00.")],
    closes: Annotated[str, typer.Option(help="Last instant, exclusive.")],
    name: Period,
    token: Token,
    home: Home = DEFAULT_HOME,
) -> None:
    """Open a campaign over the agencies of a group (role survey-officer)."""
    body = {"campaign": campaign, "group": group, "opens": opens, "closes": closes}
    told(run(home, token, lambda client: client.post("survey", f"/periods/{name}/campaigns", body)))


@survey.command("invite")
def survey_invite(
    campaign: str,
    agency: str,
    form: str,
    count: int,
    name: Period,
    token: Token,
    out: Annotated[Path | None, typer.Option(help="A new file for the tokens, for `survey sheets`.")] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Issue ballot tokens; they are shown or written once and stored nowhere (role survey-officer)."""
    body = {"agency": agency, "form": form, "count": count}
    path = f"/periods/{name}/campaigns/{campaign}/invitations"

    def issued() -> list[str]:
        tokens: list[str] = run(home, token, lambda client: client.post("survey", path, body))["tokens"]
        return tokens

    if out is None:
        for each in issued():
            typer.echo(each)
        return
    with _kept(out) as file:  # before the request: what is issued is not shown again
        table = io.StringIO()
        csv.writer(table).writerows([COLUMNS, *((each, agency, form) for each in issued())])
        file.write(table.getvalue().encode())
    typer.echo(f"{count} tokens in {out}; they are stored nowhere else")


@survey.command("complete")
def survey_complete(campaign: str, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Complete a campaign after its end (role survey-officer)."""
    path = f"/periods/{name}/campaigns/{campaign}/completion"
    told(run(home, token, lambda client: client.post("survey", path)))


@survey.command("import-study")
def survey_import_study(agency: str, file: Path, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Enter an existing study for one agency from a YAML file: points by item, document, dated, source."""
    body = yaml.load(text_of(file), yaml.BaseLoader)  # noqa: S506 - the base loader reads text only, no numbers, no objects
    told(run(home, token, lambda client: client.put("survey", f"/periods/{name}/studies/{agency}", body)))


@survey.command("paper")
def survey_paper(campaign: str, file: Path, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Count paper ballots keyed in as CSV or XLSX; shows each row that does not count (role survey-officer)."""
    kind = PAPER_KINDS.get(file.suffix.lower())
    if kind is None:
        raise Fault(f"{file} is no table; save it as {' or '.join(PAPER_KINDS)}")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Fault(f"{file} cannot be read ({type(error).__name__}); give another file") from None
    path = f"/periods/{name}/campaigns/{campaign}/paper"
    answer = run(home, token, lambda client: client.post_file("survey", path, data, kind))
    if answer["errors"]:
        table = Table("dòng / row", "ô / cell", "mã / code", "lý do", "reason", title=str(file))
        for fault in answer["errors"]:
            row = (str(fault["row"]), fault["cell"] or "", fault["code"], fault["title_vi"], fault["title_en"])
            table.add_row(*row)
        Console().print(table)
    typer.echo(f"{answer['counted']} of {answer['rows']} ballots counted")
    if answer["errors"]:
        raise Fault(f"{len(answer['errors'])} rows of {file} do not count; mend them and send the table again")


@survey.command("remind")
def survey_remind(
    campaign: str, agency: str, form: str, count: int, name: Period, token: Token, home: Home = DEFAULT_HOME
) -> None:
    """Record that so many reminders were sent (role survey-officer)."""
    body = {"agency": agency, "form": form, "count": count}
    path = f"/periods/{name}/campaigns/{campaign}/reminders"
    told(run(home, token, lambda client: client.post("survey", path, body)))


@survey.command("progress")
def survey_progress(campaign: str, name: Period, token: Token, home: Home = DEFAULT_HOME) -> None:
    """Show invitations, ballots returned, their share of the quota, and reminders of each agency and form."""
    shown = run(home, token, lambda client: client.get("survey", f"/periods/{name}/campaigns/{campaign}"))
    Console().print(progress_table(shown))


def progress_table(shown: dict[str, Any]) -> Table:
    """A campaign's progress as a table in Vietnamese and English."""
    table = Table(title=str(shown["campaign"]))
    for heading in ("Cơ quan\nAgency", "Mẫu phiếu\nForm"):
        table.add_column(heading)
    for heading in ("Đã mời\nInvited", "Thu về\nReturned", "Chỉ tiêu\nQuota", "Đạt %\nShare %", "Nhắc\nReminders"):
        table.add_column(heading, justify="right")
    for agency in shown["agencies"]:
        for form in agency["forms"]:
            table.add_row(
                agency["name_vi"],
                form["form"],
                str(form["invitations"]),
                "ít hơn 5\nfewer than five" if form["too_few"] else str(form["returned"]),
                "" if form["quota"] is None else str(form["quota"]),
                (form["quota_share"] or "").replace(".", ","),
                f"{form['reminders']} ({form['reminded']}×)" if form["reminded"] else "",
            )
    return table


@survey.command("not-held")
def survey_not_held(
    name: Period,
    token: Token,
    decision: Annotated[str, typer.Option(help="Number of the decision, 15/QĐ-SNV.")],
    dated: Annotated[str, typer.Option(help="Its date, 2025-07-01.")],
    home: Home = DEFAULT_HOME,
) -> None:
    """Say by a decision that the period has no survey (role officer)."""
    body = {"decision": decision, "dated": dated}
    told(run(home, token, lambda client: client.post("survey", f"/periods/{name}/not-held", body)))


@survey.command("sheets")
def survey_sheets(
    campaign: str,
    out: Path,
    tokens: Annotated[Path, typer.Option(help="What `survey invite --out` wrote, or the answer that issued them.")],
    url: Url,
    name: Period,
    token: Token,
    home: Home = DEFAULT_HOME,
) -> None:
    """Make a PDF to print and cut: for each ballot token one ticket with its QR code (role survey-officer)."""
    wanted = read_tokens(tokens)
    shown = run(home, token, lambda client: client.get("survey", f"/periods/{name}/campaigns/{campaign}"))
    pdf = tickets(wanted, asked(shown), url)
    with _kept(out) as file:
        file.write(pdf)
    typer.echo(f"{len(wanted)} tickets in {out}; whoever has a ticket may cast its ballot: keep them safe")


def read_tokens(path: Path) -> list[Ticket]:
    """The tokens of a file: CSV with the columns token, agency, form, or the JSON of the answer that issued them."""
    text = text_of(path).lstrip("\ufeff")
    try:
        if text.lstrip().startswith("{"):
            answer = json.loads(text)
            found = [Ticket(token, answer["agency"], answer["form"]) for token in answer["tokens"]]
        else:
            rows = csv.DictReader(io.StringIO(text), strict=True)
            found = [Ticket(*(row[column].strip() for column in COLUMNS)) for row in rows]
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        raise Fault(f"{path} is no file of tokens; its columns are {', '.join(COLUMNS)}") from None
    if not found:
        raise Fault(f"{path} holds no token; `parindex survey invite --out FILE` writes them")
    return found


def asked(shown: dict[str, Any]) -> Asked:
    """What a campaign's answer says of its agencies and forms."""
    groups = {group["id"]: _both(group["label"]) for group in shown["respondents"]}
    return Asked(
        {each["agency"]: (each["name_vi"], each["name_en"]) for each in shown["agencies"]},
        {form["id"]: _both(form["title"]) for form in shown["forms"]},
        {form["id"]: groups.get(form["group"], (form["group"], "")) for form in shown["forms"]},
        parse_instant(shown["closes"]),
    )


def _both(label: dict[str, str]) -> tuple[str, str]:
    return label["vi"], label.get("en", "")


@contextmanager
def _kept(path: Path) -> Iterator[BinaryIO]:
    """A new file that only its owner may read; it is gone again if what fills it fails."""
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except FileExistsError:
        raise Fault(f"{path} is there already; give another name") from None
    except OSError as error:
        raise Fault(f"{path} cannot be written ({type(error).__name__}); give another place") from None
    try:
        with file:
            yield file
    except BaseException:
        path.unlink()
        raise
