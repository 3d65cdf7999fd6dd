"""Opening a period and closing its self-assessment."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from services.submission.period import (
    DECIDER,
    CloseSelfAssessment,
    Command,
    JoinAgency,
    OpenPeriod,
    RenameAgency,
    Standing,
    WithdrawAgency,
)
from shared.decider import Rejected, fold
from shared.events import Event, parts_digest
from shared.events.submission import (
    AgenciesAdded,
    AgencyJoined,
    AgencyRenamed,
    AgencyWithdrawn,
    PeriodOpened,
    PeriodStarted,
    ReopeningClosed,
    RubricFieldSet,
    RubricSet,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from shared.rubric import Label, load_rubric
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


DATED = date(2025, 2, 26)
JOINS = JoinAgency("a-03", "381/QĐ", DATED, False, "central", Label(vi="Thuế thành phố"), "a-02")
BECOMES = RenameAgency("a-01", "382/QĐ", DATED, False, Label(vi="Bảo hiểm xã hội khu vực I"))
LEAVES = WithdrawAgency("a-02", "381/QĐ", DATED, False, "a-03")


def test_an_agency_joins_a_period_by_a_decision_under_the_name_valid_then() -> None:
    state = fold(DECIDER, opened())
    events = DECIDER.decide(state, JOINS)
    named = {"agency": "a-03", "group": "central", "name_vi": "Thuế thành phố", "name_en": "Thuế thành phố"}
    assert events == [AgencyJoined(**named, predecessor="a-02", decision="381/QĐ", dated=DATED)]
    period = fold(DECIDER, [*opened(), *events]).period
    assert period.active == ("a-01", "a-02", "a-03")
    assert period.rubric_of("a-03") == period.rubric_of("a-01")


def test_a_renamed_agency_keeps_its_group_and_its_policy() -> None:
    before = fold(DECIDER, opened()).period.agencies["a-01"]
    events = DECIDER.decide(fold(DECIDER, opened()), BECOMES)
    assert [type(event) for event in events] == [AgencyRenamed]
    after = fold(DECIDER, [*opened(), *events]).period.agencies["a-01"]
    assert after == before.model_copy(update={"name_vi": after.name_vi, "name_en": after.name_en})
    assert after.name_vi == "Bảo hiểm xã hội khu vực I"


def test_a_withdrawn_agency_is_still_known_but_takes_no_part_and_need_not_submit() -> None:
    events = [*opened(), *DECIDER.decide(fold(DECIDER, opened()), JOINS)]
    events += DECIDER.decide(fold(DECIDER, events), LEAVES)
    assert events[-1] == AgencyWithdrawn(agency="a-02", successor="a-03", decision="381/QĐ", dated=DATED)
    state = fold(DECIDER, events)
    assert state.period.the_agency("a-02").name_vi == "Cục Thuế"
    with pytest.raises(Rejected, match="agency-withdrawn"):
        state.period.the_active("a-02")
    closed = SelfAssessmentClosed(submitted=(), not_submitted=("a-01", "a-03"))
    assert DECIDER.decide(state, CloseSelfAssessment(LAST)) == [closed]


@pytest.mark.parametrize(
    ("command", "code", "field"),
    [
        (replace(JOINS, agency="a-01"), "agency-exists", "agency"),
        (replace(JOINS, group="communes"), "group-unknown", "group"),
        (replace(JOINS, predecessor="a-09"), "agency-unknown", "agency"),
        (replace(JOINS, published=True), "period-published", None),
        (replace(BECOMES, agency="a-09"), "agency-unknown", "agency"),
        (replace(BECOMES, name=Label(vi="Bảo hiểm xã hội", en="Social Insurance")), "name-unchanged", "name"),
        (replace(BECOMES, published=True), "period-published", None),
        (replace(LEAVES, agency="a-09"), "agency-unknown", "agency"),
        (replace(LEAVES, successor="a-02"), "successor-invalid", "successor"),
        (replace(LEAVES, successor="a-09"), "agency-unknown", "agency"),
        (replace(LEAVES, published=True), "period-published", None),
    ],
)
def test_a_change_among_the_agencies_that_cannot_be_is_refused(command: Command, code: str, field: str | None) -> None:
    with pytest.raises(Rejected) as refused:
        DECIDER.decide(fold(DECIDER, opened()), command)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_nobody_joins_once_the_step_of_self_assessment_has_ended() -> None:
    closed = SelfAssessmentClosed(submitted=(), not_submitted=("a-01", "a-02"))
    with pytest.raises(Rejected, match="step-closed"):
        DECIDER.decide(fold(DECIDER, [*opened(), closed]), JOINS)


def test_who_has_left_cannot_leave_again_nor_follow_upon_another() -> None:
    state = fold(DECIDER, [*opened(), AgencyWithdrawn(agency="a-02", decision="381/QĐ", dated=DATED)])
    for command in (replace(LEAVES, successor=None), replace(LEAVES, agency="a-01", successor="a-02")):
        with pytest.raises(Rejected, match="agency-withdrawn"):
            DECIDER.decide(state, command)


def test_no_agency_changes_in_a_period_that_was_never_opened() -> None:
    for command in (JOINS, BECOMES, LEAVES):
        with pytest.raises(Rejected, match="period-unknown"):
            DECIDER.decide(Standing(), command)


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
