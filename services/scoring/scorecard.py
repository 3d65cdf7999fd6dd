"""The scorecards of a period: folds of its submission, appraisal and survey logs, and the values of each item.

Each log is folded by itself and the states meet only when values are read, so the order in which entries of different
logs arrive cannot matter. No erasable entry is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from services.scoring.filed import Assessed, Drafts, SubmissionState, said
from shared import returns
from shared.events import Entry, Event
from shared.events.appraisal import (
    AgencyAppraised,
    AgencyOpened,
    AppraisalFinalised,
    AppraiserAssigned,
    CouncilAdjusted,
    CouncilSeated,
    ExplanationRequested,
    ItemAppraised,
    MonitorAssigned,
)
from shared.events.submission import (
    AgenciesAdded,
    AgencyJoined,
    AgencyRenamed,
    AgencyWithdrawn,
    EvidenceUploaded,
    EvidenceWithdrawn,
    ExplanationClosed,
    ExplanationGiven,
    NotApplicableClaimed,
    PeriodOpened,
    PeriodStarted,
    PointsDeclared,
    ReopeningClosed,
    RubricFieldSet,
    RubricSet,
    SelfAssessmentApproved,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from shared.events.survey import (
    CampaignOpened,
    FormSet,
    ResponsesRecorded,
    StudyImported,
    SurveyCompleted,
    SurveyNotHeld,
    SurveyStarted,
    TooFewRecorded,
)
from shared.period import Period
from shared.returns import Returns
from shared.rubric import LeafValue, Mode, PartName, survey_points

SCORED: Final = ("submission", "appraisal", "survey")
"""The services whose logs a score is computed from, in the order of `States`."""


def _tags(*events: type[Event]) -> frozenset[str]:
    return frozenset(event.type for event in events)


RELEVANT: Final[Mapping[str, frozenset[str]]] = {
    "submission": _tags(
        PeriodOpened,
        RubricSet,
        AgenciesAdded,
        AgencyJoined,
        AgencyRenamed,
        AgencyWithdrawn,
        PeriodStarted,
        PointsDeclared,
        NotApplicableClaimed,
        SelfAssessmentSubmitted,
        SelfAssessmentClosed,
        SelfAssessmentReopened,
        ReopeningClosed,
    ),
    "appraisal": _tags(ItemAppraised, CouncilAdjusted),
    "survey": _tags(CampaignOpened, ResponsesRecorded, TooFewRecorded, StudyImported, SurveyCompleted, SurveyNotHeld),
}
"""The types, by service, that can move a score: after a finalising, one of them needs a new finalising."""

READ: Final[Mapping[str, frozenset[str]]] = {
    "submission": RELEVANT["submission"]
    | _tags(
        RubricFieldSet,
        EvidenceUploaded,
        EvidenceWithdrawn,
        ExplanationGiven,
        ExplanationClosed,
        SelfAssessmentApproved,
    ),
    "appraisal": RELEVANT["appraisal"]
    | _tags(
        AppraiserAssigned,
        MonitorAssigned,
        CouncilSeated,
        AgencyOpened,
        ExplanationRequested,
        AgencyAppraised,
        AppraisalFinalised,
    ),
    "survey": RELEVANT["survey"] | _tags(SurveyStarted, FormSet),
}
"""The types, by service, that the folds read; none of them is erasable."""


class Settled(NamedTuple):
    """What an appraiser or the council settled on an item last."""

    position: int
    data: str | None
    points: Decimal | None
    not_applicable: bool
    reason_code: str


class Request(NamedTuple):
    """A request for explanation; the agency answers before `until`."""

    item: str
    until: datetime


class Finalised(NamedTuple):
    """The finalising of a period's appraisal: its position, and the sizes of the logs that it had seen."""

    position: int
    seen: Mapping[str, int]


@dataclass
class Judged:
    """One agency's appraisal. `requests`: for explanation, by position."""

    opened: bool = False
    closed: bool = False
    appraised: dict[str, Settled] = field(default_factory=dict)
    council: dict[str, Settled] = field(default_factory=dict)
    requests: dict[int, Request] = field(default_factory=dict)

    def copy(self) -> "Judged":
        return Judged(self.opened, self.closed, dict(self.appraised), dict(self.council), dict(self.requests))


Assignments = Mapping[tuple[str, str], frozenset[str]]


@dataclass(frozen=True)
class AppraisalState:
    """What a prefix of a period's appraisal log settled.

    `assigned` and `monitored`: the fields that an actor has in a group, by (actor, group).
    """

    agencies: Mapping[str, Judged] = field(default_factory=dict)
    assigned: Assignments = field(default_factory=dict)
    monitored: Assignments = field(default_factory=dict)
    council: CouncilSeated | None = None
    finalised: Finalised | None = None

    def fold(self, entries: Sequence[Entry]) -> "AppraisalState":
        """The state after more entries of the log; this one stays as it is."""
        state, drafts = self, Drafts(self.agencies, Judged)
        for entry in entries:
            match event := said(entry):
                case ItemAppraised() | CouncilAdjusted():
                    draft = drafts.of(event.agency)
                    settled = Settled(entry.position, event.data, event.points, event.not_applicable, event.reason_code)
                    by = draft.council if isinstance(event, CouncilAdjusted) else draft.appraised
                    by[event.item] = settled
                case ExplanationRequested():
                    drafts.of(event.agency).requests[entry.position] = Request(event.item, event.until)
                case AgencyOpened():
                    draft = drafts.of(event.agency)
                    draft.opened, draft.closed = True, False
                case AgencyAppraised():
                    drafts.of(event.agency).closed = True
                case _:
                    state = state._evolve(entry, event)
        return replace(state, agencies=drafts.all)

    def _evolve(self, entry: Entry, event: Event) -> "AppraisalState":
        match event:
            case AppraiserAssigned():
                key = (event.appraiser, event.group)
                return replace(self, assigned={**self.assigned, key: frozenset(event.fields)})
            case MonitorAssigned():
                key = (event.monitor, event.group)
                return replace(self, monitored={**self.monitored, key: frozenset(event.fields)})
            case CouncilSeated():
                return replace(self, council=event)
            case AppraisalFinalised():
                return replace(self, finalised=Finalised(entry.position, entry.seen))
            case _:
                return self

    def fields_of(self, actor: str, group: str) -> frozenset[str]:
        """The fields of a group's rubric that an appraiser or monitor has."""
        nothing = frozenset[str]()
        return self.assigned.get((actor, group), nothing) | self.monitored.get((actor, group), nothing)


