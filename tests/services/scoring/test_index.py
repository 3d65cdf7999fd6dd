"""Consolidation, approval and publication: what they record, and everything that refuses them."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.scoring.index import (
    DECIDER,
    Approve,
    Command,
    Consolidate,
    Index,
    Obstacle,
    Publish,
    Revise,
    Situation,
    Start,
    head_sizes,
    obstacles,
    publication_obstacles,
)
from services.scoring.replay import Result, replay
from services.scoring.scorecard import Finalised
from shared.decider import Rejected, fold
from shared.events import Event, parts_digest
from shared.events.appraisal import ExplanationRequested
from shared.events.scoring import (
    CardPublished,
    Head,
    IndexPublished,
    IndexRevised,
    ResultApproved,
    ResultConsolidated,
    RevisionOpened,
    RevisionReasoned,
    ScoringStarted,
)
from shared.events.submission import ReopeningClosed, SelfAssessmentReopened
from shared.rubric import Rubric
from tests.services.scoring.samples import (
    APPRAISAL,
    APPROVER,
    OFFICER,
    PERIOD,
    PILOT,
    SUBMISSION,
    SURVEY,
    Story,
    whole_story,
)

SCORING = f"scoring/{PERIOD}"
DECISION: dict[str, Any] = {"decision": "5691/QĐ-UBND", "dated": date(2025, 1, 15)}
OWN = Head(size=3, root="3" * 64)


def situation(
    story: Story,
    *,
    at: datetime | None = None,
    parked: frozenset[str] = frozenset(),
    archived: Mapping[str, int] | None = None,
) -> Situation:
    """Everything is archived and nothing parked, where nothing else is said."""
    sizes = {log: len(entries) for log, entries in story.logs.items()} | {SCORING: OWN.size}
    return Situation(PERIOD, story.states, at or story.now, parked, sizes if archived is None else archived)


def result(story: Story) -> Result:
    """The result at the heads that the finalising sets."""
    finalised = story.states.appraisal.finalised
    assert finalised is not None
    heads = {
        log: story.heads[log].model_copy(update={"size": size}) for log, size in head_sizes(PERIOD, finalised).items()
    }
    return replay(story.logs, heads)


def decided(given: list[Event], command: Command) -> list[Event]:
    return list(DECIDER.decide(fold(DECIDER, given), command))


def refused(given: list[Event], command: Command) -> Rejected:
    with pytest.raises(Rejected) as refusal:
        DECIDER.decide(fold(DECIDER, given), command)
    return refusal.value


def codes(found: list[Obstacle]) -> set[str]:
    return {obstacle.code for obstacle in found}


STORY = whole_story()
RESULT = result(STORY)
STARTED = ScoringStarted(period=PERIOD, of=0)
CONSOLIDATED = ResultConsolidated(by=OFFICER, formula=RESULT.formula, heads=dict(RESULT.heads), digest=RESULT.digest)
APPROVED = ResultApproved(digest=RESULT.digest, **DECISION)


def publish(story: Story = STORY, **more: Any) -> Publish:
    return Publish(situation(story, **more), RESULT, OWN, OWN.size)


def test_the_scoring_log_starts_once() -> None:
    assert decided([], Start(PERIOD, 0)) == [STARTED]
    assert decided([STARTED], Start(PERIOD, 0)) == []


def test_a_consolidation_names_formula_heads_and_digest() -> None:
    assert decided([STARTED], Consolidate(OFFICER, situation(STORY), RESULT)) == [CONSOLIDATED]
    sizes = {log: head.size for log, head in CONSOLIDATED.heads.items()}
    assert sizes == {log: len(entries) for log, entries in STORY.logs.items()}


def test_the_heads_are_those_that_the_finalising_saw_and_its_own_entry() -> None:
    finalised = Finalised(41, {SUBMISSION: 30, SURVEY: 12, SCORING: 1})
    assert head_sizes(PERIOD, finalised) == {SUBMISSION: 30, APPRAISAL: 42, SURVEY: 12}


def test_another_person_approves_the_digest_with_number_and_date() -> None:
    assert decided([STARTED, CONSOLIDATED], Approve(APPROVER, RESULT.digest, **DECISION)) == [APPROVED]


def test_who_consolidated_cannot_approve() -> None:
    assert refused([CONSOLIDATED], Approve(OFFICER, RESULT.digest, **DECISION)).code == "same-person"


def test_another_digest_cannot_be_approved() -> None:
    assert refused([CONSOLIDATED], Approve(APPROVER, "0" * 64, **DECISION)).code == "digest-differs"


def test_nothing_can_be_approved_before_it_is_consolidated() -> None:
    assert refused([STARTED], Approve(APPROVER, RESULT.digest, **DECISION)).code == "not-consolidated"


def test_a_publication_records_each_card_and_then_the_index_with_all_heads() -> None:
    *cards, manifest = decided([STARTED, CONSOLIDATED, APPROVED], publish())
    assert cards == [CardPublished(agency=row.agency, row=row, card=RESULT.cards[row.agency]) for row in RESULT.table]
    assert [row.agency for row in RESULT.table] == ["a-01", "a-02"]
    assert manifest == IndexPublished(
        period=PERIOD,
        formula=RESULT.formula,
        heads={**RESULT.heads, SCORING: OWN},
        digest=RESULT.digest,
        **DECISION,
        count=2,
        first=OWN.size,
        parts_digest=parts_digest(cards),
    )


def test_a_publication_needs_the_approval() -> None:
    refusal = refused([STARTED, CONSOLIDATED], publish())
    assert refusal.code == "obstacles-remain"
    assert [error["code"] for error in refusal.errors] == ["approval-missing"]


def test_a_new_consolidation_needs_a_new_approval() -> None:
    state = fold(DECIDER, [STARTED, CONSOLIDATED, APPROVED, CONSOLIDATED])
    assert codes(publication_obstacles(state, situation(STORY), OWN.size)) == {"approval-missing"}


def test_only_the_approved_digest_is_published() -> None:
    approved = APPROVED.model_copy(update={"digest": "1" * 64})
    assert refused([CONSOLIDATED, approved], publish()).code == "digest-differs"


def test_the_scoring_log_itself_must_be_archived_before_a_publication() -> None:
    archived = {log: len(entries) for log, entries in STORY.logs.items()} | {SCORING: OWN.size - 1}
    refusal = refused([CONSOLIDATED, APPROVED], publish(archived=archived))
    assert [(error["code"], error["place"]) for error in refusal.errors] == [("heads-not-archived", SCORING)]


def test_a_publication_refuses_its_own_head_once_the_log_has_grown() -> None:
    command = Publish(situation(STORY, archived={**dict.fromkeys(STORY.logs, 99), SCORING: 9}), RESULT, OWN, 4)
    assert refused([CONSOLIDATED, APPROVED], command).code == "result-outdated"


@pytest.mark.parametrize(
    "command",
    [
        Consolidate(OFFICER, situation(STORY), RESULT),
        Approve(APPROVER, RESULT.digest, **DECISION),
        publish(),
    ],
)
def test_nothing_follows_a_publication(command: Command) -> None:
    published = decided([CONSOLIDATED, APPROVED], publish())
    assert refused([CONSOLIDATED, APPROVED, *published], command).code == "already-published"


def test_a_result_of_other_heads_than_the_finalised_ones_is_refused() -> None:
    again = whole_story()
    again.finalise(["a-01", "a-02"])
    assert refused([STARTED], Consolidate(OFFICER, situation(again), RESULT)).code == "result-outdated"
    assert refused([STARTED], Consolidate(OFFICER, situation(STORY), None)).code == "result-outdated"


def test_a_whole_period_has_no_obstacle() -> None:
    assert obstacles(situation(STORY)) == []


def test_every_open_matter_of_a_young_period_is_named() -> None:
    story = Story().open({"central": PILOT}, {"a-01": "central"})
    story.campaign("central", PILOT, ["a-01"])
    found = obstacles(situation(story))
    assert found[:5] == [
        Obstacle("agency-open", "the agency's appraisal is not closed", "a-01"),
        *(
            Obstacle("leaf-open", "the item has no points yet", "a-01", item)
            for item in ("1.1.1", "1.1.2", "2.1", "2.2")
        ),
    ]
    assert [(each.code, each.place) for each in found[5:]] == [
        ("survey-open", "c"),
        ("council-missing", None),
        ("appraisal-not-final", None),
    ]
    refusal = refused([STARTED], Consolidate(OFFICER, situation(story), None))
    assert (refusal.code, len(refusal.errors)) == ("obstacles-remain", len(found))
    assert refusal.errors[1] == {
        "code": "leaf-open", "detail": "the item has no points yet", "place": "a-01", "item": "1.1.1"
    }  # fmt: skip


def test_a_group_with_surveyed_items_and_no_campaign_is_named() -> None:
    story = Story().open({"central": PILOT}, {"a-01": "central"})
    story.study("a-01", item_3_2="1")
    open_ = [each for each in obstacles(situation(story)) if each.code == "survey-open"]
    assert [(each.place, each.item) for each in open_] == [("a-01", "3.1")]


def settled_by_an_officer() -> Rubric:
    """The pilot's rubric with a surveyed item on which an officer decides where there are too few ballots."""
    raw = PILOT.model_dump(mode="json")
    raw["fields"][2]["criteria"][0]["rule"]["too_few"] = "officer"
    return type(PILOT).model_validate(raw)


