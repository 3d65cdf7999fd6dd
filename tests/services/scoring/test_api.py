"""The HTTP door of scoring: who may ask what, and a period from its obstacles to the published index."""

import asyncio
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from services.scoring.replay import replay
from shared.access import Role
from shared.events import Event, parts_digest
from shared.events.scoring import CardPublished, IndexPublished
from tests.services.scoring.conftest import SCORING, Scoring
from tests.services.scoring.samples import PERIOD, PILOT, Story, whole_story

LIVE = f"/periods/{PERIOD}"
APPROVAL = {"decision": "5691/QĐ-UBND", "dated": "2025-01-15"}


async def get(scoring: Scoring, path: str, *roles: Role, **who: Any) -> httpx.Response:
    return await scoring.client.get(path, headers=scoring.bearer(*roles, **who) if roles else {})


async def post(scoring: Scoring, path: str, role: Role, sub: str, body: object = None) -> httpx.Response:
    return await scoring.client.post(path, json=body, headers=scoring.bearer(role, sub=sub))


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def consolidated(scoring: Scoring) -> Story:
    """A whole period, archived and consolidated."""
    story = whole_story()
    await scoring.follow(story)
    await scoring.archive_all(story)
    answer = await post(scoring, f"{LIVE}/consolidation", Role.OFFICER, "officer")
    assert answer.status_code == 201, answer.text
    return story


async def approved(scoring: Scoring) -> Story:
    """The same, approved by another person, and the scoring log archived as it stands."""
    story = await consolidated(scoring)
    digest = (await get(scoring, f"{LIVE}/consolidation", Role.APPROVER)).json()["digest"]
    answer = await post(scoring, f"{LIVE}/approval", Role.APPROVER, "approver", {"digest": digest, **APPROVAL})
    assert answer.status_code == 201, answer.text
    await scoring.archive_own()
    return story


async def published(scoring: Scoring) -> Story:
    story = await approved(scoring)
    answer = await post(scoring, f"{LIVE}/publication", Role.OFFICER, "officer")
    assert answer.status_code == 201, answer.text
    return story


async def own_events(scoring: Scoring) -> list[Event]:
    return [entry.event for entry in await scoring.service.ledger.read(SCORING, 0, 100) if entry.event is not None]


async def test_the_live_table_names_its_rows_and_heads(scoring: Scoring) -> None:
    story = whole_story()
    await scoring.follow(story)
    answer = (await get(scoring, f"{LIVE}/table", Role.OFFICER)).json()
    rows = [(row["rank"], row["agency"], row["total"], row["self_assessed"]) for row in answer["rows"]]
    assert rows == [(1, "a-01", "17.50", "8.25"), (2, "a-02", "14.75", "8.75")]
    totals = [(row["appraised"], row["appraised_open"], row["survey"], row["survey_open"]) for row in answer["rows"]]
    assert totals == [("9.00", 0, "8.50", 0), ("9.25", 0, "5.50", 0)]
    assert answer["heads"] == {log: head.model_dump() for log, head in story.heads.items()}


