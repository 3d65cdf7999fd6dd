"""A deadline closes by itself; an officer reopens it for one agency, which takes its half-year over and is late."""

import io
from datetime import timedelta
from typing import Any, Final

import docx
from openpyxl import load_workbook

from deploy.assessment import send_file
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, rubric, until
from tests.flow.test_obstacles import refused
from tests.shared.test_documents import pdf_text

NORTH, EAST = "north", "east"
REASON: Final = {"reason_code": "data-corrected", "reason": "Cơ quan sáp nhập, bổ sung hồ sơ theo công văn 45/CV."}


async def test_a_closed_step_is_reopened_for_one_agency_that_takes_over_its_half_year(stack: Stack) -> None:
    agencies = [Agency(id=NORTH, name=Label(vi="Cục Thuế")), Agency(id=EAST, name=Label(vi="Kho bạc Nhà nước"))]
    group = ("central", rubric(SMALL), agencies)
    half = Office.plan(stack, "half", group, kind="six-month", span={"from": "2024-01-01", "to": "2024-06-30"})
    async with await half as six, await Office.plan(stack, "whole", group) as year:
        await six.begin()
        await six.assess(EAST, {"1.1": "12,5", "1.2": "80"})
        await year.open()
        await year.assess(NORTH, {"1.1": "20", "1.2": "95"})
        await _closes_by_itself(year)
        await _reopened(year)
        await _submits_late(year, six)
        await _appraised(year)
        await _reported(year)
        await _closes_again(year)


async def _period(office: Office) -> dict[str, Any]:
    answer: dict[str, Any] = await (await office.by(Role.OFFICER)).get("submission", office.here())
    return answer


async def _assessed(office: Office) -> bool:
    """Whether scoring counts the self-assessed points of the late agency."""
    card = await office.card(EAST)
    [line] = [line for line in card["card"]["leaves"] if line["code"] == "1.1"]
    return bool(line.get("self_assessed") == "12.5")


async def _closes_by_itself(year: Office) -> None:
    """East has declared nothing when the clock reaches the last time."""
    clerk = await year.by(Role.AGENCY, EAST)
    reminded = (await clerk.get("submission", year.here(rest="/reminders?days=14")))["reminders"]
    assert [(each["agency"], each["what"], each["overdue"]) for each in reminded] == [(EAST, "self-assessment", False)]
    await year.forward(year.opening.deadlines["self-assessment"].due)

    async def closed() -> bool:
        return bool((await _period(year))["closed"])

    await until(closed)
    assert (await _period(year))["closing"]["not_submitted"] == [EAST]
    await refused("step-closed", year.declare, EAST, "1.1", "10")


async def _reopened(year: Office) -> None:
    """Only an officer reopens, with a reason, and while it is open nothing can be closed."""
    officer, clerk = await year.by(Role.OFFICER), await year.by(Role.AGENCY, EAST)
    body = {"until": (await year.now() + timedelta(days=2)).isoformat(), **REASON}
    path = year.here(EAST, "/reopening")
    await refused("role-missing", clerk.post, "submission", path, body)
    await refused("reason-missing", officer.post, "submission", path, {**body, "reason": ""})
    await year.applied(await officer.post("submission", path, body))
    assert list((await _period(year))["reopened"]) == [EAST]
    assert ("reopening-open", EAST) in await year.obstacles()

    async def held_up() -> bool:
        errors = await refused("leaf-open", officer.post, "appraisal", year.here(EAST, "/closing"))
        return "reopening-open" in {error["code"] for error in errors}

    await until(held_up)


async def _submits_late(year: Office, six: Office) -> None:
    """East takes one item over from the half-year, replaces the other, and submits."""
    clerk = await year.by(Role.AGENCY, EAST)
    drafts = (await clerk.get("submission", year.here(EAST, f"/drafts?from={six.period}")))["drafts"]
    assert [(each["item"], each["data"], len(each["evidence"])) for each in drafts] == [
        ("1.1", "12.5", 1),
        ("1.2", "80", 1),
    ]
    body = {"data": drafts[0]["data"], "taken_from": drafts[0]["taken_from"]}
    await clerk.put("submission", year.here(EAST, "/items/1.1"), body)
    await year.declare(EAST, "1.2", "90")
    await send_file(clerk, year.here(EAST), "Năm.pdf", b"%PDF-1.4 east", "application/pdf", ["1.2"])
    await year.submit(EAST)
    assert (await _period(year))["submitted"] == [EAST, NORTH]

    async def counted() -> bool:
        return await _assessed(year)

    await until(counted)
    assert ("reopening-open", EAST) not in await year.obstacles()


async def _appraised(year: Office) -> None:
    """The appraisal is open again for East, on what it declared late."""
    await year.recognise(EAST)
    opened = (await (await year.by(Role.OFFICER)).get("appraisal", year.here()))["agencies"][EAST]
    assert (opened["submitted"], opened["closed"]) == (True, False)
    await year.correct(EAST, "2.1", "5", "appraised-directly")
    await year.close(EAST)


async def _reported(year: Office) -> None:
    """The report opens again in its three formats and bears the digest that the head approved."""
    head = await year.by(Role.AGENCY_HEAD, EAST)
    shown = await head.get("submission", year.here(EAST))
    assert shown["approval"]["digest"] == shown["digest"]
    files = {
        kind: (await head.send("submission", "GET", year.here(EAST, f"/report?format={kind}"))).content
        for kind in ("docx", "pdf", "xlsx")
    }
    paper = docx.Document(io.BytesIO(files["docx"]))
    assert shown["digest"] in "\n".join(each.text for each in paper.paragraphs)
    assert "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM" in paper.tables[0].rows[0].cells[1].text
    text = pdf_text(files["pdf"])
    assert "Độc lập - Tự do - Hạnh phúc" in text
    assert shown["digest"] in "".join(text.split())
    rows = list(load_workbook(io.BytesIO(files["xlsx"]))["Tự đánh giá"].iter_rows(values_only=True))
    assert {row[0]: row[3] for row in rows}["1.1"] == 12.5


async def _closes_again(year: Office) -> None:
    """Reopened once more and left alone, it closes by itself, and what was submitted stands."""
    officer = await year.by(Role.OFFICER)
    ends = await year.now() + timedelta(days=1)
    await officer.post("submission", year.here(EAST, "/reopening"), {"until": ends.isoformat(), **REASON})
    assert (await _period(year))["submitted"] == [NORTH]
    await year.forward(ends)

    async def over() -> bool:
        return bool((await _period(year))["submitted"] == [EAST, NORTH])

    await until(over)
    assert await _assessed(year)