def test_no_surveyed_item_is_open_where_no_survey_is_held() -> None:
    story = Story().open({"central": settled_by_an_officer()}, {"a-01": "central"})
    story.without_survey()
    assert [each for each in obstacles(situation(story)) if each.item and each.item.startswith("3")] == []


def test_a_survey_item_that_only_an_officer_can_settle_stays_open() -> None:
    rubric = settled_by_an_officer()
    story = Story().open({"central": rubric}, {"a-01": "central"})
    story.campaign("central", rubric, ["a-01"])
    story.complete()
    story.study("a-01", item_3_2="1")
    found = [each for each in obstacles(situation(story)) if each.item and each.item.startswith("3")]
    assert [(each.code, each.item) for each in found] == [("leaf-open", "3.1")]


def test_a_request_for_explanation_holds_up_until_its_date() -> None:
    story = whole_story()
    until = story.now + timedelta(days=5)
    story.tell(APPRAISAL, ExplanationRequested(agency="a-02", item="2.1", until=until, reason_code="evidence-missing"))
    [found] = obstacles(situation(story))
    assert (found.code, found.place, found.item) == ("explanation-open", "a-02", "2.1")
    assert obstacles(situation(story, at=until)) == []


@pytest.mark.parametrize("log", [SUBMISSION, APPRAISAL, SURVEY])
def test_an_entry_that_moves_the_score_after_the_finalising_needs_a_new_one(log: str) -> None:
    story = whole_story()
    match log:
        case "submission/2024-year":
            story.declare("a-01", "2.1", "1")
        case "appraisal/2024-year":
            story.adjust("a-01", "2.1", "1")
        case _:
            story.study("a-01", item_3_2="1")
    assert obstacles(situation(story)) == [
        Obstacle("finalising-outdated", "a later entry moves the score: finalise anew", log)
    ]
    story.finalise(["a-01", "a-02"])
    assert obstacles(situation(story)) == []


