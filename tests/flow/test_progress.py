"""A period's progress from its opening to its publication, and the sheets that people take home of it."""

import asyncio
import io
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from deploy.cli import main
from deploy.client import Client
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from shared.sheet import read, read_csv
from tests.flow.office import SMALL, Office, patient, rubric, until

NORTH, EAST = "north", "east"
DATA = {NORTH: {"1.1": "20", "1.2": "95"}, EAST: {"1.1": "10", "1.2": "80"}}


async def stands(office: Office, agency: str, step: str | None, *turns: str) -> dict[str, Any]:
    """The agency's progress once it stands at that step and it is that turn, in roles' words `role: action`."""
    officer, shown = await office.by(Role.OFFICER), dict[str, Any]()

    async def reached() -> bool:
        nonlocal shown
        answer = await officer.get("scoring", office.here(rest="/progress"))
        [shown] = [row for row in answer["agencies"] if row["agency"] == agency]
        found = [f"{turn['role']}: {turn['action']}" for turn in shown["turns"]]
        return (shown["step"], found) == (step, list(turns))

    try:
        await until(reached, 30)
    except AssertionError:
        found = [f"{turn['role']}: {turn['action']}" for turn in shown["turns"]]
        assert (shown["step"], found) == (step, list(turns))
    return shown


async def exported(client: Client, path: str) -> Any:
    """The first page of an exported workbook."""
    answer = await client.send("scoring", "GET", path)
    return openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets[0]


