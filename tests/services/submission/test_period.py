"""Opening a period and closing its self-assessment."""

from datetime import timedelta
from decimal import Decimal

import pytest

from services.submission.period import DECIDER, CloseSelfAssessment, OpenPeriod, Standing
from shared.decider import Rejected, fold
from shared.events import Event, parts_digest
from shared.events.submission import (
    AgenciesAdded,
    PeriodOpened,
    PeriodStarted,
    ReopeningClosed,
    RubricFieldSet,
    RubricSet,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from shared.rubric import load_rubric
from tests.services.submission.samples import LAST, RUBRIC, opening


def opened(position: int = 0) -> list[Event]:
    return list(DECIDER.decide(Standing(), OpenPeriod(opening(), position)))


def submitted(agency: str) -> SelfAssessmentSubmitted:
    return SelfAssessmentSubmitted(agency=agency, digest="0" * 64, items=(), total=Decimal(0))


def test_opening_a_period_states_rubric_agencies_and_start_in_one_append() -> None:
    kinds = [type(event) for event in opened()]
    assert kinds == [PeriodOpened, RubricFieldSet, RubricFieldSet, RubricSet, AgenciesAdded, PeriodStarted]


def test_the_manifest_of_a_rubric_names_count_first_position_and_digest_of_its_fields() -> None:
    events = opened(position=7)
    manifest = events[3]
    assert isinstance(manifest, RubricSet)
    assert (manifest.count, manifest.first) == (2, 8)
    assert manifest.digest == parts_digest(events[1:3])


def test_the_rubric_read_back_from_the_log_is_the_one_that_was_sent() -> None:
    assert fold(DECIDER, opened()).period.rubrics["central"] == load_rubric(RUBRIC)


def test_an_agency_without_an_english_name_bears_its_vietnamese_one() -> None:
    agency = fold(DECIDER, opened()).period.agencies["a-02"]
    assert (agency.name_vi, agency.name_en, agency.publication) == ("Cục Thuế", "Cục Thuế", "totals-only")


def test_more_than_two_hundred_agencies_are_split_over_entries() -> None:
    agencies = [{"id": f"a-{number}", "name": {"vi": "Cơ quan"}} for number in range(401)]
    group = {"id": "central", "name": {"vi": "Nhóm"}, "rubric": "small", "agencies": agencies}
    events = DECIDER.decide(Standing(), OpenPeriod(opening(groups=[group]), 0))
    assert [len(event.agencies) for event in events if isinstance(event, AgenciesAdded)] == [200, 200, 1]


def test_a_period_with_more_agencies_than_its_closing_can_name_is_refused() -> None:
    agencies = [{"id": f"a-{number}", "name": {"vi": "Cơ quan"}} for number in range(4001)]
    group = {"id": "central", "name": {"vi": "Nhóm"}, "rubric": "small", "agencies": agencies}
    with pytest.raises(Rejected) as refused:
        DECIDER.decide(Standing(), OpenPeriod(opening(groups=[group]), 0))
    assert (refused.value.code, refused.value.field) == ("period-invalid", "groups")


def test_a_period_that_is_open_is_not_opened_again() -> None:
    with pytest.raises(Rejected) as refused:
        DECIDER.decide(fold(DECIDER, opened()), OpenPeriod(opening(), 6))
    assert refused.value.code == "period-exists"


def test_a_rubric_that_cannot_be_computed_is_refused_with_every_place_named() -> None:
    broken = load_rubric(RUBRIC.replace('"on": "1.2"', '"on": "9.9"').replace("part: bonus", "part: survey"))
    faulty = opening(rubrics=[broken.model_dump(mode="json")])
    with pytest.raises(Rejected) as refused:
        DECIDER.decide(Standing(), OpenPeriod(faulty, 0))
    assert refused.value.code == "rubric-invalid"
    assert "rubrics.small.1.3" in [error["field"] for error in refused.value.errors]


def test_a_proof_that_is_let_go_before_the_last_deadline_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        DECIDER.decide(Standing(), OpenPeriod(opening(retain_until="2024-12-05"), 0))
    assert (refused.value.code, refused.value.field) == ("period-invalid", "retain_until")


def test_the_closing_names_who_submitted_and_who_did_not() -> None:
    state = fold(DECIDER, [*opened(), submitted("a-02")])
    closed = SelfAssessmentClosed(submitted=("a-02",), not_submitted=("a-01",))
    assert DECIDER.decide(state, CloseSelfAssessment(LAST)) == [closed]


def test_closing_before_the_last_time_is_refused_and_names_who_has_not_submitted() -> None:
    state = fold(DECIDER, [*opened(), submitted("a-02")])
    with pytest.raises(Rejected) as refused:
        DECIDER.decide(state, CloseSelfAssessment(LAST - timedelta(microseconds=1)))
    assert refused.value.code == "step-still-open"
    assert [error["item"] for error in refused.value.errors] == ["a-01"]


def test_closing_early_is_possible_once_all_have_submitted() -> None:
    state = fold(DECIDER, [*opened(), submitted("a-01"), submitted("a-02")])
    events = DECIDER.decide(state, CloseSelfAssessment(LAST - timedelta(days=10)))
    assert events == [SelfAssessmentClosed(submitted=("a-01", "a-02"), not_submitted=())]


def test_closing_what_is_closed_appends_nothing() -> None:
    closed = SelfAssessmentClosed(submitted=(), not_submitted=("a-01", "a-02"))
    assert DECIDER.decide(fold(DECIDER, [*opened(), closed]), CloseSelfAssessment(LAST)) == []


def test_a_period_that_was_never_opened_cannot_be_closed() -> None:
    with pytest.raises(Rejected) as refused:
        DECIDER.decide(Standing(), CloseSelfAssessment(LAST))
    assert refused.value.code == "period-unknown"


def test_a_reopened_agency_has_not_submitted_until_it_does_so_again() -> None:
    reopened = SelfAssessmentReopened(agency="a-01", until=LAST, reason_code="as-declared")
    state = fold(DECIDER, [*opened(), submitted("a-01"), submitted("a-02"), reopened])
    assert state.submitted == {"a-02"}
    assert fold(DECIDER, [*opened(), submitted("a-01"), reopened, submitted("a-01")]).submitted == {"a-01"}


@pytest.mark.parametrize(("stands", "submitted_then"), [(True, {"a-01"}), (False, set[str]())])
def test_the_end_of_a_reopening_says_whether_the_earlier_submission_stands(
    stands: bool, submitted_then: set[str]
) -> None:
    reopened = SelfAssessmentReopened(agency="a-01", until=LAST, reason_code="as-declared")
    ended = ReopeningClosed(agency="a-01", submitted=stands)
    assert fold(DECIDER, [*opened(), submitted("a-01"), reopened, ended]).submitted == submitted_then