def test_an_entry_that_moves_no_score_needs_no_new_finalising() -> None:
    story = whole_story()
    story.assign(APPROVER, "central", "1")
    assert obstacles(situation(story)) == []


def test_a_period_without_council_is_held_up() -> None:
    story = whole_story()
    state = story.states.appraisal
    on = situation(story)._replace(
        states=story.states._replace(appraisal=type(state)(state.agencies, {}, {}, None, state.finalised))
    )
    assert codes(obstacles(on)) == {"council-missing"}


def test_a_parked_log_holds_up() -> None:
    [found] = obstacles(situation(STORY, parked=frozenset({SURVEY})))
    assert (found.code, found.place) == ("log-parked", SURVEY)


def test_heads_that_the_archive_does_not_hold_are_named() -> None:
    archived = {log: len(entries) for log, entries in STORY.logs.items()}
    archived[SURVEY] -= 1
    [found] = obstacles(situation(STORY, archived=archived))
    assert (found.code, found.place) == ("heads-not-archived", SURVEY)


def test_history_folds_whatever_the_rules_say_now() -> None:
    state = fold(DECIDER, [STARTED, CONSOLIDATED, APPROVED, *decided([CONSOLIDATED, APPROVED], publish())])
    assert isinstance(state, Index)
    assert state.published is not None
    assert (state.consolidated, state.approved) == (CONSOLIDATED, APPROVED)


