"""Who sees what of a card before publication, and what the publication policy leaves of the published index."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.index import head_sizes
from services.scoring.replay import history, replay
from services.scoring.sight import (
    Sight,
    may_see_table,
    public_rows,
    shown_card,
    shown_sources,
    shown_step,
    sight_of,
)
from shared.access import Caller, Role
from shared.decider import Rejected
from shared.rubric import Card
from tests.services.scoring.samples import APPRAISER, CHAIR, PERIOD, PILOT, whole_story

VISIBLE_FROM = datetime.fromisoformat("2024-12-14T00:00+07:00")
BEFORE = VISIBLE_FROM - timedelta(microseconds=1)
STORY = whole_story()
STORY.assign(APPRAISER, "central", "2")
STATES = STORY.states
CARD: Card = FORMULAS[CURRENT].card(STATES, "a-01", False)


def caller(*roles: Role, actor: str = "99" * 16, agency: str | None = None) -> Caller:
    return Caller(actor, frozenset(roles), agency)


def refusal(who: Caller, agency: str = "a-01") -> str:
    with pytest.raises(Rejected) as refused:
        sight_of(who, STATES, agency, VISIBLE_FROM)
    return refused.value.code


@pytest.mark.parametrize("role", [Role.OFFICER, Role.APPROVER, Role.AUDITOR])
def test_officer_approver_and_auditor_see_everything(role: Role) -> None:
    assert sight_of(caller(role), STATES, "a-01", BEFORE) == Sight()
    may_see_table(caller(role), STATES)


@pytest.mark.parametrize("role", [Role.COUNCIL, Role.COUNCIL_CHAIR])
def test_a_council_role_needs_a_seat_too(role: Role) -> None:
    assert sight_of(caller(role, actor=CHAIR), STATES, "a-01", BEFORE) == Sight()
    may_see_table(caller(role, actor=CHAIR), STATES)
    assert refusal(caller(role)) == "not-seated"
    with pytest.raises(Rejected, match="not-seated"):
        may_see_table(caller(role), STATES)


@pytest.mark.parametrize("role", [Role.AGENCY, Role.AGENCY_HEAD])
def test_an_agency_sees_its_own_card_and_appraised_points_from_their_date(role: Role) -> None:
    own = caller(role, agency="a-01")
    assert sight_of(own, STATES, "a-01", BEFORE) == Sight(appraised=False)
    assert sight_of(own, STATES, "a-01", VISIBLE_FROM) == Sight(appraised=True)
    assert refusal(own, "a-02") == "other-agency"
    assert refusal(caller(role)) == "other-agency"


def test_appraisers_and_monitors_see_the_fields_that_they_have() -> None:
    assert sight_of(caller(Role.APPRAISER, actor=APPRAISER), STATES, "a-01", BEFORE) == Sight(frozenset({"2"}))
    assert refusal(caller(Role.MONITOR)) == "field-not-assigned"


def test_an_unknown_agency_is_refused() -> None:
    assert refusal(caller(Role.OFFICER), "a-99") == "agency-unknown"


def words(body: Any) -> set[str]:
    """All keys of a JSON value, at any depth."""
    if isinstance(body, dict):
        return set(body) | {key for value in body.values() for key in words(value)}
    return {key for each in body for key in words(each)} if isinstance(body, list) else set()


def test_a_card_without_appraised_points_has_none_anywhere() -> None:
    body = shown_card(CARD, PILOT, Sight(appraised=False))
    assert words(body) == {
        "rubric", "final", "maximum", "self_assessed", "fields", "criteria", "leaves", "code", "part"
    }  # fmt: skip
    assert body["self_assessed"] == "8.25"
    sources = shown_sources(STATES, "a-01", PILOT, Sight(appraised=False))
    assert words(sources) == {"1.1.1", "1.1.2", "2.1", "declared", "claimed"}


def test_a_field_is_shown_without_any_total() -> None:
    body = shown_card(CARD, PILOT, Sight(frozenset({"2"})))
    assert [line["code"] for part in ("fields", "criteria", "leaves") for line in body[part]] == [
        "2", "2.1", "2.2", "2.1", "2.2"
    ]  # fmt: skip
    assert set(body) == {"rubric", "final", "fields", "criteria", "leaves"}
    assert set(shown_sources(STATES, "a-01", PILOT, Sight(frozenset({"2"})))) == {"2.1", "2.2"}


def test_a_whole_card_is_the_card() -> None:
    assert shown_card(CARD, PILOT, Sight()) == CARD.model_dump(mode="json", exclude_none=True)


def shown_history(sight: Sight) -> list[dict[str, Any]]:
    steps = [shown_step(step, PILOT, sight) for step in history(STORY.logs, "a-01")]
    return [step for step in steps if step is not None]


def test_a_history_is_narrowed_like_the_card() -> None:
    assert [step["log"].partition("/")[0] for step in shown_history(Sight(appraised=False))] == ["submission"] * 3
    assert "appraised" not in words(shown_history(Sight(appraised=False)))
    field = shown_history(Sight(frozenset({"2"})))
    assert {item for step in field for item in step["items"]} == {"2.1", "2.2"}
    assert "totals" not in words(field)
    assert shown_history(Sight())[-1]["totals"]["total"] == "17.5"


def published(policies: dict[str, str]) -> tuple[list[dict[str, Any]], int]:
    story = whole_story(publication=policies)
    finalised = story.states.appraisal.finalised
    assert finalised is not None
    result = replay(story.logs, story.heads)
    assert {log: head.size for log, head in result.heads.items()} == head_sizes(PERIOD, finalised)
    return list(public_rows(result.table, story.states.period)), len(result.table)


def test_the_publication_policy_narrows_the_published_table() -> None:
    rows, _ = published({"a-01": "totals-only"})
    assert (rows[0]["total"], rows[0]["parts"], rows[0]["self_assessed"]) == ("17.50", "withheld", "withheld")
    assert (rows[1]["publication"], rows[1]["parts"]["survey"]) == ("everything", "5.50")


def test_an_agency_of_which_nothing_is_published_has_no_row() -> None:
    rows, all_rows = published({"a-01": "nothing"})
    assert [row["agency"] for row in rows] == ["a-02"]
    assert all_rows == 2
