"""`parindex agency-kit`: a folder with all that an agency's own system needs to send a self-assessment."""

import asyncio
import csv
import hashlib
import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from fpdf import FPDF

from deploy.assessment import COLUMNS
from deploy.client import Client
from deploy.fault import Fault
from deploy.local.home import write_private
from deploy.local.stack import Stack, default_home
from services.submission.intake import MAX_BATCH
from shared.access import Role
from shared.bus import Bus
from shared.events import plain
from shared.rubric import Mode, Rubric, RubricError, declare
from shared.settings import Settings

DEPLOY: Final = Path(__file__).parents[1]
TEMPLATES: Final = DEPLOY / "kit"
EVIDENCE: Final = "evidence/tai-lieu-mau.pdf"
PDF: Final = "application/pdf"
PRIVATE: Final = {"agency": Role.AGENCY, "agency-head": Role.AGENCY_HEAD}
ANSWERS: Final = ("yes", "100", "90", "75", "50", "10", "5", "1", "0", "no")
"""Data that fit most rules."""

app = typer.Typer()


class Row(NamedTuple):
    """One line of the sample self-assessment."""

    code: str
    data: str


@app.command("agency-kit")
def agency_kit(
    agency: Annotated[str, typer.Argument(help="Id of the agency.")],
    out: Annotated[Path, typer.Argument(help="The folder to write; it must not exist yet.")],
    period: Annotated[str, typer.Option("--period", envvar="PARINDEX_PERIOD", help="Id of the period.")],
    days: Annotated[int, typer.Option(min=1, max=90, help="How long the tokens hold.")] = 7,
    home: Annotated[Path | None, typer.Option("--home", help="Folder of the local stack.")] = None,
) -> None:
    """Write a folder for an agency's integrator: endpoints, tokens, schemas, a Python script, curl lines, README."""
    if out.exists():
        raise Fault(f"{out} is there already; name a new folder")
    stack, until = Stack.load(home or default_home()), datetime.now(UTC) + timedelta(days=days)
    try:
        tokens = {
            name: stack.token(f"{agency}-{name}", [role], agency, timedelta(days=days))
            for name, role in PRIVATE.items()
        }
    except ValueError as error:
        raise Fault(str(error)) from error
    rubric = asyncio.run(_rubric(stack, tokens["agency"], period, agency))
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".agency-kit-", dir=out.parent))
    try:
        _write(scratch, stack, agency, period, tokens, sample(rubric), until)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stdout.write(f"{out}: bộ kết nối của {agency} / the kit of {agency}; begin with README.md\n")


async def _rubric(stack: Stack, token: str, period: str, agency: str) -> Rubric:
    """The rubric of the agency's group in that period. Raises Fault where the agency is not in it."""
    async with Client(stack.services, token) as client:
        known = await client.get("submission", f"/periods/{period}")
        groups = {each["agency"]: each["group"] for each in known["agencies"]}
        if agency not in groups:
            raise Fault(f"{agency} is not in the period {period}; there are {', '.join(sorted(groups))}")
        found = await client.get("submission", f"/periods/{period}/rubrics/{groups[agency]}")
    return Rubric.model_validate(found["rubric"])


def sample(rubric: Rubric) -> list[Row]:
    """For every self-assessed item a datum that its rule takes and that gives the most points of those tried, items
    that choose another's rule first. Raises Fault where none of those tried fits."""
    waiting = [leaf.code for leaf in rubric.leaves.values() if leaf.mode is Mode.SELF_ASSESSED]
    found: dict[str, str] = {}
    while waiting:
        fitting = {code: datum for code in waiting if (datum := _best(rubric, code, found)) is not None}
        if not fitting:
            raise Fault(f"no sample datum fits the item {waiting[0]}")
        found |= fitting
        waiting = [code for code in waiting if code not in found]
    return [Row(code, datum) for code, datum in found.items()]


def _best(rubric: Rubric, code: str, answers: Mapping[str, str]) -> str | None:
    leaf = rubric.leaf(code)
    levels = [value for key, value in _words(leaf.rule.model_dump(mode="json")) if key in {"id", "label"}]
    most = [] if leaf.max is None else [plain(leaf.max)]
    best: tuple[Any, str] | None = None
    for text in (*levels, *ANSWERS, *most):
        try:
            datum, points = declare(rubric, code, text, answers)
        except RubricError:
            continue  # this rule reads other data
        if best is None or points > best[0]:
            best = points, datum
    return None if best is None else best[1]


