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

from deploy.commands.officer import DEFAULT_HOME, Home, Period, Token, run, text_of, told
from deploy.fault import Fault
from deploy.tickets import Asked, Ticket, tickets
from shared.events import parse_instant

survey = typer.Typer(help="The sociological survey.", no_args_is_help=True)

COLUMNS: Final = ("token", "agency", "form")
"""Of a file of ballot tokens."""
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