async def test_an_unchanged_table_is_not_sent_again(scoring: Scoring) -> None:
    story = whole_story()
    await scoring.follow(story)
    officer = scoring.bearer(Role.OFFICER)
    tag = (await scoring.client.get(f"{LIVE}/table", headers=officer)).headers["etag"]
    again = await scoring.client.get(f"{LIVE}/table", headers=officer | {"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    story.adjust("a-01", "2.1", "1")
    await scoring.follow(story)
    moved = await scoring.client.get(f"{LIVE}/table", headers=officer | {"If-None-Match": tag})
    assert moved.status_code == 200


async def test_who_waits_for_a_later_table_gets_it_as_it_comes(scoring: Scoring) -> None:
    story = whole_story()
    await scoring.follow(story)
    version = (await get(scoring, f"{LIVE}/table", Role.OFFICER)).json()["version"]
    waiting = asyncio.create_task(get(scoring, f"{LIVE}/table?after={version}", Role.OFFICER))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    story.adjust("a-01", "2.1", "1")
    await scoring.follow(story)
    for callback in scoring.service.follower.applied:
        callback("appraisal/2024-year")
    answer = (await waiting).json()
    assert (answer["version"], answer["rows"][0]["total"]) == (version + 1, "15.00")


@pytest.mark.parametrize("role", [Role.AGENCY, Role.APPRAISER, Role.MONITOR, Role.OPS, Role.SURVEY_OFFICER])
async def test_the_table_is_not_for_everyone(scoring: Scoring, role: Role) -> None:
    await scoring.follow(whole_story())
    refused(await get(scoring, f"{LIVE}/table", role, agency="a-01"), 403, "role-missing")


@pytest.mark.parametrize("what", ["table", "agencies/a-01/card", "agencies/a-01/history", "obstacles", "consolidation"])
async def test_the_public_sees_nothing_before_publication(scoring: Scoring, what: str) -> None:
    refused(await get(scoring, f"{LIVE}/{what}"), 401, "token-missing")
    refused(await get(scoring, f"{LIVE}/{what}", Role.OPS), 403, "role-missing")
    refused(await get(scoring, f"/published/{PERIOD}"), 404, "not-published")


async def test_an_unknown_period_is_refused(scoring: Scoring) -> None:
    for path in ("/periods/2030-year/table", "/periods/2030-year/agencies/a-01/card", "/periods/2030-year/obstacles"):
        refused(await get(scoring, path, Role.OFFICER), 404, "period-unknown")
    refused(await post(scoring, "/periods/2030-year/consolidation", Role.OFFICER, "officer"), 404, "period-unknown")


async def test_an_agency_reads_its_own_card_with_appraised_points_from_their_date(scoring: Scoring) -> None:
    story = whole_story()
    await scoring.follow(story)
    opened = story.states.period.the_opened()
    await scoring.play(opened.appraised_points_visible_from - timedelta(hours=1))
    path = f"{LIVE}/agencies/a-01/card"
    early = (await get(scoring, path, Role.AGENCY, agency="a-01")).json()
    assert (early["card"]["self_assessed"], "total" in early["card"]) == ("8.25", False)
    assert early["name_vi"] == "Cơ quan a-01"
    steps = (await get(scoring, f"{LIVE}/agencies/a-01/history", Role.AGENCY, agency="a-01")).json()["steps"]
    assert [step["items"] for step in steps] == [
        {"1.1.1": {"self_assessed": "2"}}, {"1.1.2": {"self_assessed": "2.5"}}, {"2.1": {"self_assessed": "3.75"}}
    ]  # fmt: skip
    await scoring.play(opened.appraised_points_visible_from)
    assert (await get(scoring, path, Role.AGENCY_HEAD, agency="a-01")).json()["card"]["total"] == "17.50"
    refused(await get(scoring, path, Role.AGENCY, agency="a-02"), 403, "other-agency")


async def test_an_appraiser_reads_assigned_fields_only(scoring: Scoring) -> None:
    story = whole_story()
    story.assign(scoring.actor("an-appraiser"), "central", "2")
    await scoring.follow(story)
    path = f"{LIVE}/agencies/a-01/card"
    body = (await get(scoring, path, Role.APPRAISER, sub="an-appraiser")).json()
    assert [line["code"] for line in body["card"]["leaves"]] == ["2.1", "2.2"]
    refused(await get(scoring, path, Role.APPRAISER, sub="another"), 403, "field-not-assigned")


async def test_a_history_names_the_entry_that_moved_each_value(scoring: Scoring) -> None:
    story = whole_story()
    late = story.adjust("a-01", "2.1", "3.25")
    await scoring.follow(story)
    answer = (await get(scoring, f"{LIVE}/agencies/a-01/history", Role.AUDITOR)).json()
    last = answer["steps"][-1]
    assert (last["log"], last["position"], last["entry"]) == (late.log, late.position, late.id)
    assert last["items"] == {
        "2.1": {"self_assessed": "3.75", "appraised": "3.5", "council": "3.25", "not_applicable": False}
    }
    assert last["totals"]["total"] == "17.25"


async def test_a_consolidation_is_refused_with_every_obstacle_by_name(scoring: Scoring) -> None:
    story = Story().open({"central": PILOT}, {"a-01": "central"})
    await scoring.follow(story)
    answer = await post(scoring, f"{LIVE}/consolidation", Role.OFFICER, "officer")
    refused(answer, 409, "obstacles-remain")
    listed = (await get(scoring, f"{LIVE}/obstacles", Role.OFFICER)).json()
    assert answer.json()["errors"] == listed["consolidation"]
    assert {each["code"] for each in listed["consolidation"]} == {
        "agency-open", "leaf-open", "survey-open", "council-missing", "appraisal-not-final"
    }  # fmt: skip
    assert {each["code"] for each in listed["publication"]} == {"approval-missing", "heads-not-archived"}
    assert len(await own_events(scoring)) == 1


async def test_heads_that_are_not_archived_hold_up_a_consolidation(scoring: Scoring) -> None:
    await scoring.follow(whole_story())
    answer = await post(scoring, f"{LIVE}/consolidation", Role.OFFICER, "officer")
    refused(answer, 409, "obstacles-remain")
    assert [error["code"] for error in answer.json()["errors"]] == ["heads-not-archived"] * 3


async def test_a_consolidation_is_the_replay_at_the_finalised_heads(scoring: Scoring) -> None:
    story = await consolidated(scoring)
    body = (await get(scoring, f"{LIVE}/consolidation", Role.APPROVER)).json()
    result = replay(story.logs, story.heads)
    assert body["digest"] == result.digest
    assert body["heads"] == {log: head.model_dump() for log, head in story.heads.items()}
    assert [row["total"] for row in body["table"]] == ["17.50", "14.75"]
    assert (body["by"], body["approved"]) == (scoring.actor("officer"), None)


async def test_approval_needs_another_person_and_the_very_digest(scoring: Scoring) -> None:
    await consolidated(scoring)
    digest = (await get(scoring, f"{LIVE}/consolidation", Role.OFFICER)).json()["digest"]
    path = f"{LIVE}/approval"
    same = await post(scoring, path, Role.APPROVER, "officer", {"digest": digest, **APPROVAL})
    refused(same, 403, "same-person")
    other = await post(scoring, path, Role.APPROVER, "approver", {"digest": "0" * 64, **APPROVAL})
    refused(other, 409, "digest-differs")
    refused(await post(scoring, path, Role.APPROVER, "approver", {"digest": digest}), 422, "body-invalid")
    refused(await post(scoring, path, Role.OFFICER, "officer", {"digest": digest, **APPROVAL}), 403, "role-missing")


async def test_nothing_is_approved_before_it_is_consolidated(scoring: Scoring) -> None:
    await scoring.follow(whole_story())
    body = {"digest": "0" * 64, **APPROVAL}
    refused(await post(scoring, f"{LIVE}/approval", Role.APPROVER, "approver", body), 409, "not-consolidated")
    refused(await get(scoring, f"{LIVE}/consolidation", Role.OFFICER), 409, "not-consolidated")


async def test_a_publication_needs_approval_and_its_own_log_in_the_archive(scoring: Scoring) -> None:
    await consolidated(scoring)
    answer = await post(scoring, f"{LIVE}/publication", Role.OFFICER, "officer")
    refused(answer, 409, "obstacles-remain")
    assert [(error["code"], error.get("place")) for error in answer.json()["errors"]] == [
        ("approval-missing", None), ("heads-not-archived", SCORING)
    ]  # fmt: skip


async def test_a_score_that_moved_after_the_approval_is_not_published(scoring: Scoring) -> None:
    story = await approved(scoring)
    story.adjust("a-01", "2.1", "0")
    await scoring.follow(story)
    answer = await post(scoring, f"{LIVE}/publication", Role.OFFICER, "officer")
    assert [error["code"] for error in answer.json()["errors"]] == ["finalising-outdated"]
    story.finalise(["a-01", "a-02"])
    await scoring.follow(story)
    for log, head in story.heads.items():
        if log == "appraisal/2024-year":
            await scoring.archive(log, head.size, bytes.fromhex(head.root))
    refused(await post(scoring, f"{LIVE}/publication", Role.OFFICER, "officer"), 409, "digest-differs")
    refused(await get(scoring, f"{LIVE}/consolidation", Role.OFFICER), 409, "result-outdated")


async def test_the_publication_is_cards_and_then_the_index_with_all_four_heads(scoring: Scoring) -> None:
    story = await published(scoring)
    *_, first, second, manifest = await own_events(scoring)
    assert isinstance(first, CardPublished)
    assert isinstance(second, CardPublished)
    assert isinstance(manifest, IndexPublished)
    assert (first.agency, second.agency) == ("a-01", "a-02")
    assert (manifest.first, manifest.count, manifest.parts_digest) == (3, 2, parts_digest([first, second]))
    assert {log: head.size for log, head in manifest.heads.items()} == {
        **{log: len(entries) for log, entries in story.logs.items()},
        SCORING: 3,
    }
    result = replay(story.logs, manifest.heads)
    assert (result.digest, result.table) == (manifest.digest, (first.row, second.row))
    assert manifest.dated == date(2025, 1, 15)


async def test_a_repeated_publication_gets_the_first_answer(scoring: Scoring) -> None:
    await approved(scoring)
    headers = scoring.bearer(Role.OFFICER, sub="officer") | {"Idempotency-Key": "publish-2024"}
    once = await scoring.client.post(f"{LIVE}/publication", headers=headers)
    again = await scoring.client.post(f"{LIVE}/publication", headers=headers)
    assert (once.status_code, again.status_code) == (201, 200)
    assert again.json() == once.json() | {"repeated": True}
    refused(await post(scoring, f"{LIVE}/publication", Role.OFFICER, "officer"), 409, "already-published")
    refused(await post(scoring, f"{LIVE}/consolidation", Role.OFFICER, "officer"), 409, "already-published")


async def test_everyone_may_read_the_published_index(scoring: Scoring) -> None:
    story = await published(scoring)
    body = (await get(scoring, f"/published/{PERIOD}")).json()
    assert [(row["rank"], row["name_vi"], row["total"]) for row in body["table"]] == [
        (1, "Cơ quan a-01", "17.50"), (2, "Cơ quan a-02", "14.75")
    ]  # fmt: skip
    assert set(body["heads"]) == {*story.logs, SCORING}
    assert (body["decision"], body["dated"], body["withheld"]) == ("5691/QĐ-UBND", "2025-01-15", 0)
    assert body["formula"] == "par-index-2026-11"
    settings = scoring.service.settings
    assert body["archive"]["proof"] == f"{settings.s3_endpoint}/{settings.s3_prefix}-proof/"
    card = (await get(scoring, f"/published/{PERIOD}/agencies/a-01")).json()
    assert (card["card"]["final"], card["card"]["total"]) == (True, "17.50")
    refused(await get(scoring, f"/published/{PERIOD}/agencies/a-99"), 404, "agency-unknown")


REVISION = {"reason": "Khiếu nại có căn cứ.", "decision": "20/QĐ-UBND", "dated": "2025-03-03"}


async def test_a_revised_result_takes_the_place_of_the_first_which_stays_readable(scoring: Scoring) -> None:
    story = await published(scoring)
    refused(await post(scoring, f"{LIVE}/revision", Role.APPROVER, "approver", REVISION), 403, "role-missing")
    opened = await post(scoring, f"{LIVE}/revision", Role.OFFICER, "officer", REVISION)
    assert opened.status_code == 201, opened.text
    refused(await post(scoring, f"{LIVE}/revision", Role.OFFICER, "officer", REVISION), 409, "revision-open")
    during = (await get(scoring, f"/published/{PERIOD}")).json()
    assert (during["under_revision"], during["publications"], during["table"][0]["total"]) == (True, 1, "17.50")
    story.adjust("a-01", "2.1", "0")
    story.finalise(["a-01", "a-02"])
    await scoring.follow(story)
    await scoring.archive_all(story)
    assert (await post(scoring, f"{LIVE}/consolidation", Role.OFFICER, "officer")).status_code == 201
    digest = (await get(scoring, f"{LIVE}/consolidation", Role.APPROVER)).json()["digest"]
    body = {"digest": digest, "decision": "21/QĐ-UBND", "dated": "2025-04-01"}
    assert (await post(scoring, f"{LIVE}/approval", Role.APPROVER, "approver", body)).status_code == 201
    await scoring.archive_own()
    assert (await post(scoring, f"{LIVE}/publication", Role.OFFICER, "officer")).status_code == 201
    last = (await get(scoring, f"/published/{PERIOD}")).json()
    assert (last["publication"], last["publications"], last["under_revision"]) == (2, 2, False)
    assert (last["decision"], [row["total"] for row in last["table"]]) == ("21/QĐ-UBND", ["14.75", "14.00"])
    first = (await get(scoring, f"/published/{PERIOD}?publication=1")).json()
    assert (first["publication"], first["decision"]) == (1, "5691/QĐ-UBND")
    assert [row["total"] for row in first["table"]] == ["17.50", "14.75"]
    card = f"/published/{PERIOD}/agencies/a-01"
    totals = [(await get(scoring, f"{card}{which}")).json()["card"]["total"] for which in ("?publication=1", "")]
    assert totals == ["17.50", "14.00"]
    refused(await get(scoring, f"/published/{PERIOD}?publication=3"), 404, "not-published")
    refused(await post(scoring, f"{LIVE}/consolidation", Role.OFFICER, "officer"), 409, "already-published")


async def test_nothing_is_revised_before_it_is_published(scoring: Scoring) -> None:
    await approved(scoring)
    refused(await post(scoring, f"{LIVE}/revision", Role.OFFICER, "officer", REVISION), 404, "not-published")
    silent = {**REVISION, "reason": " "}
    refused(await post(scoring, f"{LIVE}/revision", Role.OFFICER, "officer", silent), 404, "not-published")
    refused(await post(scoring, f"{LIVE}/revision", Role.OFFICER, "officer", {}), 422, "body-invalid")


@pytest.mark.parametrize("policy", ["totals-only", "nothing"])
async def test_a_card_that_the_policy_withholds_is_not_shown(scoring: Scoring, policy: str) -> None:
    story = whole_story(publication={"a-02": policy})
    await scoring.follow(story)
    await scoring.archive_all(story)
    await post(scoring, f"{LIVE}/consolidation", Role.OFFICER, "officer")
    digest = (await get(scoring, f"{LIVE}/consolidation", Role.APPROVER)).json()["digest"]
    await post(scoring, f"{LIVE}/approval", Role.APPROVER, "approver", {"digest": digest, **APPROVAL})
    await scoring.archive_own()
    assert (await post(scoring, f"{LIVE}/publication", Role.OFFICER, "officer")).status_code == 201
    assert (await get(scoring, f"/published/{PERIOD}/agencies/a-01")).status_code == 200
    refused(await get(scoring, f"/published/{PERIOD}/agencies/a-02"), 404, "not-published")
    body = (await get(scoring, f"/published/{PERIOD}")).json()
    assert body["withheld"] == (1 if policy == "nothing" else 0)
