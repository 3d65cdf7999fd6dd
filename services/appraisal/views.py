"""What the appraisal service reads: what agencies filed, and its own log as officers and agencies look at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from services.appraisal.case import Declared
from services.appraisal.record import Record
from shared.events import Entry, Event, instant, plain
from shared.events.appraisal import (
    AdjustmentReasoned,
    AgencyAppraised,
    AgencyOpened,
    AppraisalFinalised,
    AppraisalReasoned,
    AppraiserAssigned,
    CouncilAdjusted,
    CouncilSeated,
    ExplanationAsked,
    ExplanationRequested,
    ItemAppraised,
    MonitorAssigned,
)
from shared.events.submission import (
    ExplanationClosed,
    ExplanationGiven,
    NotApplicableClaimed,
    PointsDeclared,
    ReopeningClosed,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from shared.period import Period


@dataclass(frozen=True)
class Filing:
    """What one agency filed: its newest declarations, and how many requests for explanation of an item are settled.

    `reopened`: its self-assessment is reopened, and neither submitted again nor closed yet.
    """

    declared: Mapping[str, Declared] = field(default_factory=dict)
    answered: Mapping[str, int] = field(default_factory=dict)
    settled: frozenset[int] = frozenset()
    reopened: bool = False


@dataclass(frozen=True)
class Filed:
    """A period's submission log as the appraisal reads it."""

    period: Period = field(default_factory=Period)
    agencies: Mapping[str, Filing] = field(default_factory=dict)

    def of(self, agency: str) -> Filing:
        """What an agency filed; an empty filing where it filed nothing."""
        return self.agencies.get(agency, Filing())


def fold_filed(filed: Filed, entries: Sequence[Entry]) -> Filed:
    """What is filed after more entries of the submission log."""
    period, agencies = filed.period, dict(filed.agencies)
    for entry in entries:
        event = entry.event
        if event is None:
            continue
        period = period.evolve(event)
        agency = entry.stream.removeprefix("self-assessment/")
        if agency != entry.stream:
            agencies[agency] = _filed(agencies.get(agency, Filing()), entry.position, event)
    return Filed(period, agencies)


def _filed(filing: Filing, position: int, event: Event) -> Filing:
    match event:
        case PointsDeclared():
            return replace(
                filing,
                declared={**filing.declared, event.item: Declared(position, event.data, event.estimated is True)},
            )
        case NotApplicableClaimed():
            return replace(filing, declared={**filing.declared, event.item: Declared(position, None)})
        case ExplanationGiven() | ExplanationClosed() if event.request is not None:
            answered = {**filing.answered, event.item: filing.answered.get(event.item, 0) + 1}
            return replace(filing, answered=answered, settled=filing.settled | {event.request})
        case SelfAssessmentReopened():
            return replace(filing, reopened=True)
        case SelfAssessmentSubmitted() | ReopeningClosed():
            return replace(filing, reopened=False)
        case _:
            return filing


@dataclass(frozen=True)
class Line:
    """One decision on an item, with the words that were given beside it, if they are not erased.

    `revision`: which of the item's appraisals it is; `round`: which of the requests for explanation; both from 1.
    """

    position: int
    time: str
    actor: str
    what: str
    item: str
    data: str | None
    points: Decimal | None
    not_applicable: bool
    reason_code: str
    judged: int | None = None
    resolution: str | None = None
    tally: Mapping[str, int] | None = None
    until: str | None = None
    words: str | None = None
    revision: int | None = None
    round: int | None = None

    def json(self, settled: frozenset[int] = frozenset()) -> dict[str, Any]:
        """As an answer shows it; `settled`: the requests for explanation that are answered or closed."""
        shown = {name: value for name, value in self.__dict__.items() if value is not None}
        shown |= {} if self.points is None else {"points": plain(self.points)}
        return shown if self.round is None else {**shown, "settled": self.position in settled}


@dataclass(frozen=True)
class Appraised:
    """A period's appraisal log as people look at it."""

    lines: Mapping[str, tuple[Line, ...]] = field(default_factory=dict)
    opened: Mapping[str, bool] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    appraisers: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    monitors: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    council: CouncilSeated | None = None
    finalised: int | None = None
    record: Record = field(default_factory=Record)

    def fields_of(self, actor: str, group: str) -> frozenset[str]:
        """The fields of a group that an appraiser or monitor has."""
        return frozenset((*self.appraisers.get((actor, group), ()), *self.monitors.get((actor, group), ())))


def fold_appraised(appraised: Appraised, entries: Sequence[Entry]) -> Appraised:
    """The appraisal after more entries of its own log."""
    for entry in entries:
        if entry.event is not None:
            appraised = _appraised(appraised, entry, entry.event)
            record = appraised.record.evolve(entry, entry.event)
            appraised = appraised if record is appraised.record else replace(appraised, record=record)
    return appraised


def _appraised(state: Appraised, entry: Entry, event: Event) -> Appraised:
    match event:
        case AppraiserAssigned():
            return replace(state, appraisers={**state.appraisers, (event.appraiser, event.group): event.fields})
        case MonitorAssigned():
            return replace(state, monitors={**state.monitors, (event.monitor, event.group): event.fields})
        case CouncilSeated():
            return replace(state, council=event)
        case AgencyOpened():
            opened = {**state.opened, event.agency: event.submitted}
            return replace(state, opened=opened, closed=state.closed - {event.agency})
        case AgencyAppraised():
            return replace(state, closed=state.closed | {event.agency})
        case AppraisalFinalised():
            return replace(state, finalised=entry.position)
        case ItemAppraised() | CouncilAdjusted() | ExplanationRequested():
            before = state.lines.get(event.agency, ())
            own = (*before, _line(entry, event, before))
            return replace(state, lines={**state.lines, event.agency: own})
        case AppraisalReasoned() | AdjustmentReasoned():
            return _worded(state, event.agency, event.of, event.reason)
        case ExplanationAsked():
            return _worded(state, event.agency, event.of, event.question)
        case _:
            return state


def _line(
    entry: Entry, event: ItemAppraised | CouncilAdjusted | ExplanationRequested, before: tuple[Line, ...]
) -> Line:
    what = entry.type.split(".")[1]
    nth = 1 + sum(line.item == event.item and line.what == what for line in before)
    line = Line(
        entry.position, entry.header["time"], entry.actor, what, event.item, None, None, False, event.reason_code
    )
    match event:
        case ExplanationRequested():
            return replace(line, until=instant(event.until), round=nth)
        case ItemAppraised():
            line = replace(line, judged=event.judged, revision=nth)
        case CouncilAdjusted():
            line = replace(line, resolution=event.resolution, tally=event.tally.model_dump())
    return replace(line, data=event.data, points=event.points, not_applicable=event.not_applicable)


def _worded(state: Appraised, agency: str, of: int, words: str) -> Appraised:
    lines = tuple(replace(line, words=words) if line.position == of else line for line in state.lines.get(agency, ()))
    return replace(state, lines={**state.lines, agency: lines})