async def test_progress_leads_a_period_through_its_steps_and_its_result_is_taken_home(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agencies = [Agency(id=name, name=Label(vi=f"Cơ quan {name}")) for name in (NORTH, EAST)]
    async with await Office.plan(stack, "progress", ("central", rubric(SMALL), agencies)) as office:
        await _self_assessment(office)
        await _appraisal(office)
        await _provisional(office)
        await _publication(office)
        await _taken_home(office, tmp_path, capsys)
        await _revised(office)


async def _self_assessment(office: Office) -> None:
    await office.begin()
    first = await stands(office, NORTH, "self-assessment", "agency: declare", "survey-officer: open-survey")
    assert first["turns"][0]["command"] == f"parindex assess import {NORTH} FILE --period {office.period}"
    last = office.opening.deadlines["self-assessment"].closes
    assert first["turns"][0]["until"].startswith(f"{last:%Y-%m-%dT%H:%M:%S}")
    assert {block["code"] for block in first["blocks"]} >= {"declaration-missing", "not-submitted"}
    await office.assess(NORTH, DATA[NORTH])
    waits = await stands(office, NORTH, "review", "officer: assign-appraisers", "survey-officer: open-survey")
    assert [block["item"] for block in waits["blocks"]] == ["1", "2"]
    assert (waits["counts"]["declared"], waits["counts"]["proved"], waits["counts"]["submitted"]) == (2, 2, 2)
    await stands(office, EAST, "self-assessment", "agency: declare", "survey-officer: open-survey")
    await office.assess(EAST, DATA[EAST])
    officer = await office.by(Role.OFFICER)
    await officer.post("submission", office.here(rest="/closing"))
    await office.assign("central", "1", "2", "3")
    await stands(office, NORTH, "survey", "appraiser: appraise", "survey-officer: open-survey")


async def _appraisal(office: Office) -> None:
    closes = await office.campaign("poll", "central", timedelta(minutes=30))
    await stands(office, EAST, "survey", "appraiser: appraise", "survey-officer: collect-ballots")
    await office.recognise(NORTH)
    await office.recognise(EAST)
    request = await office.ask(NORTH, "1.2", closes)
    asked = await stands(
        office, NORTH, "survey", "agency: explain", "appraiser: appraise", "survey-officer: collect-ballots"
    )
    assert (asked["counts"]["flagged"], asked["counts"]["answered"]) == (1, 0)
    await office.answer(NORTH, "1.2", request)
    await office.correct(NORTH, "1.1", "18")
    for agency in (NORTH, EAST):
        await office.correct(agency, "2.1", "5", "appraised-directly")
    done = await stands(office, NORTH, "survey", "officer: close-appraisal", "survey-officer: collect-ballots")
    assert (done["counts"]["flagged"], done["counts"]["answered"]) == (1, 1)
    await office.forward(closes)
    await stands(office, EAST, "survey", "officer: close-appraisal", "survey-officer: complete-survey")
    await office.complete("poll")
    await stands(office, EAST, "appraisal", "officer: close-appraisal")
    await office.close(NORTH, EAST)
    await stands(office, NORTH, "appraisal", "officer: seat-council")
    await office.seat()
    await stands(office, NORTH, "appraisal", "officer: finalise")
    await office.adjust(NORTH, "1.1", "19")
    own = await (await office.by(Role.AGENCY, NORTH)).get("scoring", office.here(rest="/progress"))
    assert [row["agency"] for row in own["agencies"]] == [NORTH]


async def _provisional(office: Office) -> None:
    """Before the publication the officer's exports are marked, and nobody else has any."""
    officer = await office.by(Role.OFFICER)
    path = office.here(rest=f"/export?what=agency&agency={NORTH}")

    async def council_counts() -> bool:
        page = await exported(officer, path)
        rows = {row[0]: row for row in page.iter_rows(min_row=2, values_only=True)}
        return "TẠM TÍNH" in page.title and rows["1.1"][6] == 19

    await until(council_counts)
    page = await exported(officer, path)
    assert "TẠM TÍNH" in page.cell(1, 9).value
    rows = {row[0]: row for row in page.iter_rows(min_row=2, values_only=True)}
    assert rows["1.1"][2:] == (30, 20, 18, None, 19, 63.33, "Hội đồng thẩm định: 19")


async def _publication(office: Office) -> None:
    await office.finalise()
    await stands(office, NORTH, "consolidation", "officer: consolidate")
    digest = (await office.consolidate())["digest"]
    await stands(office, NORTH, "consolidation", "approver: approve-result")
    await office.approve(digest)
    await stands(office, EAST, "publication", "officer: publish")
    await office.publish()
    for agency in (NORTH, EAST):
        last = await stands(office, agency, None)
        assert (last["blocks"], last["counts"]["appraised"]) == ([], 3)


async def _taken_home(office: Office, folder: Path, told: pytest.CaptureFixture[str]) -> None:
    """The published sheets: losses that sum to what is missing, tables read back, one by the command line."""
    anyone, here = await office.by(None), f"/published/{office.period}"
    for agency in (NORTH, EAST):
        sheet = await anyone.get("scoring", f"{here}/agencies/{agency}/strengths?before={office.period}")
        card = (await anyone.get("scoring", f"{here}/agencies/{agency}"))["card"]
        lost = sum(Fraction(each["of_total"]) for each in (*sheet["items"], *sheet["rests"]))
        assert lost == Fraction(sheet["lost"]) == Fraction(card["maximum"]) - Fraction(card["exact"])
        assert all(item["before"].get("achieved") == item.get("achieved") for item in sheet["items"])
    north = await anyone.get("scoring", f"{here}/agencies/{NORTH}/strengths")
    [plan] = [item for item in north["items"] if item["item"] == "1.1"]
    assert [(cause["cause"], cause["points"], cause.get("reason_code")) for cause in plan["causes"]] == [
        ("declared-below-maximum", "10", None),
        ("corrected-by-appraiser", "2", "data-corrected"),
        ("council", "-1", "council-resolution"),
    ]
    index = {row["name_vi"]: Decimal(row["total"]) for row in (await office.published())["table"]}
    page = await exported(anyone, f"{here}/export?what=ranking")
    assert "TẠM TÍNH" not in page.title
    table = {row[2]: Decimal(str(row[8])) for row in page.iter_rows(min_row=2, values_only=True)}
    assert table == index
    for what, kind in (("ranking", "csv"), ("criteria", "xlsx"), ("comparison", "json")):
        out = folder / f"{what}.{kind}"
        asked = ["--what", what, "--format", kind, *(["--before", office.period] if what == "comparison" else [])]
        await _command(office, "results", "export", office.period, str(out), *asked)
        assert out.stat().st_size > 100
    assert len(read_csv((folder / "ranking.csv").read_bytes())) == 3
    assert read((folder / "criteria.xlsx").read_bytes())[1][2] == "1.1"
    await _command(office, "period", "progress", office.period, "--token", office.token(Role.OFFICER))
    assert "Tiến độ / Progress" in told.readouterr().out


async def _revised(office: Office) -> None:
    """A revision lets the council fix an item anew; the result is published again, and the first stays readable."""
    officer, anyone = await office.by(Role.OFFICER), await office.by(None)
    body = {"reason": "Khiếu nại có căn cứ.", "decision": "20/QĐ-UBND", "dated": "2025-03-03"}
    await officer.post("scoring", office.here(rest="/revision"), body)
    await stands(office, NORTH, "consolidation", "officer: consolidate")
    await patient(lambda: office.adjust(NORTH, "1.1", "20"), lambda refused: refused.code == "period-published")
    await stands(office, NORTH, "appraisal", "officer: finalise")
    await office.finalise()
    await office.approve((await office.consolidate())["digest"])
    last = await office.publish()
    first = await anyone.get("scoring", f"/published/{office.period}?publication=1")
    assert (first["publication"], last["publication"], last["publications"]) == (1, 2, 2)
    totals = [{row["agency"]: Decimal(row["total"]) for row in each["table"]} for each in (first, last)]
    # nobody was surveyed: one point of the 60 appraised ones is 100/60 of the total
    assert [each[NORTH] for each in totals] == [Decimal("73.33"), Decimal("75.00")]
    assert totals[1][EAST] == totals[0][EAST]


async def _command(office: Office, *words: str) -> None:
    """Run a command of the command line to its end, in a thread: it has an event loop of its own."""

    def run() -> None:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--home", str(office.stack.home.path)])
        assert ended.value.code in (None, 0)

    await asyncio.to_thread(run)
