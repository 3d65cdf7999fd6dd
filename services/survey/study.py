"""What stands instead of ballots: an existing study's points for an agency, or the decision that no survey is held."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from shared.decider import Rejected
from shared.events import Event
from shared.events.survey import StudyImported, SurveyNotHeld
from shared.period import Period
from shared.returns import Returns, balloted, surveyed
from shared.rubric import Rubric, RubricError, check_points
from shared.rubric.rules import Imported


@dataclass(frozen=True)
class ImportStudy:
    """Let an existing study give an agency's points of the surveyed items."""

    agency: str
    points: Mapping[str, Decimal]
    document: str
    dated: date
    source: str
    period: Period
    published: bool


@dataclass(frozen=True)
class HoldNoSurvey:
    """Say by a decision that the period has no survey, though its rubrics have surveyed items."""

    decision: str
    dated: date
    published: bool


def check_held(state: Returns) -> None:
    """Refuse (`survey-not-held`) what a period without a survey has no place for."""
    if state.not_held:
        raise Rejected("survey-not-held", "no survey is held in this period", "period")


def not_held(state: Returns, command: HoldNoSurvey) -> list[Event]:
    """The event that no survey is held; Rejected once one has begun, by a campaign or by a study."""
    if not state.started:
        raise Rejected("period-unknown", "the survey's log has not begun", "period")
    check_held(state)
    if state.campaigns:
        raise Rejected("campaign-exists", f"the survey has begun with campaign {min(state.campaigns)}", "period")
    if state.studies:
        raise Rejected("study-imported", f"a study is imported for {min(state.studies)}", "period")
    return [SurveyNotHeld(of=state.of, decision=command.decision, dated=command.dated)]


def imported(state: Returns, command: ImportStudy) -> list[Event]:
    """The events of an imported study; Rejected as the service's table of codes says."""
    check_held(state)
    agency = command.period.the_active(command.agency)
    rubric = command.period.rubric_of(command.agency)
    leaves = {leaf.code: leaf for leaf in surveyed(rubric)}
    if not leaves:
        raise Rejected("group-has-no-survey", f"no survey scores an item of the group {agency.group}", "agency")
    faults: list[RubricError] = []
    for code, points in command.points.items():
        try:
            if code not in leaves:
                rubric.leaf(code)
                raise RubricError("item-not-surveyed", "no survey scores this item", code)
            check_points(leaves[code], points)
        except RubricError as fault:
            faults.append(fault)
    if faults:
        errors = [{"item": fault.field or "", "code": fault.code, "detail": fault.message} for fault in faults]
        raise Rejected(faults[0].code, faults[0].message, f"points.{faults[0].field}", errors)
    _check_whole(state, command, rubric)
    return [
        StudyImported(
            agency=command.agency,
            points=dict(sorted(command.points.items())),
            document=command.document,
            dated=command.dated,
            source=command.source,
        )
    ]


def _check_whole(state: Returns, command: ImportStudy, rubric: Rubric) -> None:
    """A study gives all surveyed items, or, beside ballots, all that only a study scores."""
    instead = not command.points or any(leaf.code in command.points for leaf in balloted(rubric))
    needed = [leaf for leaf in surveyed(rubric) if instead or isinstance(leaf.rule, Imported)]
    if missing := [leaf.code for leaf in needed if leaf.code not in command.points]:
        errors = [{"item": code, "code": "study-incomplete", "detail": "no points are given"} for code in missing]
        raise Rejected("study-incomplete", f"points lack for {', '.join(missing)}", "points", errors)
    if not instead:
        return
    campaign = state.campaign_of(command.agency)
    if campaign is not None and campaign.completed:
        raise Rejected("campaign-completed", f"the ballots on {command.agency} are counted", "agency")
    if state.invited.get(command.agency):
        raise Rejected("invitations-issued", f"respondents are invited to vote on {command.agency}", "agency")
