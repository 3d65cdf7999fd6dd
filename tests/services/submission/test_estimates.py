"""Estimated figures: a self-assessment goes out with them, and each is replaced or confirmed afterwards."""

from decimal import Decimal
from typing import Any

import pytest

from services.submission.assessment import Assessment, digest, faults, warnings
from services.submission.self_assessment import DECIDER, ClaimNotApplicable, Declare, Submit
from shared.events import encode
from shared.events.submission import PointsDeclared, SelfAssessmentClosed
from tests.services.submission.samples import LAST
from tests.services.submission.test_self_assessment import after, approved, command, given, refusal, whole

CLOSED = SelfAssessmentClosed(submitted=("a-01",), not_submitted=("a-02",))


def estimate(data: str = "1,5", **changes: Any) -> Any:
    return command(Declare, item="2.1", data=data, estimated=True, **changes)


def confirm(data: str = "1,5", **changes: Any) -> Any:
    return command(Declare, item="2.1", data=data, **changes)


def sent() -> Assessment:
    """Submitted with an estimated figure on 2.1, its step closed."""
    return DECIDER.evolve(after(approved(after(whole(), estimate())), command(Submit)), CLOSED)


def warned(state: Assessment) -> list[str]:
    return [each["item"] for each in warnings(state, state.period.rubrics["central"])]


def test_an_estimated_figure_is_recorded_as_such_and_a_plain_one_bears_no_mark() -> None:
    [event] = DECIDER.decide(given(), estimate())
    assert event == PointsDeclared(agency="a-01", item="2.1", data="1.5", points=Decimal("1.5"), estimated=True)
    [event] = DECIDER.decide(given(), confirm())
    assert b"estimated" not in encode(event)


def test_a_self_assessment_goes_out_with_an_estimate_that_is_named_as_a_warning() -> None:
    state = after(whole(), estimate())
    assert warned(state) == ["2.1"]
    assert list(faults(state, state.period.rubrics["central"])) == []
    assert sent().submitted


def test_confirming_or_claiming_takes_the_mark_away_and_needs_a_new_approval() -> None:
    state = after(whole(), estimate())
    for last in (confirm(), command(ClaimNotApplicable, item="2.1", reason="Không phát sinh")):
        done = after(state, last)
        assert warned(done) == []
        assert digest(done) != digest(state)
    assert digest(after(state, confirm("2,75"))) == digest(whole())


@pytest.mark.parametrize("data", ["1,5", "2"])
def test_an_estimate_is_confirmed_or_replaced_after_the_submission_once(data: str) -> None:
    state = after(sent(), confirm(data, time=LAST))
    assert warned(state) == []
    assert refusal(state, confirm("1", time=LAST)).code == "already-submitted"


def test_an_estimate_is_not_replaced_by_another_one_after_the_submission() -> None:
    assert refusal(sent(), estimate("2", time=LAST)).code == "already-submitted"


def test_an_estimate_is_not_turned_into_a_claim_after_the_submission_nor_changed_after_the_publication() -> None:
    claim = command(ClaimNotApplicable, item="2.1", reason="Không phát sinh", time=LAST)
    assert refusal(sent(), claim).code == "already-submitted"
    assert refusal(sent(), confirm(time=LAST, published=True)).code == "period-published"


def test_an_agency_that_did_not_submit_may_still_confirm_its_estimate() -> None:
    state = DECIDER.evolve(after(whole(), estimate()), CLOSED)
    assert warned(after(state, confirm(time=LAST))) == []
    assert refusal(state, command(Declare, item="1.1", data="no", time=LAST)).code == "step-closed"
