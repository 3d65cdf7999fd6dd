"""Late reopening: an officer lets one agency declare and submit again until a new last time."""

from datetime import timedelta
from typing import Any

import pytest

from services.submission.assessment import Assessment, digest
from services.submission.self_assessment import (
    DECIDER,
    Approve,
    ClaimNotApplicable,
    CloseReopening,
    Declare,
    Reopen,
    Submit,
)
from shared.events.submission import (
    ReopeningClosed,
    ReopeningReasoned,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from tests.services.submission.samples import EARLY, LAST
from tests.services.submission.test_self_assessment import after, approved, command, given, refusal, whole

LATE = LAST + timedelta(days=1)
UNTIL = LAST + timedelta(days=5)
CLOSED = SelfAssessmentClosed(submitted=(), not_submitted=("a-01", "a-02"))


def reopen(**changes: Any) -> Any:
    asked = {"until": UNTIL, "reason_code": "as-declared", "reason": " Sáp nhập đơn vị ", "time": LATE, **changes}
    return command(Reopen, **asked)


def closed(state: Assessment) -> Assessment:
    return DECIDER.evolve(state, CLOSED)


def submitted() -> Assessment:
    return after(approved(whole()), command(Submit))


def test_a_closed_self_assessment_is_reopened_with_its_reason_beside_it() -> None:
    assert DECIDER.decide(given(CLOSED), reopen()) == [
        SelfAssessmentReopened(agency="a-01", until=UNTIL, reason_code="as-declared"),
        ReopeningReasoned(agency="a-01", of=20, reason="Sáp nhập đơn vị"),
    ]


def test_a_reopened_agency_declares_and_submits_until_the_new_last_time_and_not_after_it() -> None:
    state = after(closed(whole()), reopen())
    inside, outside = UNTIL - timedelta(microseconds=1), UNTIL
    changed = after(state, command(Declare, time=inside, item="2.1", data="1"))
    ready = after(changed, command(Approve, time=inside, digest=digest(changed)))
    [event] = DECIDER.decide(ready, command(Submit, time=inside))
    assert isinstance(event, SelfAssessmentSubmitted)
    assert refusal(ready, command(Submit, time=outside)).code == "step-closed"
    assert refusal(state, command(Declare, time=outside, item="2.1", data="1")).code == "step-closed"


def test_other_agencies_stay_closed() -> None:
    state = given(CLOSED)
    assert refusal(state, command(Declare, time=LATE, agency="a-02", item="1.1", data="yes")).code == "step-closed"


def test_a_submission_is_taken_back_by_the_reopening_and_may_be_made_again() -> None:
    state = after(submitted(), reopen(time=EARLY))
    assert not state.submitted
    again = after(approved(state), command(Submit))
    assert again.submitted
    assert refusal(again, command(Declare, item="2.1", data="1")).code == "already-submitted"


def test_a_reopening_may_be_prolonged() -> None:
    state = after(closed(whole()), reopen(), reopen(until=UNTIL + timedelta(days=2)))
    late = UNTIL + timedelta(days=1)
    assert after(state, command(Declare, time=late, item="2.1", data="1")).items["2.1"].data == "1"


def test_a_reopening_closes_by_itself_and_only_once() -> None:
    state = after(closed(whole()), reopen())
    early = command(CloseReopening, time=UNTIL - timedelta(microseconds=1))
    assert refusal(state, early).code == "step-still-open"
    due = command(CloseReopening, time=UNTIL)
    assert DECIDER.decide(state, due) == [ReopeningClosed(agency="a-01", submitted=False)]
    assert DECIDER.decide(after(state, due), due) == []
    assert DECIDER.decide(closed(whole()), due) == []
    assert DECIDER.decide(after(submitted(), reopen(time=EARLY), command(Submit)), due) == []


def test_what_was_submitted_stands_again_only_if_nothing_was_changed() -> None:
    state = after(submitted(), reopen(time=EARLY), reopen(time=EARLY, until=UNTIL + timedelta(days=1)))
    due = command(CloseReopening, time=UNTIL + timedelta(days=1))
    assert DECIDER.decide(state, due) == [ReopeningClosed(agency="a-01", submitted=True)]
    assert after(state, due).submitted
    changed = after(state, command(ClaimNotApplicable, item="2.1", reason="Không phát sinh"))
    assert DECIDER.decide(changed, due) == [ReopeningClosed(agency="a-01", submitted=False)]
    gone = after(after(changed, due), reopen(time=UNTIL + timedelta(days=2), until=UNTIL + timedelta(days=4)))
    again = command(CloseReopening, time=UNTIL + timedelta(days=4))
    assert DECIDER.decide(gone, again) == [ReopeningClosed(agency="a-01", submitted=False)]


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        (reopen(reason="  "), "reason-missing", "reason"),
        (reopen(reason="x" * 4001), "text-too-long", "reason"),
        (reopen(reason_code="none-such"), "reason-code-unknown", "reason_code"),
        (reopen(until=LATE), "until-passed", "until"),
        (reopen(published=True), "period-published", None),
        (reopen(agency="a-99"), "agency-unknown", "agency"),
    ],
)
def test_a_reopening_that_is_refused(asked: Reopen, code: str, field: str | None) -> None:
    refused = refusal(given(CLOSED), asked)
    assert (refused.code, refused.field) == (code, field)


def test_an_agency_that_may_still_submit_needs_no_reopening() -> None:
    assert refusal(given(), reopen(time=EARLY)).code == "step-still-open"
