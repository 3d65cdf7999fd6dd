"""An explanation round and the council: asked twice, a vote lost and a vote won, the result accepted, the minutes."""

import asyncio
import io
import sys
from asyncio.subprocess import PIPE
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import docx
import pytest

from deploy.client import Client, Refused
from deploy.local.stack import Stack
from shared.access import Role
from shared.documents import DOCX_TYPE, NATION
from shared.rubric import Agency, Label
from shared.rubric.period import ZONE
from tests.conftest import ROOT
from tests.flow.office import MEMBERS, SMALL, Office, patient, rubric, until

NORTH: Final = "north"
CODE: Final = {"reason_code": "council-resolution"}
WORDS: Final = {"reason": "Hội đồng thống nhất theo hồ sơ."}


async def test_a_council_loses_a_vote_wins_a_vote_and_accepts_the_result(stack: Stack, tmp_path: Path) -> None:
    agencies = [Agency(id=NORTH, name=Label(vi="Cục Thuế thành phố"))]
    council = {"members": MEMBERS, "decides_result": True}
    async with await Office.plan(stack, "council", ("central", rubric(SMALL), agencies), council=council) as office:
        await _appraise(office)
        await _hold(office)
        await _decide(office)
        await _read(office, tmp_path)


async def _refused(code: str, client: Client, method: str, path: str, body: Any = None) -> list[dict[str, str]]:
    """The errors of a refusal of the appraisal service with that code."""
    with pytest.raises(Refused) as refusal:
        await (client.put if method == "PUT" else client.post)("appraisal", path, body)
    assert refusal.value.code == code
    errors: list[dict[str, str]] = refusal.value.problem.get("errors", [])
    return errors


async def _appraise(office: Office) -> None:
    """The council has names and a deputy; an item is asked about twice, another one is judged by two appraisers."""
    await office.open()
    officer = await office.by(Role.OFFICER)
    people = {role: office.subject(role) for role in ("chair", "member-1", "member-2")}
    seats = {
        "chair": people["chair"],
        "deputy": people["member-1"],
        "members": list(people.values()),
        "names": {people["chair"]: "Trần Thị Ánh, Phó Chủ tịch UBND"},
    }
    await officer.post("appraisal", office.here(rest="/council"), seats)
    await office.assign("central", "1", name="second")
    await office.assign("central", "1", role=Role.MONITOR)
    await office.assess_all({NORTH: {"1.1": "20", "1.2": "95"}})
    await office.recognise(NORTH)
    await office.correct(NORTH, "2.1", "5", "appraised-directly")
    await _two_rounds(office)
    second = await office.by(Role.APPRAISER, name="second")
    body = {"data": "18,75", "reason_code": "data-corrected", "reason": "Theo báo cáo."}
    path = office.here(NORTH, "/items/1.1/appraisal")
    await _refused("stale-version", second, "PUT", path, body)
    await second.put("appraisal", path, {**body, "replaces": 1})
    monitor = await office.by(Role.MONITOR)
    remark = {"about": "1.1", "remark": "Thấp hơn số kê khai."}
    await monitor.post("appraisal", office.here(NORTH, "/remarks"), remark)
    shown = await officer.get("appraisal", office.here(NORTH))
    assert [(each["about"], each["words"]) for each in shown["remarks"]] == [("1.1", "Thấp hơn số kê khai.")]
    await office.study(NORTH, {"3.1": "20", "3.2": "10"})
    await office.close()


async def _two_rounds(office: Office) -> None:
    """Asked, answered, asked again, answered again; then the appraiser judges anew."""
    clerk, before = await office.by(Role.AGENCY, NORTH), await office.now() + timedelta(days=1)
    for number in (1, 2):
        request = await patient(
            lambda: office.ask(NORTH, "1.2", before), lambda refused: refused.code == "explanation-open"
        )
        shown = await clerk.get("appraisal", office.here(NORTH, "/explanation-requests"))
        assert [each["round"] for each in shown["requests"]] == list(range(1, number + 1))
        await office.answer(NORTH, "1.2", request)

    async def settled() -> bool:
        shown = await clerk.get("appraisal", office.here(NORTH, "/explanation-requests"))
        return all(each["settled"] for each in shown["requests"])

    await until(settled)
    await office.correct(NORTH, "1.2", "80")


