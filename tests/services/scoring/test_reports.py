"""What officers, agencies, appraisers and everyone read and take home: progress, strong and weak sides, exports."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from services.scoring.tables import WITHHELD
from shared.access import Role
from shared.sheet import CSV_TYPE, WORKBOOK_TYPE, read, read_csv
from tests.services.scoring.conftest import Scoring
from tests.services.scoring.samples import PERIOD, PILOT, Story, whole_story
from tests.services.scoring.test_api import APPROVAL, get, post, refused

PROGRESS = f"/periods/{PERIOD}/progress"


async def followed(scoring: Scoring, story: Story) -> Story:
    await scoring.follow(story)
    await scoring.play(story.now)
    return story


async def published(scoring: Scoring, policy: Mapping[str, str]) -> None:
    """A published period with such publication policies of agencies."""
    story = whole_story(publication=policy)
    await scoring.follow(story)
    await scoring.archive_all(story)
    live = f"/periods/{PERIOD}"
    assert (await post(scoring, f"{live}/consolidation", Role.OFFICER, "officer")).status_code == 201
    digest = (await get(scoring, f"{live}/consolidation", Role.APPROVER)).json()["digest"]
    body = {"digest": digest, **APPROVAL}
    assert (await post(scoring, f"{live}/approval", Role.APPROVER, "approver", body)).status_code == 201
    await scoring.archive_own()
    assert (await post(scoring, f"{live}/publication", Role.OFFICER, "officer")).status_code == 201


async def progress(scoring: Scoring, *roles: Role, **who: Any) -> dict[str, Any]:
    answer = await get(scoring, PROGRESS, *roles, **who)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_an_officer_follows_every_agency_and_the_period(scoring: Scoring) -> None:
    story = Story().open({"central": PILOT}, {"a-01": "central", "a-02": "central"})
    story.declare("a-01", "1.1.1", "2")
    await followed(scoring, story)
    body = await progress(scoring, Role.OFFICER)
    assert [step["step"] for step in body["steps"]] == [
        "self-assessment", "review", "survey", "appraisal", "consolidation", "publication"
    ]  # fmt: skip
    assert body["steps"][0]["due"] == "2024-11-29T17:00:00.000000Z"
    first, second = body["agencies"]
    assert (first["agency"], first["step"], first["name_vi"]) == ("a-01", "self-assessment", "Cơ quan a-01")
    assert (first["counts"]["declared"], second["counts"]["declared"], first["fields"]["1"]["declared"]) == (1, 0, 1)
    assert first["turns"][0] == {
        "action": "declare",
        "step": "self-assessment",
        "role": "agency",
        "what_vi": "Kê khai, gửi tài liệu kiểm chứng",
        "what_en": "Declare data and evidence",
        "service": "submission",
        "route": f"PUT /periods/{PERIOD}/agencies/a-01/items/ITEM",
        "command": f"parindex assess import a-01 FILE --period {PERIOD}",
        "until": "2024-11-29T17:00:00.000000Z",
        "overdue": False,
    }
    assert [turn["action"] for turn in body["turns"]] == ["seat-council"]
    assert {block["code"] for block in body["blocks"]} >= {"council-missing", "appraisal-not-final"}
    await scoring.play(datetime.fromisoformat("2024-11-30T00:00+07:00"))
    turn = (await progress(scoring, Role.AUDITOR))["agencies"][0]["turns"][0]
    assert (turn["action"], turn["role"], turn["overdue"]) == ("close-self-assessment", "officer", True)


async def test_an_agency_follows_itself_only(scoring: Scoring) -> None:
    await followed(scoring, whole_story())
    for role in (Role.AGENCY, Role.AGENCY_HEAD):
        body = await progress(scoring, role, agency="a-02")
        assert [row["agency"] for row in body["agencies"]] == ["a-02"]
        assert not {"blocks", "turns"} & body.keys()
    refused(await get(scoring, PROGRESS, Role.AGENCY, agency="a-99"), 403, "other-agency")


@pytest.mark.parametrize(("role", "turns"), [(Role.APPRAISER, ["appraise"]), (Role.MONITOR, [])])
async def test_appraisers_and_monitors_follow_the_counts_of_their_fields(
    scoring: Scoring, role: Role, turns: list[str]
) -> None:
    story = Story().open({"central": PILOT}, {"a-01": "central"})
    story.submit("a-01")
    story.open_appraisal("a-01")
    story.assign("0b" * 16, "central", "1")
    story.assign(scoring.actor("of-field-2"), "central", "2")
    await followed(scoring, story)
    [row] = (await progress(scoring, role, sub="of-field-2"))["agencies"]
    assert (list(row["fields"]), row["counts"]["items"]) == (["2"], 2)
    assert {block["item"] for block in row["blocks"]} == {"2.1", "2.2"}
    assert [turn["action"] for turn in row["turns"]] == turns
    refused(await get(scoring, PROGRESS, role, sub="of-nothing"), 403, "field-not-assigned")


async def test_a_council_follows_once_it_is_seated(scoring: Scoring) -> None:
    await followed(scoring, whole_story())
    refused(await get(scoring, PROGRESS, Role.COUNCIL, sub="someone-else"), 403, "not-seated")


async def test_progress_is_for_those_who_take_part(scoring: Scoring) -> None:
    await followed(scoring, whole_story())
    refused(await get(scoring, PROGRESS), 401, "token-missing")
    for role in (Role.OPS, Role.SURVEY_OFFICER):
        refused(await get(scoring, PROGRESS, role), 403, "role-missing")
    refused(await get(scoring, "/periods/2030-year/progress", Role.OFFICER), 404, "period-unknown")


async def test_progress_moves_from_consolidation_to_nothing_left_to_do(scoring: Scoring) -> None:
    story = await followed(scoring, whole_story())
    body = await progress(scoring, Role.OFFICER)
    assert {row["step"] for row in body["agencies"]} == {"consolidation"}
    assert {block["code"] for block in body["blocks"]} == {"heads-not-archived", "approval-missing"}
    assert [turn["action"] for turn in body["turns"]] == ["consolidate"]
    await scoring.archive_all(story)
    codes = [block["code"] for block in (await progress(scoring, Role.OFFICER))["blocks"]]
    assert codes == ["approval-missing", "heads-not-archived"]


SIDES = f"/periods/{PERIOD}/agencies/a-01/strengths"


async def test_an_officer_sees_losses_with_causes_beside_the_best_of_the_group(scoring: Scoring) -> None:
    await followed(scoring, whole_story())
    body = (await get(scoring, SIDES, Role.OFFICER)).json()
    items = {item["item"]: item for item in body["items"]}
    assert items["2.1"] == {
        "item": "2.1", "label_vi": "Một cửa", "label_en": "Một cửa", "part": "appraisal", "maximum": "4",
        "not_applicable": False, "self_assessed": "3.75", "appraised": "3.5", "achieved": "3.5",
        "lost": "0.5", "of_total": "0.5", "best": "3.75",
        "causes": [
            {"cause": "declared-below-maximum", "cause_vi": "Tự chấm dưới điểm tối đa",
             "cause_en": "Declared below the maximum", "points": "0.25"},
            {"cause": "corrected-by-appraiser", "cause_vi": "Thẩm định điều chỉnh",
             "cause_en": "Corrected by the appraiser", "points": "0.25", "reason_code": "as-declared"},
        ],
    }  # fmt: skip
    assert (body["maximum"], body["total"], body["lost"], body["rests"]) == ("20", "17.50", "2.5", [])
    assert sum(Decimal(item["of_total"]) for item in body["items"]) == Decimal("2.5")
    assert (body["strong"], body["weak"][0]) == (["1.1.1", "2.2"], "3.1")
    assert body["fields"][0] == {
        "code": "1", "maximum": "5", "applicable": "5", "achieved": "4.5", "index": "90.00",
        "best_index": "90.00",
    }  # fmt: skip


async def test_an_agency_sees_its_own_sheet_without_the_others(scoring: Scoring) -> None:
    story = await followed(scoring, whole_story())
    early = (await get(scoring, SIDES, Role.AGENCY, agency="a-01")).json()
    assert [item["item"] for item in early["items"]] == ["1.1.1", "1.1.2", "2.1"]
    assert not {"total", "lost", "weak"} & early.keys()
    assert not [item for item in early["items"] if {"appraised", "achieved", "best"} & item.keys()]
    await scoring.play(story.states.period.the_opened().appraised_points_visible_from)
    late = (await get(scoring, SIDES, Role.AGENCY, agency="a-01")).json()
    assert late["lost"] == "2.5"
    assert not [item for item in late["items"] if "best" in item]
    assert not [field for field in late["fields"] if "best_index" in field]
    refused(await get(scoring, SIDES, Role.AGENCY, agency="a-02"), 403, "other-agency")


async def test_an_appraiser_sees_the_losses_of_assigned_fields_and_no_total(scoring: Scoring) -> None:
    story = whole_story()
    story.assign(scoring.actor("of-field-2"), "central", "2")
    await followed(scoring, story)
    body = (await get(scoring, SIDES, Role.APPRAISER, sub="of-field-2")).json()
    assert [item["item"] for item in body["items"]] == ["2.1", "2.2"]
    assert not {"total", "lost", "maximum", "fields", "rests"} & body.keys()
    assert (body["strong"], body["weak"]) == (["2.2"], ["2.1"])


async def test_a_published_sheet_is_for_everyone_as_far_as_the_policy_shows_points(scoring: Scoring) -> None:
    refused(await get(scoring, f"/published/{PERIOD}/agencies/a-01/strengths"), 404, "not-published")
    await published(scoring, {"a-02": "totals-only"})
    path = f"/published/{PERIOD}/agencies/a-01/strengths?before={PERIOD}"
    body = (await get(scoring, path)).json()
    assert (body["lost"], body["provisional"]) == ("2.5", False)
    assert body["before"] == {"period": PERIOD, "took_part": True, "added": [], "removed": []}
    items = {item["item"]: item for item in body["items"]}
    assert (items["2.1"]["before"], items["2.1"]["best"]) == (
        {"maximum": "4", "achieved": "3.5", "not_applicable": False}, "3.5"
    )  # fmt: skip
    assert body["fields"][0]["before_index"] == "90.00"
    refused(await get(scoring, f"/published/{PERIOD}/agencies/a-02/strengths"), 404, "not-published")
    refused(await get(scoring, f"/published/{PERIOD}/agencies/a-99/strengths"), 404, "agency-unknown")
    own = await get(scoring, f"/periods/{PERIOD}/agencies/a-02/strengths?before={PERIOD}", Role.OFFICER)
    assert own.json()["before"]["took_part"]
    unknown = await get(scoring, f"{SIDES}?before=2001-year", Role.OFFICER)
    assert unknown.status_code == 404


@pytest.mark.parametrize(("policy", "reasons"), [("everything", {"as-declared"}), ("points-only", set[str]())])
async def test_where_only_points_are_published_no_reason_is(scoring: Scoring, policy: str, reasons: set[str]) -> None:
    await published(scoring, {"a-01": policy})
    body = (await get(scoring, f"/published/{PERIOD}/agencies/a-01/strengths")).json()
    causes = [cause for item in body["items"] for cause in item["causes"]]
    assert {cause["reason_code"] for cause in causes if "reason_code" in cause} == reasons


EXPORT = f"/periods/{PERIOD}/export"


@pytest.mark.parametrize("what", ["ranking", "fields", "criteria", "agency&agency=a-01"])
async def test_a_live_export_is_marked_provisional_in_each_format(scoring: Scoring, what: str) -> None:
    await followed(scoring, whole_story())
    book = await get(scoring, f"{EXPORT}?what={what}", Role.APPROVER)
    assert book.headers["content-type"] == WORKBOOK_TYPE
    assert book.headers["content-disposition"].endswith('-tam-tinh.xlsx"')
    assert "TẠM TÍNH" in read(book.content)[0][-1]
    text = await get(scoring, f"{EXPORT}?what={what}&format=csv", Role.OFFICER)
    assert text.headers["content-type"] == CSV_TYPE
    assert "TẠM TÍNH" in read_csv(text.content)[0][-1]
    body = (await get(scoring, f"{EXPORT}?what={what}&format=json", Role.AUDITOR)).json()
    assert body["provisional"]
    assert len(body["tables"][0]["rows"]) + 1 == len(read_csv(text.content)) == len(read(book.content))


async def test_an_export_that_lacks_a_parameter_names_it(scoring: Scoring) -> None:
    await followed(scoring, whole_story())
    for what, field in (("agency", "agency"), ("comparison", "before")):
        answer = await get(scoring, f"{EXPORT}?what={what}", Role.OFFICER)
        refused(answer, 422, "export-incomplete")
        assert answer.json()["field"] == field
    refused(await get(scoring, f"{EXPORT}?what=everything", Role.OFFICER), 400, "parameter-invalid")
    refused(await get(scoring, f"{EXPORT}?what=ranking&color=red", Role.OFFICER), 400, "parameter-invalid")
    refused(await get(scoring, f"{EXPORT}?what=agency&agency=a-99", Role.OFFICER), 404, "agency-unknown")


async def test_a_live_export_is_for_who_sees_the_table(scoring: Scoring) -> None:
    await followed(scoring, whole_story())
    for role in (Role.AGENCY, Role.APPRAISER, Role.MONITOR, Role.OPS):
        refused(await get(scoring, f"{EXPORT}?what=ranking", role, agency="a-01"), 403, "role-missing")
    refused(await get(scoring, f"{EXPORT}?what=ranking", Role.COUNCIL), 403, "not-seated")
    refused(await get(scoring, f"/published/{PERIOD}/export?what=ranking"), 404, "not-published")


async def test_a_published_export_is_for_everyone_and_shows_what_the_policy_leaves(scoring: Scoring) -> None:
    await published(scoring, {"a-02": "totals-only"})
    base = f"/published/{PERIOD}/export?format=json"
    body = (await get(scoring, f"{base}&what=ranking")).json()
    assert (body["provisional"], [row["total"] for row in body["tables"][0]["rows"]]) == (False, ["17.50", "14.75"])
    assert body["tables"][0]["rows"][1]["appraisal"] == WITHHELD
    refused(await get(scoring, f"{base}&what=agency&agency=a-02"), 404, "not-published")
    compared = (await get(scoring, f"{base}&what=comparison&before={PERIOD}")).json()
    assert [row["change"] for row in compared["tables"][0]["rows"]] == ["0.00", "0.00"]
    book = await get(scoring, f"/published/{PERIOD}/export?what=comparison&before={PERIOD}&agency=a-01")
    assert read(book.content)[1][0] == "1.1.1"
    live = (
        await get(scoring, f"{EXPORT}?what=comparison&format=json&before={PERIOD}&agency=a-02", Role.OFFICER)
    ).json()
    assert live["provisional"]