State = SubmissionState | AppraisalState | Returns


class Folded(NamedTuple):
    """One log's state after a prefix of it; `moved`: the position of the last entry there that can move a score."""

    state: State
    moved: int = -1

    def fold(self, service: str, entries: Sequence[Entry]) -> "Folded":
        """After more entries of the log; this one stays as it is."""
        read, relevant, state = READ[service], RELEVANT[service], self.state
        told = [entry for entry in entries if entry.type in read]
        moved = max((entry.position for entry in entries if entry.type in relevant), default=self.moved)
        if isinstance(state, Returns):
            return Folded(returns.fold(state, told), moved)
        return Folded(state.fold(told), moved)


def before(service: str) -> Folded:
    """A log of that service before its first entry."""
    states: Mapping[str, State] = {
        "submission": SubmissionState(),
        "appraisal": AppraisalState(),
        "survey": Returns(),
    }
    return Folded(states[service])


class States(NamedTuple):
    """A period's three logs, each folded to some size; `moved` as in `Folded`, by service."""

    submission: SubmissionState
    appraisal: AppraisalState
    survey: Returns
    moved: Mapping[str, int]

    @classmethod
    def of(cls, folded: Mapping[str, Folded]) -> "States":
        """Put together by service; a log that is not named is empty."""
        logs = {service: folded.get(service, before(service)) for service in SCORED}
        submission, appraisal, survey = (logs[service].state for service in SCORED)
        assert isinstance(submission, SubmissionState)
        assert isinstance(appraisal, AppraisalState)
        assert isinstance(survey, Returns)
        return cls(submission, appraisal, survey, {service: each.moved for service, each in logs.items()})

    @property
    def period(self) -> Period:
        """The period as its submission log states it."""
        return self.submission.period


def leaves(states: States, agency: str) -> dict[str, LeafValue]:
    """The values of an agency's items; an item that is not named has none yet.

    The self-assessed points of an agency that the step closed without do not count: nobody stands by them. A survey's
    points are those of the ballots recorded so far; that there were too few is settled only when it is complete.
    """
    declared = states.submission.agencies.get(agency, Assessed())
    judged = states.appraisal.agencies.get(agency, Judged())
    stands = self_assessed(states, agency)
    values = survey_leaves(states, agency)
    for code, leaf in states.period.rubric_of(agency).leaves.items():
        if leaf.mode is Mode.SURVEY:
            continue
        said, appraised, council = declared.items.get(code), judged.appraised.get(code), judged.council.get(code)
        if said is None and appraised is None and council is None:
            continue
        settled = council or appraised
        values[code] = LeafValue(
            self_assessed=said.points if said is not None and stands else None,
            appraised=None if appraised is None else appraised.points,
            council=None if council is None else council.points,
            not_applicable=settled is not None and settled.not_applicable,
        )
    return values


def survey_leaves(states: States, agency: str) -> dict[str, LeafValue]:
    """The values of an agency's surveyed items that have points or that leave the maximum."""
    rubric, survey = states.period.rubric_of(agency), states.survey
    tallies, study = survey.tallies(agency), survey.studies.get(agency, {})
    missing = {leaf.code for leaf in survey.missing(agency, rubric)}
    values = {}
    for leaf in returns.surveyed(rubric):
        result = survey_points(leaf, tallies, study.get(leaf.code))
        if result.points is not None:
            values[leaf.code] = LeafValue(appraised=result.points)
        elif not result.applicable and leaf.code not in missing:
            values[leaf.code] = LeafValue(not_applicable=True)
    return values


def self_assessed(states: States, agency: str) -> bool:
    """False once the step of self-assessment closed without this agency's; a reopening has the last word."""
    late = states.submission.agencies.get(agency, Assessed()).late
    if late is not None:
        return late
    closed = states.period.closed
    return closed is None or agency not in closed.not_submitted


def not_held(states: States) -> tuple[PartName, ...]:
    """The parts that were not held in the period."""
    return (PartName.SURVEY,) if states.survey.not_held else ()


def open_requests(states: States, agency: str, at: datetime) -> list[Request]:
    """The requests for explanation that are unanswered and whose time has not ended."""
    judged = states.appraisal.agencies.get(agency, Judged())
    answered = states.submission.agencies.get(agency, Assessed()).answered
    return [
        request
        for position, request in sorted(judged.requests.items())
        if position not in answered and request.until > at
    ]