def _words(value: Any, key: str = "") -> Iterable[tuple[str, str]]:
    """Every text in a JSON value, with the key that it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _words(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from _words(each, key)


def _write(
    folder: Path,
    stack: Stack,
    agency: str,
    period: str,
    tokens: Mapping[str, str],
    rows: list[Row],
    until: datetime,
) -> None:
    folder.chmod(0o700)
    bus = Bus(stack.kafka, Settings.model_fields["kafka_prefix"].default)
    endpoints = {
        "AGENCY": agency,
        "PERIOD": period,
        **{service.upper(): url for service, url in stack.services.items()},
        "KAFKA": bus.kafka,
        "INTAKE_TOPIC": bus.intake_topic(agency),
        "RECEIPTS_TOPIC": bus.receipts_topic(agency),
        "EVIDENCE": EVIDENCE,
    }
    _text(folder / "endpoints.env", "".join(f"{name}={value}\n" for name, value in endpoints.items()))
    (folder / "credentials").mkdir(mode=0o700)
    for name, token in tokens.items():
        write_private(folder / "credentials" / f"{name}.token", token + "\n")
    _table(folder / "self-assessment.csv", rows)
    document = _document(agency, period)
    (folder / "evidence").mkdir()
    (folder / EVIDENCE).write_bytes(document)
    _requests(folder / "requests", agency, period, rows, document)
    for name in ("asyncapi.json", "openapi", "schemas"):
        source, target = DEPLOY / name, folder / "contracts" / name
        target.parent.mkdir(exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    for name in ("send.py", "send.sh"):
        shutil.copyfile(TEMPLATES / name, folder / name)
        (folder / name).chmod(0o755)
    readme = (TEMPLATES / "README.md").read_text(encoding="utf-8")
    marks = {
        "AGENCY": agency,
        "PERIOD": period,
        "EXPIRES": until.strftime("%d-%m-%Y"),
        "INTAKE": endpoints["INTAKE_TOPIC"],
        "RECEIPTS": endpoints["RECEIPTS_TOPIC"],
    }
    for name, value in marks.items():
        readme = readme.replace(f"@{name}@", value)
    _text(folder / "README.md", readme)


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _table(path: Path, rows: list[Row]) -> None:
    """The sample as `parindex assess import` takes it too."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows((row.code, row.data, EVIDENCE, "") for row in rows)


def _document(agency: str, period: str) -> bytes:
    """A PDF file that says that it is a sample."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime(2024, 1, 1, tzinfo=UTC))
    pdf.add_page()
    pdf.set_font("Helvetica", "", 12)
    pdf.multi_cell(0, 8, f"Sample document of {agency} for {period}. Put your own in its place.")
    return bytes(pdf.output())


def _requests(folder: Path, agency: str, period: str, rows: list[Row], document: bytes) -> None:
    """The same self-assessment as CloudEvents in structured mode, in batches as the intake over HTTP takes them."""
    folder.mkdir()

    def event(kind: str, **data: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": str(uuid.uuid4()),
            "source": f"urn:agency:{agency}",
            "type": f"parindex.intake.{kind}.v1",
            "datacontenttype": "application/json",
            "data": {"period": period, **data},
        }

    events = [event("declare", item=row.code, data=row.data) for row in rows]
    for number, first in enumerate(range(0, len(events), MAX_BATCH), 1):
        _json(folder / f"declare-{number:02}.json", events[first : first + MAX_BATCH])
    file = {"size": len(document), "sha256": hashlib.sha256(document).hexdigest(), "media_type": PDF}
    _json(folder / "upload.json", [event("request-upload", **file)])
    served = [row.code for row in rows]
    confirmation = event("confirm-evidence", upload="@UPLOAD@", name=Path(EVIDENCE).name, items=served, **file)
    _json(folder / "confirm.json", [confirmation])


def _json(path: Path, value: Any) -> None:
    _text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n")
