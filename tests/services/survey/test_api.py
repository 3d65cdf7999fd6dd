"""The survey's door: who may do what, ballots that count once, and boxes that lose and double none."""

import asyncio
import re
from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

import services.survey
from services.survey import api, boxes, campaign
from services.survey.boxes import BoxMoved
from shared import web
from shared.access import Role
from shared.decider import Rejected
from shared.events.scoring import IndexPublished
from shared.events.survey import FormCompleted, ResponsesRecorded, SurveyCompleted, TooFewRecorded
from shared.ledger import Moment
from shared.rubric import FormTally
from tests.services.survey.conftest import Survey
from tests.services.survey.samples import BALLOTED, CLOSES, DURING, FORM, OTHER_FORM, PERIOD, SCORING, entries
from tests.services.survey.steps import BASE, CAMPAIGN, cast, cast_all, invited, opened, tokens

STUDY = {"points": {"1.2": "7,31"}, "document": "12/BC", "dated": "2024-10-02", "source": "Viện Nghiên cứu"}


async def completed(survey: Survey) -> httpx.Response:
    return await survey.client.post(f"{BASE}/campaigns/autumn/completion", headers=survey.bearer(Role.SURVEY_OFFICER))


async def recorded(survey: Survey) -> int:
    """The ballots in the log."""
    return sum(
        entry.event.ballots
        for entry in await survey.log()
        if isinstance(entry.event, ResponsesRecorded | TooFewRecorded)
    )


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_campaign_runs_from_invitations_to_completion(survey: Survey) -> None:
    await opened(survey)
    citizens, officials = await tokens(survey, 20), await tokens(survey, 10, OTHER_FORM.id)
    await cast_all(survey, citizens[:6], q1="a", q2="a")
    await survey.boxes.empty()
    await cast_all(survey, citizens[6:12], q1="b")
    await survey.boxes.empty()
    assert await recorded(survey) == 6
    await cast_all(survey, citizens[12:15], q1="c", q2="b")
    await cast_all(survey, officials[:3], q1="a")
    assert code(await completed(survey)) == (409, "campaign-still-open")
    await survey.play(CLOSES)
    answer = await completed(survey)
    assert answer.status_code == 201, answer.text
    events = [entry.event for entry in await survey.log()]
    assert isinstance(events[-1], SurveyCompleted)
    assert (events[-1].invitations, events[-1].ballots, events[-1].count) == (30, 18, 4)
    done = {(e.agency, e.form): (e.ballots, e.counts) for e in events if isinstance(e, FormCompleted)}
    assert done["a-01", FORM.id] == (15, {"q1": {"a": 6, "b": 6, "c": 3}, "q2": {"a": 6, "blank": 6, "b": 3}})
    assert done["a-01", OTHER_FORM.id] == (3, {})
    # citizens: q1 (6 + 6 × ½) / 15 = 0.6, q2 (6 + 3 × ½) / 15 = 0.5, mean 0.55 of 8; three officials are too few
    returns = (await survey.desk.read(PERIOD))[1]
    assert returns.result("a-01", BALLOTED.leaf("1.2")).points == Decimal("4.4")


