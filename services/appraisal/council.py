"""The period's appraisal as a whole: who appraises and follows what, who sits on the council, and the finalising."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.appraisal.appraisal import Appraisal, Case, open_items
from services.appraisal.appraisal import evolve as evolve_agency
from shared.decider import Decider, Rejected
from shared.events import Event
from shared.events.appraisal import (
    AgencyAppraised,
    AgencyOpened,
    AppraisalFinalised,
    AppraisalStarted,
    AppraiserAssigned,
    CouncilAdjusted,
    CouncilSeated,
    ExplanationRequested,
    ItemAppraised,
    MonitorAssigned,
)
from shared.period import Period

STREAM = "period"


@dataclass(frozen=True)
class Work:
    """All of a period's appraisal: its agencies and its council."""

    started: bool = False
    agencies: Mapping[str, Appraisal] = field(default_factory=dict)
    council: CouncilSeated | None = None


@dataclass(frozen=True)
class Start:
    """Begin the period's appraisal log, in reaction to the period's opening."""

    period: str
    of: int


@dataclass(frozen=True)
class AssignAppraiser:
    """Give an appraiser fields of a group's rubric; none takes them away."""

    period: Period
    published: bool
    appraiser: str
    group: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class AssignMonitor:
    """Give a following body fields to follow."""

    period: Period
    published: bool
    monitor: str
    group: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class SeatCouncil:
    """Name the council's members and its chair."""

    period: Period
    published: bool
    chair: str
    members: tuple[str, ...]


@dataclass(frozen=True)
class Finalise:
    """Declare the appraisal final. `cases` has each agency of the period, `surveyed` those whose survey is complete."""

    period: Period
    published: bool
    cases: Mapping[str, Case]
    surveyed: frozenset[str]


Command = Start | AssignAppraiser | AssignMonitor | SeatCouncil | Finalise


def decide(state: Work, command: Command) -> Sequence[Event]:
    """The rules of seats, assignments and finalising; Rejected with the codes in the service's table."""
    if isinstance(command, Start):
        return [] if state.started else [AppraisalStarted(period=command.period, of=command.of)]
    command.period.the_opened()
    if command.published:
        raise Rejected("period-published", "the period's index is published; nothing that a score rests on may change")
    match command:
        case AssignAppraiser():
            _known_fields(command)
            return [AppraiserAssigned(appraiser=command.appraiser, group=command.group, fields=command.fields)]
        case AssignMonitor():
            _known_fields(command)
            return [MonitorAssigned(monitor=command.monitor, group=command.group, fields=command.fields)]
        case SeatCouncil():
            return _seat(command)
        case Finalise():
            return _finalise(state, command)


def _known_fields(command: AssignAppraiser | AssignMonitor) -> None:
    rubric = command.period.rubrics.get(command.group)
    if rubric is None:
        raise Rejected("group-unknown", f"the period has no group {command.group}", "group")
    known = {each.code for each in rubric.fields}
    for code in command.fields:
        if code not in known:
            raise Rejected("field-unknown", f"the group's rubric has no field {code}", "fields")
    if len(set(command.fields)) < len(command.fields):
        raise Rejected("items-invalid", "name each field once", "fields")


def _seat(command: SeatCouncil) -> list[Event]:
    members, size = command.members, command.period.the_opened().council.members
    if len(set(members)) != len(members) or len(members) != size:
        raise Rejected("council-invalid", f"the council has {size} members, each named once", "members")
    if command.chair not in members:
        raise Rejected("council-invalid", "the chair is one of the members", "chair")
    return [CouncilSeated(chair=command.chair, members=members)]


def _finalise(state: Work, command: Finalise) -> list[Event]:
    faults: list[dict[str, str]] = []
    if state.council is None:
        faults.append({"item": "council", "code": "council-missing", "detail": "no council is seated"})
    for agency, case in command.cases.items():
        appraisal = state.agencies.get(agency, Appraisal())
        if not appraisal.closed:
            faults.append({"item": agency, "code": "agency-open", "detail": "its appraisal is not closed"})
        else:
            faults += [{**fault, "item": f"{agency} {fault['item']}"} for fault in open_items(appraisal, case)]
        if agency not in command.surveyed:
            faults.append({"item": agency, "code": "survey-open", "detail": "its survey is not complete"})
    if faults:
        raise Rejected("period-open", f"{len(faults)} things are open", "period", faults)
    return [AppraisalFinalised(agencies=tuple(sorted(command.cases)))]


def evolve(state: Work, event: Event) -> Work:
    """The work after one more event of any stream of the log."""
    match event:
        case AppraisalStarted():
            return replace(state, started=True)
        case CouncilSeated():
            return replace(state, council=event)
        case AgencyOpened() | ItemAppraised() | CouncilAdjusted() | ExplanationRequested() | AgencyAppraised():
            appraisal = evolve_agency(state.agencies.get(event.agency, Appraisal()), event)
            return replace(state, agencies={**state.agencies, event.agency: appraisal})
        case _:
            return state


DECIDER: Decider[Work, Command, Event] = Decider(Work(), decide, evolve)
