"""Progress: the step of each agency, what holds it, and whose turn it is with the command that does it."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.scoring import index
from services.scoring.index import Index, Situation
from services.scoring.progress import Counts, Progress, agency_progress, period_blocks, period_turns
from services.scoring.replay import replay
from services.scoring.steps import ACTIONS, STEPS, Action
from shared.events.appraisal import ExplanationRequested
from shared.events.scoring import IndexPublished, ResultApproved, ResultConsolidated
from shared.events.submission import AgencyWithdrawn, ExplanationClosed, ExplanationGiven, SelfAssessmentReopened
from tests.services.scoring.samples import (
    APPRAISAL,
    OFFICER,
    PERIOD,
    PILOT,
    SUBMISSION,
    Story,
    whole_story,
)
from tests.test_docs import commands, routes_of

SELF_ASSESSED = ("1.1.1", "1.1.2", "2.1")


def situation(story: Story, at: datetime | None = None, archived: Mapping[str, int] | None = None) -> Situation:
    sizes = {log: len(entries) for log, entries in story.logs.items()} | {f"scoring/{PERIOD}": 99}
    return Situation(PERIOD, story.states, at or story.now, frozenset(), sizes if archived is None else archived)


def progress(story: Story, agency: str = "a-01", state: Index | None = None, at: datetime | None = None) -> Progress:
    return agency_progress(state or Index(started=True), situation(story, at), agency)


def turns(story: Story, agency: str = "a-01", state: Index | None = None, at: datetime | None = None) -> list[str]:
    return [turn.action for turn in progress(story, agency, state, at).turns]


def codes(shown: Progress) -> list[tuple[str, str | None]]:
    return [(block.code, block.item) for block in shown.blocks]


def started() -> Story:
    return Story().open({"central": PILOT}, {"a-01": "central", "a-02": "central"})


def declared() -> Story:
    story = started()
    for item in SELF_ASSESSED:
        story.declare("a-01", item, "1")
    story.prove("a-01", *SELF_ASSESSED)
    return story


def submitted() -> Story:
    story = declared()
    story.approve("a-01")
    story.submit("a-01")
    story.open_appraisal("a-01")
    return story


def appraising() -> Story:
    story = submitted()
    story.assign("0b" * 16, "central", "1", "2")
    story.campaign("central", PILOT, ["a-01", "a-02"])
    return story


def test_at_first_the_agency_declares_until_the_deadline() -> None:
    shown = progress(started())
    assert shown.step == "self-assessment"
    assert [turn.action for turn in shown.turns] == ["declare", "open-survey", "import-study"]
    declare = shown.turns[0]
    assert declare.until == datetime.fromisoformat("2024-11-30T00:00+07:00")
    assert declare.command == f"parindex assess import a-01 FILE --period {PERIOD}"
    assert declare.route == f"PUT /periods/{PERIOD}/agencies/a-01/items/ITEM"
    missing = [
        (code, item) for item in SELF_ASSESSED for code in ("declaration-missing", "evidence-or-explanation-missing")
    ]
    assert codes(shown) == [*missing, ("not-submitted", None)]


def test_an_item_claimed_not_to_apply_needs_no_evidence() -> None:
    story = started()
    story.claim("a-01", "2.1")
    assert ("evidence-or-explanation-missing", "2.1") not in codes(progress(story))
    assert progress(story).fields["2"].proved == 1


def test_then_the_head_approves_and_the_agency_submits() -> None:
    story = declared()
    assert (turns(story)[0], codes(progress(story))) == (
        "approve-self-assessment", [("approval-missing", None), ("not-submitted", None)]
    )  # fmt: skip
    story.approve("a-01")
    assert (turns(story)[0], codes(progress(story))) == ("submit", [("not-submitted", None)])


def test_once_the_deadline_is_over_the_officer_closes_the_step() -> None:
    over = datetime.fromisoformat("2024-11-30T00:00+07:00")
    assert turns(started(), at=over - timedelta(microseconds=1))[0] == "declare"
    assert turns(started(), at=over)[0] == "close-self-assessment"


def test_an_agency_that_the_step_closed_without_stands_at_review_too() -> None:
    story = started()
    story.close_without("a-01", "a-02")
    assert progress(story).step == "review"


def test_a_reopened_self_assessment_is_the_agencys_turn_again_until_its_new_last_time() -> None:
    story = submitted()
    story.close_without("a-02")
    until = story.now + timedelta(days=60)
    reopened = SelfAssessmentReopened(agency="a-01", until=until, reason_code="as-declared")
    story.tell(SUBMISSION, reopened, stream="self-assessment/a-01")
    shown = progress(story, at=story.now + timedelta(days=59))
    assert (shown.step, shown.turns[0].action, shown.turns[0].until) == ("self-assessment", "submit", until)
    assert progress(story, "a-02").step == "review"


def test_nothing_is_waited_for_of_a_withdrawn_agency() -> None:
    story = started()
    story.tell(SUBMISSION, AgencyWithdrawn(agency="a-01", decision="381/QĐ-BTC", dated=date(2024, 11, 20)))
    shown = progress(story)
    assert (shown.step, shown.blocks, shown.turns) == (None, (), ())
    assert shown.fields["1"].items == 2


def test_a_submitted_file_waits_for_appraisers_of_each_field_that_is_appraised() -> None:
    story = submitted()
    assert (progress(story).step, codes(progress(story))) == (
        "review", [("appraiser-missing", "1"), ("appraiser-missing", "2")]
    )  # fmt: skip
    assert turns(story)[0] == "assign-appraisers"
    story.assign("0b" * 16, "central", "1")
    assert codes(progress(story)) == [("appraiser-missing", "2")]


def test_the_survey_runs_beside_the_appraisal() -> None:
    story = appraising()
    closes = story.states.survey.campaigns["c"].opened.closes
    assert (progress(story).step, turns(story)) == ("survey", ["appraise", "collect-ballots"])
    assert progress(story).turns[1].until == closes
    assert turns(story, at=closes) == ["appraise", "complete-survey"]
    story.complete()
    assert turns(story) == ["appraise", "import-study"]
    story.study("a-01", item_3_2="1")
    assert (progress(story).step, turns(story)) == ("appraisal", ["appraise"])


def test_a_flagged_item_is_the_agencys_turn_until_it_answers_or_the_time_ends() -> None:
    story = appraising()
    until = story.now + timedelta(days=3)
    request = ExplanationRequested(agency="a-01", item="2.1", until=until, reason_code="evidence-missing")
    first, second = story.tell(APPRAISAL, request), story.tell(APPRAISAL, request)
    explain = progress(story).turns[0]
    assert (explain.action, explain.until) == ("explain", until)
    assert explain.route == f"PUT /periods/{PERIOD}/agencies/a-01/items/2.1/explanation"
    assert (progress(story).fields["2"].flagged, progress(story).fields["2"].answered) == (1, 0)
    story.tell(SUBMISSION, ExplanationGiven(agency="a-01", item="2.1", request=first.position))
    assert progress(story).fields["2"].answered == 0
    story.tell(SUBMISSION, ExplanationGiven(agency="a-01", item="2.1", request=second.position))
    assert (turns(story)[0], progress(story).fields["2"].answered) == ("appraise", 1)


def test_a_request_that_lapsed_was_not_answered() -> None:
    story = appraising()
    request = ExplanationRequested(agency="a-01", item="2.1", until=story.now, reason_code="evidence-missing")
    asked = story.tell(APPRAISAL, request)
    story.tell(SUBMISSION, ExplanationClosed(agency="a-01", item="2.1", request=asked.position))
    assert (turns(story)[0], progress(story).fields["2"].answered) == ("appraise", 0)


def test_a_wholly_appraised_agency_is_closed_by_the_officer() -> None:
    story = appraising()
    for item in (*SELF_ASSESSED, "2.2"):
        story.appraise("a-01", item, "1")
    assert turns(story)[0] == "close-appraisal"
    story.close("a-01")
    assert turns(story) == ["collect-ballots"]


def test_who_has_nothing_of_its_own_to_do_waits_for_what_the_period_needs_next() -> None:
    story = whole_story()
    assert (progress(story).step, turns(story)) == ("consolidation", ["consolidate"])
    story.adjust("a-01", "2.1", "1")
    assert (progress(story).step, turns(story)) == ("appraisal", ["finalise"])


def test_the_council_is_seated_before_the_appraisal_can_be_final() -> None:
    assert [turn.action for turn in period_turns(Index(), situation(started()))] == ["seat-council"]


def test_another_person_approves_then_the_officer_publishes_and_nothing_is_left_to_do() -> None:
    story = whole_story()
    result = replay(story.logs, story.heads)
    done = {"formula": result.formula, "heads": dict(result.heads), "digest": result.digest}
    decision: dict[str, Any] = {"decision": "1", "dated": "2025-01-15"}
    state = index.evolve(Index(started=True), ResultConsolidated.model_validate({"by": OFFICER, **done}))
    assert (progress(story, state=state).step, turns(story, state=state)) == ("consolidation", ["approve-result"])
    state = index.evolve(state, ResultApproved.model_validate({"digest": result.digest, **decision}))
    assert (progress(story, state=state).step, turns(story, state=state)) == ("publication", ["publish"])
    parts = {"period": PERIOD, "count": 0, "first": 0, "parts_digest": "0" * 64}
    state = index.evolve(state, IndexPublished.model_validate(done | decision | parts))
    shown = progress(story, state=state)
    assert (shown.step, shown.blocks, shown.turns) == (None, (), ())
    assert period_blocks(state, situation(story), 99) == []


def test_a_result_finalised_anew_is_consolidated_anew() -> None:
    story = whole_story()
    result = replay(story.logs, story.heads)
    state = Index(
        consolidated=ResultConsolidated(
            by=OFFICER, formula=result.formula, heads=dict(result.heads), digest=result.digest
        )
    )
    story.adjust("a-01", "2.1", "1")
    story.finalise(["a-01", "a-02"])
    assert turns(story, state=state) == ["consolidate"]


def test_counts_are_by_field() -> None:
    story = appraising()
    story.appraise("a-01", "2.1", "1")
    story.adjust("a-01", "2.1", "2")
    shown = progress(story)
    assert shown.fields["1"] == Counts(items=2, to_declare=2, declared=2, proved=2, submitted=2, to_appraise=2)
    assert shown.fields["2"] == Counts(2, 1, 1, 1, 1, to_appraise=2, appraised=1, adjusted=1)
    assert shown.fields["3"] == Counts(items=2)
    assert Counts(1, flagged=2).plus(Counts(2, answered=1)) == Counts(3, flagged=2, answered=1)


def test_from_the_survey_on_the_blocks_are_what_the_refusal_of_a_publication_names() -> None:
    story = appraising()
    story.submit("a-02")
    story.open_appraisal("a-02")
    on, state = situation(story, archived={}), Index()
    agencies = [block for agency in ("a-01", "a-02") for block in agency_progress(state, on, agency).blocks]
    refused = [*index.obstacles(on), *index.publication_obstacles(state, on, 1)]
    assert sorted([*agencies, *period_blocks(state, on, 1)], key=str) == sorted(refused, key=str)


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_each_command_and_route_exists_and_is_for_the_role_named(action: Action, tmp_path: Path) -> None:
    roles = routes_of(action.service, tmp_path)
    path = action.path.replace("{campaign}", "{name}")
    assert action.role in roles[f"{action.method} {path}"]
    assert action.step in {step.name for step in STEPS}
    if action.command:
        assert " ".join(action.command.split()[1:3]) in commands()
