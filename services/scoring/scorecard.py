"""The scorecards of a period: folds of its submission, appraisal and survey logs, and the values of each item.

Each log is folded by itself and the states meet only when values are read, so the order in which entries of different
logs arrive cannot matter. No erasable entry is read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, Generic, NamedTuple, TypeVar

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
    EvidenceUploaded,
    ExplanationClosed,
    ExplanationGiven,
    NotApplicableClaimed,
    PeriodOpened,
    PeriodStarted,
    PointsDeclared,
    RubricFieldSet,
    RubricSet,
    SelfAssessmentApproved,
    SelfAssessmentClosed,
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
        PeriodStarted,
        PointsDeclared,
        NotApplicableClaimed,
        SelfAssessmentSubmitted,
        SelfAssessmentClosed,
    ),
    "appraisal": _tags(ItemAppraised, CouncilAdjusted),
    "survey": _tags(CampaignOpened, ResponsesRecorded, TooFewRecorded, StudyImported, SurveyCompleted, SurveyNotHeld),
}
"""The types, by service, that can move a score: after a finalising, one of them needs a new finalising."""

READ: Final[Mapping[str, frozenset[str]]] = {
    "submission": RELEVANT["submission"]
    | _tags(RubricFieldSet, EvidenceUploaded, ExplanationGiven, ExplanationClosed, SelfAssessmentApproved),
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


class Declared(NamedTuple):
    """What an agency declared on an item last; `claimed`: that the item does not apply to it."""

    position: int
    data: str | None
    points: Decimal | None
    claimed: bool = False


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
class Assessed:
    """One agency's declarations. `answered`: the requests, by position in the appraisal log, answered or closed;
    `lapsed`: those of them that closed without an answer. `proved`: the items with evidence or an explanation.
    `approved`: the head has approved what stands."""

    items: dict[str, Declared] = field(default_factory=dict)
    submitted: int | None = None
    answered: set[int] = field(default_factory=set)
    lapsed: set[int] = field(default_factory=set)
    proved: set[str] = field(default_factory=set)
    approved: bool = False

    def copy(self) -> "Assessed":
        sets = (self.answered.copy(), self.lapsed.copy(), self.proved.copy())
        return Assessed(self.items.copy(), self.submitted, *sets, self.approved)

    def declare(self, item: str, declared: Declared) -> None:
        """Take a declaration; what the head approved before no longer stands, here and below."""
        self.items[item], self.approved = declared, False

    def prove(self, *items: str) -> None:
        """Take evidence or an explanation."""
        self.proved.update(items)
        self.approved = False


@dataclass(frozen=True)
class SubmissionState:
    """A period and what its agencies declared, after a prefix of its submission log."""

    period: Period = field(default_factory=Period)
    agencies: Mapping[str, Assessed] = field(default_factory=dict)

    def fold(self, entries: Sequence[Entry]) -> "SubmissionState":
        """The state after more entries of the log; this one stays as it is."""
        period, drafts = self.period, _Drafts(self.agencies, Assessed)
        for entry in entries:
            if entry.type not in READ["submission"]:
                continue
            match event := _said(entry):
                case PointsDeclared():
                    drafts.of(event.agency).declare(event.item, Declared(entry.position, event.data, event.points))
                case NotApplicableClaimed():
                    drafts.of(event.agency).declare(event.item, Declared(entry.position, None, None, claimed=True))
                case EvidenceUploaded():
                    drafts.of(event.agency).prove(*event.items)
                case ExplanationGiven(request=None):
                    drafts.of(event.agency).prove(event.item)
                case ExplanationGiven(request=int(request)):
                    drafts.of(event.agency).answered.add(request)
                case ExplanationClosed(request=request):
                    drafts.of(event.agency).answered.add(request)
                    drafts.of(event.agency).lapsed.add(request)
                case SelfAssessmentApproved():
                    drafts.of(event.agency).approved = True
                case SelfAssessmentSubmitted():
                    drafts.of(event.agency).submitted = entry.position
                case _:
                    period = period.evolve(event)
        return SubmissionState(period, drafts.all)


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
        state, drafts = self, _Drafts(self.agencies, Judged)
        for entry in entries:
            if entry.type not in READ["appraisal"]:
                continue
            match event := _said(entry):
                case ItemAppraised() | CouncilAdjusted():
                    draft = drafts.of(event.agency)
                    settled = Settled(entry.position, event.data, event.points, event.not_applicable, event.reason_code)
                    by = draft.council if isinstance(event, CouncilAdjusted) else draft.appraised
                    by[event.item] = settled
                case ExplanationRequested():
                    drafts.of(event.agency).requests[entry.position] = Request(event.item, event.until)
                case AgencyOpened():
                    drafts.of(event.agency).opened = True
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
        moved = max((entry.position for entry in entries if entry.type in relevant), default=self.moved)
        if isinstance(state, Returns):
            return Folded(returns.fold(state, [entry for entry in entries if entry.type in read]), moved)
        return Folded(state.fold(entries), moved)


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
    """False once the step of self-assessment closed without this agency's."""
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


A = TypeVar("A", Assessed, Judged)


class _Drafts(Generic[A]):
    """The agencies' states while a batch is folded: each is copied once, when the batch first changes it."""

    def __init__(self, agencies: Mapping[str, A], new: Callable[[], A]) -> None:
        self.all: dict[str, A] = dict(agencies)
        self._new: Callable[[], A] = new
        self._fresh: set[str] = set()

    def of(self, agency: str) -> A:
        """The agency's state, for the batch to change."""
        if agency not in self._fresh:
            self._fresh.add(agency)
            known = self.all.get(agency)
            self.all[agency] = self._new() if known is None else known.copy()
        return self.all[agency]


def _said(entry: Entry) -> Event:
    """The event of a score-bearing entry; ValueError where its data is gone, which no erasure can do."""
    if entry.event is None:
        raise ValueError(f"entry {entry.position} of {entry.log} bears on the score and has no data")
    return entry.event
