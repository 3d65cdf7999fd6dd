"""What is done over HTTP beside declaring: withdrawing, taking over, estimating, reopening, reporting, reminding."""

import hashlib
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import docx
from openpyxl import load_workbook

from deploy.local import clock
from shared.access import Role
from tests.conftest import Database
from tests.services.submission.conftest import Office, Stack, own_settings, running, until
from tests.services.submission.test_doors import DATA, HASH, PDF, code, event, file, state, upload
from tests.shared.test_documents import pdf_text

SIX = {"kind": "six-month", "span": {"from": "2033-01-01", "to": "2033-06-30"}}
YEAR = {"kind": "year", "span": {"from": "2033-01-01", "to": "2033-12-31"}}
DUE = datetime.fromisoformat("2033-11-30T00:00+07:00")
LAST = DUE + timedelta(days=2)
UNTIL = LAST + timedelta(days=4)


async def begin(office: Office, period: str, **changes: Any) -> None:
    office.period = period
    deadlines = {"self-assessment": {"due": DUE.isoformat(), "last": LAST.isoformat()}}
    answer = await office.open_period(deadlines=deadlines, **changes)
    assert answer.status_code == 201, answer.text


async def declare(office: Office, item: str, data: str, **more: Any) -> Any:
    return await office.call(Role.AGENCY, "PUT", f"{office.own}/items/{item}", {"data": data, **more})


async def send(office: Office) -> int:
    digest = {"digest": (await state(office))["digest"]}
    assert (await office.call(Role.AGENCY_HEAD, "POST", f"{office.own}/approval", digest)).status_code == 201
    return (await office.call(Role.AGENCY, "POST", f"{office.own}/submission", digest)).status_code


async def reminders(office: Office, role: Role, days: int, agency: str | None = "") -> list[tuple[str, str, bool]]:
    path = f"/periods/{office.period}/reminders?days={days}"
    answer = await office.call(role, "GET", path, agency=agency)
    assert answer.status_code == 200, answer.text
    return [(each["agency"], each["what"], each["overdue"]) for each in answer.json()["reminders"]]


