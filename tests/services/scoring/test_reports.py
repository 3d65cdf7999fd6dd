"""What officers, agencies and appraisers read over HTTP: progress."""

from datetime import datetime
from typing import Any

import pytest

from shared.access import Role
from tests.services.scoring.conftest import Scoring
from tests.services.scoring.samples import PERIOD, PILOT, Story, whole_story
from tests.services.scoring.test_api import get, refused

PROGRESS = f"/periods/{PERIOD}/progress"


async def followed(scoring: Scoring, story: Story) -> Story:
    await scoring.follow(story)
    await scoring.play(story.now)
    return story


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