def published() -> list[Event]:
    """All of the scoring log up to the published index, which stands at position 5."""
    before = [STARTED, CONSOLIDATED, APPROVED]
    return [*before, *decided(before, publish())]


REVISE = Revise("20/QĐ-UBND", date(2025, 3, 3), " Khiếu nại có căn cứ. ", 6)
OPENED = RevisionOpened(of=5, decision="20/QĐ-UBND", dated=date(2025, 3, 3))


def test_a_published_index_is_revised_under_a_decision_and_with_words() -> None:
    assert len(published()) == 6
    assert decided(published(), REVISE) == [OPENED, RevisionReasoned(of=6, reason="Khiếu nại có căn cứ.")]


def test_what_is_not_published_cannot_be_revised() -> None:
    assert refused([STARTED, CONSOLIDATED, APPROVED], REVISE).code == "not-published"


def test_a_revision_needs_its_reason_and_is_opened_once() -> None:
    assert refused(published(), REVISE._replace(reason="  ")).code == "reason-missing"
    assert refused([*published(), OPENED], REVISE).code == "revision-open"


def test_an_opened_revision_needs_its_own_consolidation_and_approval() -> None:
    opened = [*published(), OPENED]
    assert refused(opened, Approve(APPROVER, RESULT.digest, **DECISION)).code == "not-consolidated"
    assert "approval-missing" in {error["code"] for error in refused(opened, publish()).errors}
    assert decided(opened, Consolidate(OFFICER, situation(STORY), RESULT)) == [CONSOLIDATED]


def test_a_revised_index_names_the_one_that_it_takes_the_place_of() -> None:
    again = [*published(), OPENED, CONSOLIDATED, APPROVED]
    *cards, manifest = decided(again, publish())
    assert isinstance(manifest, IndexRevised)
    assert (manifest.revises, manifest.count, len(cards)) == (5, 2, 2)
    assert refused([*again, *cards, manifest], publish()).code == "already-published"
    assert decided([*again, *cards, manifest], REVISE)[0] == OPENED  # positions are the same in this test


def test_a_reopened_self_assessment_holds_up_until_it_is_submitted_or_closed() -> None:
    story = whole_story()
    reopened = SelfAssessmentReopened(agency="a-01", until=story.now, reason_code="as-declared")
    story.tell(SUBMISSION, reopened, stream="self-assessment/a-01")
    assert codes(obstacles(situation(story))) == {"reopening-open", "finalising-outdated"}
    story.tell(SUBMISSION, ReopeningClosed(agency="a-01", submitted=True), stream="self-assessment/a-01")
    assert codes(obstacles(situation(story))) == {"finalising-outdated"}