async def test_an_agency_takes_over_estimates_reopens_and_reports(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    async with running(await own_settings(stack, database, tmp_path), tmp_path) as office:
        await begin(office, "2033-six", **SIX)
        await _halfway(office)
        await begin(office, "2033-year", **YEAR)
        await _taken_over(office)
        await _sent_with_an_estimate(office)
        await _reopened(office, database)
        await _reports(office)


async def _halfway(office: Office) -> None:
    """The six-month period: all declared, one file for two items, one of them withdrawn again."""
    for item, data in DATA.items():
        assert (await declare(office, item, data)).status_code == 201
    body = file(await upload(office), items=["1.1", "2.1"])
    assert (await office.call(Role.AGENCY, "POST", f"{office.own}/evidence", body)).status_code == 201
    withdrawal = f"{office.own}/evidence/{HASH}/withdrawal"
    refusals = [
        (await office.call(Role.AGENCY, "POST", withdrawal, {"items": ["1.2"]}), 404, "evidence-unknown"),
        (await office.call(Role.AGENCY_HEAD, "POST", withdrawal, {}), 403, "role-missing"),
        (await office.call(Role.AGENCY, "POST", withdrawal, {}, agency=office.other), 403, "other-agency"),
    ]
    for answer, status, expected in refusals:
        assert (answer.status_code, code(answer)) == (status, expected), answer.text
    withdraw = event(office, "withdraw-evidence", 1, sha256=HASH, items=["1.1"])
    [receipt] = (await office.call(Role.AGENCY, "POST", "/intake", withdraw)).json()
    assert receipt["status"] == "accepted", receipt
    shown = await state(office)
    assert [(each["items"], each["withdrawn"]) for each in shown["evidence"]] == [(["1.1", "2.1"], ["1.1"])]
    read = await office.call(Role.APPRAISER, "GET", f"{office.own}/evidence/{HASH}", agency=None)
    assert hashlib.sha256(read.content).hexdigest() == HASH


async def _taken_over(office: Office) -> None:
    """The year: drafts are looked at and taken over one by one, with the file and without an upload."""
    answer = await office.call(Role.AGENCY, "GET", f"{office.own}/drafts?from=2033-six")
    drafts = {each["item"]: each for each in answer.json()["drafts"]}
    assert (drafts["2.1"]["data"], drafts["2.1"]["taken"], len(drafts["2.1"]["evidence"])) == ("2.75", False, 1)
    assert drafts["1.1"]["evidence"] == []
    source = drafts["2.1"]["taken_from"]
    other = {"log": source["log"], "position": source["position"] + 1}
    refusals = [
        (await declare(office, "2.1", "2,5", taken_from=source), 409, "draft-differs"),
        (await declare(office, "2.1", "2,75", taken_from=other), 404, "draft-unknown"),
        (
            await declare(office, "2.1", "2,75", taken_from={**source, "log": "submission/2033-year"}),
            422,
            "period-not-earlier",
        ),
        (await declare(office, "2.1", "2,75", taken_from={**source, "log": "appraisal/2033-six"}), 422, "body-invalid"),
        (await office.call(Role.AGENCY, "GET", f"{office.own}/drafts?from=none"), 404, "period-unknown"),
        (
            await office.call(Role.MONITOR, "GET", f"{office.own}/drafts?from=2033-six", agency=None),
            403,
            "role-missing",
        ),
    ]
    for answer, status, expected in refusals:
        assert (answer.status_code, code(answer)) == (status, expected), answer.text
    assert (await state(office))["version"] == 0
    assert (await declare(office, "2.1", "2,75", taken_from=source)).status_code == 201
    item = {each["item"]: each for each in (await state(office))["items"]}["2.1"]
    assert (item["taken_from"], item["evidence"], item["points"]) == (source, [HASH], "2.75")
    read = await office.call(Role.AGENCY, "GET", f"{office.own}/evidence/{HASH}")
    assert read.content == PDF
    assert read.headers["content-disposition"].endswith("K%E1%BA%BF%20ho%E1%BA%A1ch.pdf")
    again = await office.call(Role.AGENCY, "GET", f"{office.own}/drafts?from=2033-six")
    assert [each["item"] for each in again.json()["drafts"] if each["taken"]] == ["2.1"]


async def _sent_with_an_estimate(office: Office) -> None:
    for item in ("1.1", "1.2", "1.3", "2.2"):
        answer = await declare(office, item, DATA[item], **({"estimated": True} if item == "1.3" else {}))
        assert answer.status_code == 201, answer.text
        words = {"text": "Theo sổ theo dõi"}
        await office.call(Role.AGENCY, "PUT", f"{office.own}/items/{item}/explanation", words)
    shown = await state(office)
    assert (shown["faults"], [each["code"] for each in shown["warnings"]]) == ([], ["figure-estimated"])
    assert await send(office) == 201
    sent = await state(office, Role.AGENCY_HEAD)
    assert (sent["approval"]["digest"], sent["approval"]["stands"]) == (sent["digest"], True)
    assert await reminders(office, Role.AGENCY, 366) == [(office.agency, "figure-estimated", False)]
    confirmed = await declare(office, "1.3", DATA["1.3"])
    assert confirmed.status_code == 201, confirmed.text
    assert (await state(office))["warnings"] == []
    assert code(await declare(office, "1.3", "3")) == "already-submitted"


async def _reopened(office: Office, database: Database) -> None:
    """The clock closes the step; one agency is reopened, declares anew, submits; another closes by itself again."""
    body = {"until": UNTIL.isoformat(), "reason_code": "as-declared", "reason": "Sáp nhập đơn vị"}
    other = f"/periods/{office.period}/agencies/{office.other}"
    early = await office.call(Role.OFFICER, "POST", f"{other}/reopening", body, agency=None)
    assert (early.status_code, code(early)) == (409, "step-still-open")
    await clock.forward([database.owner_url], DUE)
    assert await reminders(office, Role.OFFICER, 7, agency=None) == [(office.other, "self-assessment", True)]
    assert await reminders(office, Role.AGENCY, 7) == []
    await clock.forward([database.owner_url], LAST)

    async def period() -> dict[str, Any]:
        return dict((await office.call(Role.OFFICER, "GET", f"/periods/{office.period}", agency=None)).json())

    async def closed() -> bool:
        return bool((await period())["closed"])

    await until(closed)
    for agency in (office.agency, office.other):
        path = f"/periods/{office.period}/agencies/{agency}/reopening"
        assert (await office.call(Role.AGENCY, "POST", path, body)).status_code == 403
        answer = await office.call(Role.OFFICER, "POST", path, body, agency=None)
        assert answer.status_code == 201, answer.text
    shown = await period()
    assert (set(shown["reopened"]), shown["submitted"]) == ({office.agency, office.other}, [])
    assert (await declare(office, "2.1", "3")).status_code == 201
    assert await send(office) == 201
    await clock.forward([database.owner_url], UNTIL)

    async def closed_again() -> bool:
        return not (await period())["reopened"]

    await until(closed_again)
    assert (await period())["submitted"] == [office.agency]
    late = await office.call(Role.AGENCY, "PUT", f"{other}/items/1.1", {"data": "yes"}, agency=office.other)
    assert (late.status_code, code(late)) == (409, "step-closed")


async def _reports(office: Office) -> None:
    whole = {}
    for kind in ("docx", "pdf", "xlsx"):
        answer = await office.call(Role.AGENCY_HEAD, "GET", f"{office.own}/report?format={kind}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-disposition"].endswith(f'.{kind}"')
        whole[kind] = answer.content
    digest = (await state(office))["digest"]
    paper = docx.Document(io.BytesIO(whole["docx"]))
    assert digest in "\n".join(each.text for each in paper.paragraphs)
    assert digest in "".join(pdf_text(whole["pdf"]).split())
    sheet = load_workbook(io.BytesIO(whole["xlsx"]))["Tự đánh giá"]
    [total] = [row for row in sheet.iter_rows(values_only=True) if str(row[1]).startswith("TỔNG CỘNG")]
    assert total[3] == 10
    refused = [
        (await office.call(Role.AGENCY, "GET", f"{office.own}/report?format=doc"), "parameter-invalid"),
        (await office.call(Role.AGENCY, "GET", f"{office.own}/report", agency=office.other), "other-agency"),
        (await office.call(Role.MONITOR, "GET", f"{office.own}/report", agency=None), "role-missing"),
        (await office.call(Role.OPS, "GET", f"/periods/{office.period}/reminders", agency=None), "role-missing"),
    ]
    for answer, expected in refused:
        assert code(answer) == expected, answer.text
