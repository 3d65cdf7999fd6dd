"""The commands of the agency's side, each in a process of its own."""

import json
from pathlib import Path

import docx

from deploy.assessment import send_file
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, rubric
from tests.flow.test_archive import parindex

NORTH, EAST = "north", "east"


async def test_an_agency_works_with_the_command_line(stack: Stack, tmp_path: Path) -> None:
    agencies = [Agency(id=NORTH, name=Label(vi="Cục Thuế")), Agency(id=EAST, name=Label(vi="Kho bạc Nhà nước"))]
    group = ("central", rubric(SMALL), agencies)
    half = Office.plan(stack, "half", group, kind="six-month", span={"from": "2024-01-01", "to": "2024-06-30"})
    async with await half as six, await Office.plan(stack, "whole", group) as year:
        await six.begin()
        await year.begin()
        await six.declare(NORTH, "1.1", "12,5")
        clerk = await six.by(Role.AGENCY, NORTH)
        await send_file(clerk, six.here(NORTH), "Kế hoạch.pdf", b"%PDF-1.4 half", "application/pdf", ["1.1"])
        await _taken_over(six, year)
        await _reported(year, tmp_path)
        await _reopened(year)


async def _said(office: Office, role: Role, *words: str) -> tuple[int, str, str]:
    agency = NORTH if role in (Role.AGENCY, Role.AGENCY_HEAD) else None
    home = ("--home", str(office.stack.home.path))
    return await parindex("agency", *words, "--period", office.period, "--token", office.token(role, agency), *home)


async def _taken_over(six: Office, year: Office) -> None:
    code, output, errors = await _said(year, Role.AGENCY, "drafts", NORTH, "--from", six.period)
    assert (code, errors) == (0, "")
    [draft] = json.loads(output)["drafts"]
    position, [file] = str(draft["taken_from"]["position"]), draft["evidence"]
    taking = ("take-over", NORTH, "1.1", draft["data"], "--from", six.period, "--position", position)
    assert (await _said(year, Role.AGENCY, *taking))[0] == 0
    code, _, errors = await _said(year, Role.AGENCY, "take-over", NORTH, "1.1", "9", *taking[4:])
    assert (code, len(errors.splitlines())) == (1, 1)
    assert "draft-differs" in errors
    clerk = await year.by(Role.AGENCY, NORTH)
    [item] = [line for line in (await clerk.get("submission", year.here(NORTH)))["items"] if line["item"] == "1.1"]
    assert (item["data"], item["evidence"], item["taken_from"]) == ("12.5", [file["sha256"]], draft["taken_from"])
    assert (await _said(year, Role.AGENCY, "withdraw", NORTH, file["sha256"], "--item", "1.1"))[0] == 0
    code, _, errors = await _said(year, Role.AGENCY, "withdraw", NORTH, file["sha256"])
    assert (code, "evidence-unknown" in errors) == (1, True)


async def _reported(year: Office, folder: Path) -> None:
    code, output, _ = await _said(year, Role.OFFICER, "reminders", "--days", "10")
    assert code == 0
    assert "Thuế" in output
    assert "Kho" in output
    paper = folder / "báo cáo.docx"
    code, _, errors = await _said(year, Role.AGENCY_HEAD, "report", NORTH, str(paper))
    assert (code, errors) == (0, "")
    assert "BẢN DỰ THẢO" in "\n".join(each.text for each in docx.Document(str(paper)).paragraphs)
    code, _, errors = await _said(year, Role.AGENCY_HEAD, "report", NORTH, str(folder / "report.txt"))
    assert (code, len(errors.splitlines()), ".xlsx" in errors) == (1, 1, True)
    code, _, errors = await _said(year, Role.AGENCY_HEAD, "report", NORTH, str(folder / "none" / "report.pdf"))
    assert (code, len(errors.splitlines()), "cannot be written" in errors) == (1, 1, True)


async def _reopened(year: Office) -> None:
    why = ("--reason-code", "data-corrected", "--reason", "Sáp nhập đơn vị")
    code, _, errors = await _said(year, Role.OFFICER, "reopen", NORTH, "--until", "mai", *why)
    assert (code, len(errors.splitlines()), "--until mai" in errors) == (1, 1, True)
    ends = year.opening.deadlines["self-assessment"].due
    code, _, errors = await _said(year, Role.OFFICER, "reopen", NORTH, "--until", ends.isoformat(), *why)
    assert (code, "step-still-open" in errors) == (1, True)
    await year.declare(NORTH, "1.2", "95")
    clerk = await year.by(Role.AGENCY, NORTH)
    await send_file(clerk, year.here(NORTH), "Năm.pdf", b"%PDF-1.4 year", "application/pdf", ["1.1", "1.2"])
    await year.submit(NORTH)
    code, output, _ = await _said(year, Role.OFFICER, "reopen", NORTH, "--until", ends.isoformat(), *why)
    assert code == 0, output
    shown = await clerk.get("submission", year.here(NORTH))
    assert (shown["submitted"], shown["reopened"] is not None) == (None, True)
