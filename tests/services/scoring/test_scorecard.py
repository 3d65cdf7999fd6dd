"""The scorecards: which value of an item counts, and that the order between logs never matters."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.scorecard import SCORED, Folded, States, before, leaves, open_requests, self_assessed
from shared.events import Entry
from shared.events.appraisal import ExplanationRequested, MonitorAssigned
from shared.events.submission import (
    ExplanationClosed,
    ExplanationGiven,
    ReopeningClosed,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from shared.rubric import Card, LeafValue, PartName
from tests.services.scoring.samples import APPRAISAL, APPRAISER, PILOT, SUBMISSION, Story, whole_story

CARD = FORMULAS[CURRENT].card


def started() -> Story:
    return Story().open({"central": PILOT}, {"a-01": "central", "a-02": "central"})


def card(story: Story, agency: str = "a-01") -> Card:
    return CARD(story.states, agency, False)


def line(story: Story, item: str) -> dict[str, object]:
    [found] = [line for line in card(story).leaves if line.code == item]
    return found.model_dump(exclude_none=True, exclude={"code", "part", "maximum"})


def test_the_four_numbers_of_an_item_stay_apart() -> None:
    story = started()
    story.declare("a-01", "2.1", "4")
    story.appraise("a-01", "2.1", "3.5")
    story.adjust("a-01", "2.1", "3.75")
    assert leaves(story.states, "a-01")["2.1"] == LeafValue(
        self_assessed=Decimal("4"), appraised=Decimal("3.5"), council=Decimal("3.75")
    )
    assert line(story, "2.1")["achieved"] == Decimal("3.75")


def test_self_assessed_points_are_never_achieved_by_themselves() -> None:
    story = started()
    story.declare("a-01", "2.1", "4")
    assert line(story, "2.1") == {"not_applicable": False, "self_assessed": Decimal("4"), "open": True}
    assert card(story).total == 0


def test_the_last_declaration_and_the_last_appraisal_count() -> None:
    story = started()
    for points in ("4", "3"):
        story.declare("a-01", "2.1", points)
        story.appraise("a-01", "2.1", points)
    assert leaves(story.states, "a-01")["2.1"] == LeafValue(self_assessed=Decimal(3), appraised=Decimal(3))


def test_a_claim_of_not_applicable_moves_no_maximum_until_it_is_accepted() -> None:
    story = started()
    story.declare("a-01", "1.1.2", "3")
    story.claim("a-01", "1.1.2")
    assert card(story).applicable == 20
    assert line(story, "1.1.2") == {"not_applicable": False, "open": True}
    story.appraise("a-01", "1.1.2", None)
    assert card(story).applicable == 17
    assert line(story, "1.1.2") == {"not_applicable": True, "open": False}


def test_the_council_may_refuse_what_the_appraiser_accepted() -> None:
    story = started()
    story.claim("a-01", "1.1.2")
    story.appraise("a-01", "1.1.2", None)
    story.adjust("a-01", "1.1.2", "0")
    assert card(story).applicable == 20
    assert line(story, "1.1.2")["achieved"] == 0


def test_ballots_count_as_they_come_and_too_few_is_settled_by_the_completion() -> None:
    story = started()
    story.campaign("central", PILOT, ["a-01", "a-02"])
    assert line(story, "3.1") == {"not_applicable": False, "open": True}
    story.ballots("a-01", a=4, b=2, c=0)
    assert line(story, "3.1")["achieved"] == Decimal("6.67")
    story.ballots("a-01", a=0, b=0, c=4)
    assert line(story, "3.1")["achieved"] == Decimal("4")
    story.complete()
    assert line(story, "3.1")["achieved"] == Decimal("4")
    [unasked] = [line for line in card(story, "a-02").leaves if line.code == "3.1"]
    assert unasked.not_applicable


def test_a_study_stands_instead_of_ballots() -> None:
    story = started()
    story.study("a-01", item_3_2="1.25")
    assert line(story, "3.2")["achieved"] == Decimal("1.25")


def test_a_period_without_survey_leaves_its_part_out() -> None:
    story = started()
    story.without_survey()
    [survey] = [part for part in card(story).parts if part.part is PartName.SURVEY]
    assert not survey.held


def test_nobody_stands_by_the_declarations_of_an_agency_that_did_not_submit() -> None:
    story = started()
    story.declare("a-01", "2.1", "4")
    story.close_without("a-01")
    assert leaves(story.states, "a-01")["2.1"] == LeafValue()
    story.appraise("a-01", "2.1", "2")
    assert leaves(story.states, "a-01")["2.1"] == LeafValue(appraised=Decimal(2))


def test_a_request_for_explanation_is_open_until_it_is_answered_closed_or_its_time_ends() -> None:
    story = started()
    until = story.now + timedelta(days=5)
    request = ExplanationRequested(agency="a-01", item="2.1", until=until, reason_code="evidence-missing")
    first, second = story.tell(APPRAISAL, request), story.tell(APPRAISAL, request)
    assert [each.item for each in open_requests(story.states, "a-01", story.now)] == ["2.1", "2.1"]
    assert open_requests(story.states, "a-01", until) == []
    story.tell(SUBMISSION, ExplanationGiven(agency="a-01", item="2.1", request=first.position))
    story.tell(SUBMISSION, ExplanationClosed(agency="a-01", item="2.1", request=second.position))
    assert open_requests(story.states, "a-01", story.now) == []


def test_an_explanation_instead_of_evidence_answers_no_request() -> None:
    story = started()
    story.tell(SUBMISSION, ExplanationGiven(agency="a-01", item="2.1"))
    own = story.states.submission.agencies["a-01"]
    assert (own.proved, own.answered) == (frozenset({"2.1"}), set[int]())


def test_what_the_head_approved_stands_until_data_or_evidence_change() -> None:
    story = started()
    changes: list[Callable[[], object]] = [
        lambda: story.declare("a-01", "2.1", "4"),
        lambda: story.claim("a-01", "2.1"),
        lambda: story.prove("a-01", "1.1.1", "2.1"),
        lambda: story.tell(SUBMISSION, ExplanationGiven(agency="a-01", item="2.1")),
    ]
    for change in changes:
        story.approve("a-01")
        assert story.states.submission.agencies["a-01"].approved
        change()
        assert not story.states.submission.agencies["a-01"].approved


def test_appraisers_and_monitors_have_the_fields_that_were_assigned_last() -> None:
    story = started()
    story.assign(APPRAISER, "central", "1", "2")
    story.assign(APPRAISER, "central", "2")
    story.tell(APPRAISAL, MonitorAssigned(monitor=APPRAISER, group="central", fields=("3",)))
    assert story.states.appraisal.fields_of(APPRAISER, "central") == {"2", "3"}
    assert story.states.appraisal.fields_of(APPRAISER, "other") == frozenset()


def test_a_fold_never_changes_the_state_that_it_starts_from() -> None:
    story = whole_story()
    for service in SCORED:
        entries = story.logs[f"{service}/2024-year"]
        half = before(service).fold(service, entries[: len(entries) // 2])
        seen = repr(half)
        half.fold(service, entries[len(entries) // 2 :])
        assert repr(half) == seen


def test_a_score_bearing_entry_without_data_is_refused() -> None:
    story = started()
    whole = story.declare("a-01", "2.1", "4")
    erased = Entry(whole.log, whole.position, whole.leaf, None, None)
    with pytest.raises(ValueError, match="bears on the score and has no data"):
        before("submission").fold("submission", [*story.logs[SUBMISSION][:-1], erased])


def test_the_last_entry_that_can_move_a_score_is_known() -> None:
    story = started()
    declared = story.declare("a-01", "2.1", "4")
    story.tell(SUBMISSION, ExplanationGiven(agency="a-01", item="2.1"))
    assert story.states.moved["submission"] == declared.position
    assert story.states.moved["appraisal"] == -1


@given(st.data())
def test_any_interleaving_of_the_three_logs_in_any_batches_gives_the_same_cards(data: st.DataObject) -> None:
    story = whole_story()
    folded: dict[str, Folded] = {service: before(service) for service in SCORED}
    waiting = {service: list(story.logs[f"{service}/2024-year"]) for service in SCORED}
    while any(waiting.values()):
        service = data.draw(st.sampled_from([service for service in SCORED if waiting[service]]))
        size = data.draw(st.integers(1, len(waiting[service])))
        folded[service] = folded[service].fold(service, waiting[service][:size])
        del waiting[service][:size]
    states = States.of(folded)
    assert states == story.states
    for agency in states.period.agencies:
        assert CARD(states, agency, False) == card(story, agency)


def test_a_reopening_has_the_last_word_on_whether_a_self_assessment_stands() -> None:
    story = started()
    story.declare("a-01", "2.1", "4")
    story.tell(SUBMISSION, SelfAssessmentClosed(submitted=(), not_submitted=("a-01", "a-02")))
    own = "self-assessment/a-01"
    seen = [self_assessed(story.states, "a-01")]
    for event in (
        SelfAssessmentReopened(agency="a-01", until=story.now, reason_code="as-declared"),
        ReopeningClosed(agency="a-01", submitted=False),
        SelfAssessmentReopened(agency="a-01", until=story.now, reason_code="as-declared"),
        SelfAssessmentSubmitted(agency="a-01", digest="0" * 64, items=(), total=Decimal(4)),
        SelfAssessmentReopened(agency="a-01", until=story.now, reason_code="as-declared"),
        ReopeningClosed(agency="a-01", submitted=True),
    ):
        story.tell(SUBMISSION, event, stream=own)
        seen.append(self_assessed(story.states, "a-01"))
    assert seen == [False, True, False, True, True, True, True]
    assert not self_assessed(story.states, "a-02")