async def test_a_token_is_spent_by_one_of_sixteen_who_race_for_it(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    answers = await asyncio.gather(*(cast(survey, token, q1="a") for _ in range(16)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 15}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"token-spent"}
    assert await survey.ballots() == 1


async def test_a_refused_ballot_leaves_its_token_unspent(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    assert code(await cast(survey, token, q1="z")) == (422, "option-unknown")
    assert code(await cast(survey, token, q9="a")) == (422, "question-unknown")
    assert (await cast(survey, token.lower(), q1="a", q2=None)).status_code == 201


async def test_a_token_that_was_never_issued_is_unknown(survey: Survey) -> None:
    await opened(survey)
    assert code(await cast(survey, "0" * 26, q1="a")) == (404, "token-unknown")
    assert code(await cast(survey, "guess", q1="a")) == (404, "token-unknown")


async def test_ballots_are_cast_within_the_campaigns_span_only(survey: Survey) -> None:
    await opened(survey, opens=(DURING + timedelta(days=1)).isoformat())
    early, late = await tokens(survey, 2)
    assert code(await cast(survey, early, q1="a")) == (409, "campaign-not-open")
    await survey.play(DURING + timedelta(days=1))
    assert (await cast(survey, early, q1="a")).status_code == 201
    await survey.play(CLOSES)
    assert code(await cast(survey, late, q1="a")) == (409, "campaign-closed")
    assert await survey.ballots() == 1


async def test_the_boxes_and_the_log_hold_every_ballot_while_votes_and_timers_race(survey: Survey) -> None:
    await opened(survey)
    found = await tokens(survey, 120) + await tokens(survey, 60, OTHER_FORM.id)
    second = boxes.Boxes(survey.service.ledger, survey.desk.returns, 1.0)  # as a second replica has it

    async def timers() -> None:
        while True:
            await asyncio.gather(survey.boxes.empty(), second.empty())

    turning = asyncio.create_task(timers())
    for start in range(0, len(found), 20):
        await cast_all(survey, found[start : start + 20], q1="a")
    turning.cancel()
    await asyncio.gather(turning, return_exceptions=True)
    await asyncio.sleep(0.2)  # what the ledger was given before the end is appended
    assert await recorded(survey) + await survey.ballots() == 180
    await survey.play(CLOSES)
    await asyncio.gather(survey.boxes.empty(), second.empty())
    assert await survey.ballots() == 0
    assert await recorded(survey) == 180
    responses = [entry for entry in await survey.log() if isinstance(entry.event, ResponsesRecorded)]
    assert min(entry.event.ballots for entry in responses if isinstance(entry.event, ResponsesRecorded)) >= 5
    assert len({entry.header["causationid"] for entry in responses}) == len(responses)
    for entry in responses:
        assert entry.actor == "survey"
        assert "traceparent" not in entry.header


@pytest.mark.parametrize("relation", ["entry", "box"])
async def test_a_crash_between_entry_and_box_loses_and_doubles_no_ballot(survey: Survey, relation: str) -> None:
    await opened(survey)
    found = await tokens(survey, 12)
    await cast_all(survey, found[:6], q1="a")
    await survey.boxes.empty()
    await cast_all(survey, found[6:], q1="b")
    # the database fails at one of the two steps of the transaction
    fail = f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$;
        CREATE TRIGGER fail AFTER INSERT OR UPDATE ON {relation} FOR EACH ROW EXECUTE FUNCTION fail();
    """
    async with survey.admin.begin() as connection:
        for statement in fail.strip().split(";\n"):
            await connection.execute(text(statement.strip().removesuffix(";")))
    await survey.boxes.empty()
    assert (await recorded(survey), await survey.ballots()) == (0, 12)
    async with survey.admin.begin() as connection:
        await connection.execute(text(f"DROP TRIGGER fail ON {relation}"))
    await survey.boxes.empty()
    assert (await recorded(survey), await survey.ballots()) == (6, 6)


async def test_a_box_that_changed_since_it_was_read_is_left_alone(survey: Survey) -> None:
    await opened(survey)
    found = await tokens(survey, 7)
    await cast_all(survey, found[:5], q1="a")
    ((place, box, turn),) = await survey.boxes._open_boxes()
    await survey.boxes._turn(place, box, turn)
    with pytest.raises(BoxMoved):
        await survey.boxes._turn(place, box, turn)
    ((place, box, turn),) = await survey.boxes._open_boxes()
    await cast_all(survey, found[5:], q1="a")
    await survey.play(CLOSES)
    with pytest.raises(BoxMoved):
        await survey.boxes._close(place, box, turn)
    assert await survey.ballots() == 7


async def test_nothing_but_token_and_box_is_written_by_a_ballot(survey: Survey) -> None:
    await opened(survey)
    (token,) = await tokens(survey, 1)
    before = await sizes(survey)
    answer = await cast(survey, token, q1="a")
    assert (answer.status_code, answer.json()) == (201, {"cast": True})
    assert "traceresponse" not in answer.headers  # no span was made
    assert await sizes(survey) == before
    async with survey.service.engine.connect() as connection:
        (stored,) = (await connection.execute(text("SELECT * FROM token"))).all()
        (box,) = (await connection.execute(text("SELECT * FROM box"))).all()
    assert stored.spent
    assert token not in repr(stored)
    assert box.current == '[1,{"q1":{"a":1},"q2":{"blank":1}}]'


async def sizes(survey: Survey) -> dict[str, int]:
    """How many rows each table has."""
    async with survey.admin.connect() as connection:
        names = await connection.execute(text("SELECT relname FROM pg_stat_user_tables ORDER BY relname"))
        return {
            name: (await connection.execute(text(f'SELECT count(*) FROM "{name}"'))).scalar_one()  # noqa: S608 - catalogue
            for name in names.scalars().all()
        }


async def test_the_tokens_of_an_issue_are_given_once(survey: Survey) -> None:
    await opened(survey)
    first = await invited(survey, 3, **{"Idempotency-Key": "k"})
    again = await invited(survey, 3, **{"Idempotency-Key": "k"})
    assert len(set(first["tokens"])) == 3
    assert (again["position"], again["tokens"], again["repeated"]) == (first["position"], [], True)
    assert (await sizes(survey))["token"] == 3


async def test_a_refused_issue_stores_no_token(survey: Survey) -> None:
    await opened(survey)
    answer = await survey.client.post(
        f"{BASE}/campaigns/autumn/invitations",
        json={"agency": "a-01", "form": "no-form", "count": 2},
        headers=survey.bearer(Role.SURVEY_OFFICER),
    )
    assert code(answer) == (404, "form-unknown")
    assert (await sizes(survey))["token"] == 0


async def test_a_completion_waits_for_boxes_that_hold_ballots(survey: Survey) -> None:
    await opened(survey)
    await cast_all(survey, await tokens(survey, 6), q1="a")
    await survey.play(CLOSES)
    # the rule alone, without the door that empties the boxes first
    with pytest.raises(Rejected, match="boxes-not-empty"):
        await survey.service.ledger.execute(
            campaign.DECIDER,
            f"survey/{PERIOD}",
            "campaign/autumn",
            complete,
            actor="a",
            door="http",
            key="k",
            digest=b"",
            reads=("*",),
            within=survey.boxes.all_closed(PERIOD, "autumn"),
        )
    assert (await completed(survey)).status_code == 201
    assert await recorded(survey) == 6


def complete(at: Moment) -> campaign.CompleteCampaign:
    return campaign.CompleteCampaign("autumn", at.time, at.position, published=False)


async def test_a_campaign_shows_counts_of_five_or_more_and_never_fewer(survey: Survey) -> None:
    await opened(survey)
    await cast_all(survey, await tokens(survey, 6), q1="a")
    await cast_all(survey, await tokens(survey, 4, OTHER_FORM.id), q1="a")
    await survey.play(CLOSES)
    assert (await completed(survey)).status_code == 201
    shown = (await survey.client.get(f"{BASE}/campaigns/autumn", headers=survey.bearer(Role.AUDITOR))).json()
    many, few = shown["agencies"][0]["forms"]
    assert many == {
        "form": FORM.id,
        "invitations": 6,
        "ballots": 6,
        "returned": 6,
        "too_few": False,
        "quota": None,
        "quota_share": None,
        "reminders": 0,
        "reminded": 0,
        "counts": {"q1": {"a": 6}, "q2": {"blank": 6}},
    }
    assert few == many | {
        "form": OTHER_FORM.id,
        "invitations": 4,
        "ballots": None,
        "returned": "fewer-than-five",
        "too_few": True,
        "counts": None,
    }
    assert shown["completed"] is True
    assert set(shown["heads"]) == {f"submission/{PERIOD}", f"survey/{PERIOD}"}


async def test_progress_is_issued_returned_share_of_the_quota_and_reminders(survey: Survey) -> None:
    await opened(survey, quota={FORM.id: 9, OTHER_FORM.id: 8})
    headers = survey.bearer(Role.SURVEY_OFFICER)
    await cast_all(survey, (await tokens(survey, 12))[:6], q1="a")
    await cast_all(survey, await tokens(survey, 4, OTHER_FORM.id), q1="a")
    for count in (5, 3):
        body = {"agency": "a-01", "form": FORM.id, "count": count}
        answer = await survey.client.post(f"{BASE}/campaigns/autumn/reminders", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
    body = {"agency": "a-01", "form": FORM.id, "count": 13}
    answer = await survey.client.post(f"{BASE}/campaigns/autumn/reminders", json=body, headers=headers)
    assert (*code(answer), answer.json()["field"]) == (422, "reminders-invalid", "count")
    await survey.boxes.empty()

    async def shown() -> list[tuple[Any, ...]]:
        campaign = (await survey.client.get(f"{BASE}/campaigns/autumn", headers=headers)).json()
        names = ("invitations", "returned", "quota", "quota_share", "reminders", "reminded")
        return [tuple(form[name] for name in names) for form in campaign["agencies"][0]["forms"]]

    # six ballots wait, four are current: the log has none yet
    assert await shown() == [(12, 0, 9, "0", 8, 2), (4, 0, 8, "0", 0, 0)]
    await survey.play(CLOSES)
    await survey.boxes.empty()
    assert await shown() == [(12, 6, 9, "66.67", 8, 2), (4, "fewer-than-five", 8, None, 0, 0)]


async def test_an_officer_says_by_a_decision_that_no_survey_is_held(survey: Survey) -> None:
    body = {"decision": "15/QĐ-SNV", "dated": "2024-07-01"}
    answer = await survey.client.post(f"{BASE}/not-held", json=body, headers=survey.bearer(Role.OFFICER))
    assert answer.status_code == 201, answer.text
    shown = (await survey.client.get(BASE, headers=survey.bearer(Role.OFFICER))).json()
    assert (shown["held"], shown["complete"]) == (False, True)
    assert all(line["complete"] and not line["missing"] for line in shown["agencies"])
    for role in Role:
        if role is not Role.OFFICER:
            again = await survey.client.post(f"{BASE}/not-held", json=body, headers=survey.bearer(role))
            assert code(again) == (403, "role-missing")
    refusal = await survey.client.post(f"{BASE}/campaigns", json=CAMPAIGN, headers=survey.bearer(Role.SURVEY_OFFICER))
    assert code(refusal) == (409, "survey-not-held")


async def test_the_survey_of_a_period_says_what_is_missing_for_whom(survey: Survey) -> None:
    path = f"{BASE}/studies/a-02"
    answer = await survey.client.put(path, json=STUDY, headers=survey.bearer(Role.SURVEY_OFFICER))
    assert answer.status_code == 201, answer.text
    shown = (await survey.client.get(BASE, headers=survey.bearer(Role.OFFICER))).json()
    lines = {line["agency"]: (line["complete"], line["missing"]) for line in shown["agencies"]}
    assert lines == {
        "a-01": (False, ["1.2"]),
        "a-02": (True, []),
        "m-01": (False, ["1.2", "1.3"]),
        "s-01": (False, ["1.3"]),
        "b-01": (True, []),
    }
    assert shown["agencies"][1]["study"] == {"1.2": "7.31"}
    assert (shown["held"], shown["complete"]) == (True, False)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SURVEY_OFFICER])
async def test_only_the_survey_officer_runs_campaigns(survey: Survey, role: Role) -> None:
    headers = survey.bearer(role)
    for answer in (
        await survey.client.post(f"{BASE}/campaigns", json=CAMPAIGN, headers=headers),
        await survey.client.post(f"{BASE}/campaigns/autumn/invitations", json={}, headers=headers),
        await survey.client.post(f"{BASE}/campaigns/autumn/completion", headers=headers),
        await survey.client.post(f"{BASE}/campaigns/autumn/reminders", json={}, headers=headers),
        await survey.client.put(f"{BASE}/studies/a-01", json=STUDY, headers=headers),
    ):
        assert code(answer) == (403, "role-missing")


async def test_agencies_appraisers_and_ops_do_not_read_the_survey(survey: Survey) -> None:
    await opened(survey)
    for role in Role:
        answer = await survey.client.get(f"{BASE}/campaigns/autumn", headers=survey.bearer(role))
        assert (answer.status_code == 200) == (role in api.READERS), role
    assert (await survey.client.get(BASE)).status_code == 401


async def test_a_published_period_is_closed_to_the_survey(survey: Survey) -> None:
    published = IndexPublished(
        period=PERIOD,
        formula="f",
        heads={},
        digest="0" * 64,
        decision="1/QĐ",
        dated=date(2024, 12, 20),
        count=0,
        first=0,
        parts_digest="0" * 64,
    )
    await survey.follow(entries(SCORING, [published]))
    answer = await survey.client.post(f"{BASE}/campaigns", json=CAMPAIGN, headers=survey.bearer(Role.SURVEY_OFFICER))
    assert code(answer) == (409, "period-published")


async def test_malformed_requests_are_refused_by_name_and_append_nothing(survey: Survey) -> None:
    await opened(survey)
    headers, before = survey.bearer(Role.SURVEY_OFFICER), len(await survey.log())
    study = f"{BASE}/studies/a-02"
    for answer, expected, field in (
        (await survey.client.post("/ballots", content=b"{"), "body-invalid", "body"),
        (await survey.client.post("/ballots", json={"token": "x"}), "body-invalid", "answers"),
        (await survey.client.put(study, json=STUDY | {"more": 1}, headers=headers), "body-invalid", "more"),
        (
            await survey.client.put(study, json=STUDY | {"points": {"1.2": "7.3 or so"}}, headers=headers),
            "data-invalid",
            "points.1.2",
        ),
        (await survey.client.get("/periods/2031-year", headers=headers), "period-unknown", "period"),
        (
            await survey.client.post("/periods/2031-year/campaigns", json=CAMPAIGN, headers=headers),
            "period-unknown",
            "period",
        ),
        (await survey.client.get(f"{BASE}/campaigns/none", headers=headers), "campaign-unknown", "campaign"),
    ):
        assert (answer.json()["code"], answer.json().get("field")) == (expected, field)
    assert len(await survey.log()) == before


def test_every_code_of_the_rules_is_in_the_table_and_the_readme() -> None:
    folder = Path(services.survey.__file__).parent
    sources = "\n".join(path.read_text() for path in folder.glob("*.py"))
    raised = set(re.findall(r'(?:Rejected|RubricError)\(\s*"([a-z-]+)"', sources))
    assert raised <= set(api.PROBLEMS) | set(web.PROBLEMS)
    readme = (folder / "README.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \| \d", readme, re.MULTILINE)) == set(api.PROBLEMS)


def test_a_tally_is_stored_and_read_to_the_digit() -> None:
    tally = FormTally(7, {"q1": {"a": 3, "blank": 4}})
    assert boxes._load(boxes._dump(tally)) == tally