async def _hold(office: Office) -> None:
    """One of three in favour does not carry; two do, and the item has the council's points."""
    officer = await office.by(Role.OFFICER)
    chair = await office.by(Role.COUNCIL_CHAIR, name="chair")
    deputy = await office.by(Role.COUNCIL, name="member-1")
    member = await office.by(Role.COUNCIL, name="member-2")
    day = (await office.now()).astimezone(ZONE).date().isoformat()
    session = {"session": "first", "held_on": day, "place": "Phòng họp số 2"}
    await officer.post("appraisal", office.here(rest="/council/sessions"), session)
    lost = await _propose(office, deputy, "10")
    for client, choice in ((chair, "for"), (deputy, "against"), (member, "for"), (member, "abstained")):
        await client.put("appraisal", f"{lost}/vote", {"choice": choice})
    stranger = await office.by(Role.COUNCIL, name="of-another-council")
    await _refused("not-seated", stranger, "PUT", f"{lost}/vote", {"choice": "for"})
    await _refused("not-the-chair", member, "POST", f"{lost}/decision", {"resolution": "01/NQ-HĐTĐ"})
    await chair.post("appraisal", f"{lost}/decision", {"resolution": "01/NQ-HĐTĐ"})
    await _refused("proposal-decided", member, "PUT", f"{lost}/vote", {"choice": "for"})
    assert await _council_points(office) is None
    won = await _propose(office, officer, "12,5")
    await member.post("appraisal", office.here(NORTH, "/conflict"), {"reason": "Người thân công tác tại cơ quan."})
    await _refused("conflict-of-interest", member, "PUT", f"{won}/vote", {"choice": "against"})
    await chair.put("appraisal", f"{won}/vote", {"choice": "for"})
    number = won.rpartition("/")[2]
    await _command(office, office.token(Role.COUNCIL, name="member-1"), "vote", NORTH, number, "for", "--in-writing")
    path = office.here(rest="/council/sessions/first/closing")
    present = [office.subject(name) for name in ("chair", "member-1", "member-2")]
    errors = await _refused("session-incomplete", chair, "POST", path, {"resolution": "01/NQ-HĐTĐ", "present": present})
    assert [each["item"] for each in errors] == [f"{NORTH} 1.1"]
    await office.applied(await chair.post("appraisal", f"{won}/decision", {"resolution": "01/NQ-HĐTĐ", **WORDS}))
    assert await _council_points(office) == "12.5"


async def _command(office: Office, token: str, *words: str) -> None:
    """`parindex council …` with that token, as a process of its own."""
    more = ("--period", office.period, "--home", str(office.stack.home.path), "--token", token)
    command = (sys.executable, "-m", "deploy.cli", "council", *words, *more)
    run = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, cwd=ROOT)
    _, error = await run.communicate()
    assert run.returncode == 0, error.decode()


async def _propose(office: Office, client: Client, data: str) -> str:
    """The path of a proposal on an item, made by an officer or a member."""
    body = {"session": "first", "item": "1.1", "data": data, **CODE, **WORDS}
    position = (await client.post("appraisal", office.here(NORTH, "/proposals"), body))["position"]
    return office.here(NORTH, f"/proposals/{position}")


async def _council_points(office: Office) -> str | None:
    """The council's points of the item that was voted on, on the agency's card."""
    leaves = {line["code"]: line for line in (await office.card(NORTH))["card"]["leaves"]}
    points: str | None = leaves["1.1"].get("council")
    return points


async def _decide(office: Office) -> None:
    """The appraisal is final only once the council has accepted the result; then the session ends."""
    officer, chair = await office.by(Role.OFFICER), await office.by(Role.COUNCIL_CHAIR, name="chair")
    final = office.here(rest="/finalisation")

    async def only_the_council_is_missing() -> bool:
        errors = await _refused("period-open", officer, "POST", final)
        return {each["code"] for each in errors} == {"council-decision-missing"}

    await until(only_the_council_is_missing)
    tally = {"members": MEMBERS, "in_favour": 3, "against": 0, "abstained": 0}
    decision = {"resolution": "02/NQ-HĐTĐ", "dated": "2025-01-15", "tally": tally}
    await chair.post("appraisal", office.here(rest="/council/sessions/first/decision"), decision)
    present = [office.subject(name) for name in ("chair", "member-1", "member-2")]
    ending = {"resolution": "01/NQ-HĐTĐ", "present": present}
    await officer.post("appraisal", office.here(rest="/council/sessions/first/closing"), ending)
    await office.finalise()


async def _read(office: Office, folder: Path) -> None:
    """Members see how each voted, the officer the tallies; the minutes are read as DOCX again."""
    officer, member = await office.by(Role.OFFICER), await office.by(Role.COUNCIL, name="member-2")
    path = office.here(rest="/council/sessions/first")
    inside = (await member.get("appraisal", path))["proposals"]
    assert [(each["outcome"], each["own"], len(each["votes"])) for each in inside] == [
        ("rejected", "abstained", 3),
        ("carried", None, 2),
    ]
    outside = (await officer.get("appraisal", path))["proposals"]
    assert not any({"votes", "own"} & each.keys() for each in outside)
    told = await officer.get("appraisal", f"{path}/minutes")
    assert [(each["before"], each["points"]) for each in told["adjusted"]] == [("18.75", "12.5")]
    url = f"{office.stack.services['appraisal']}{path}/minutes"
    bearer = {"Authorization": f"Bearer {office.token(Role.OFFICER)}"}
    answer = await office.http.get(f"{url}?format=docx", headers=bearer)
    assert (answer.status_code, answer.headers["content-type"]) == (200, DOCX_TYPE)
    taken = folder / "bien-ban.docx"
    await _command(office, office.token(Role.OFFICER), "minutes", "first", "--out", str(taken))
    assert taken.read_bytes() == answer.content, "the same paper is the same bytes"
    paper: Any = docx.Document(io.BytesIO(answer.content))
    cells = [cell.text for table in paper.tables for row in table.rows for cell in row.cells]
    words = [*(paragraph.text for paragraph in paper.paragraphs), *cells]
    assert "BIÊN BẢN HỌP HỘI ĐỒNG THẨM ĐỊNH" in words
    assert {"Thông qua", "Không thông qua", "12,5", "18,75", "Cục Thuế thành phố"} <= set(words)
    assert [line for line in words if NATION[0] in line]
    assert [line for line in words if "Trần Thị Ánh" in line]
    pdf = await office.http.get(f"{url}?format=pdf", headers=bearer)
    assert pdf.content.startswith(b"%PDF-")
