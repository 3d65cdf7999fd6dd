"""The period's appraisal as a whole: assignments, the council's seats and sessions, the finalising."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from services.appraisal.appraisal import evolve as evolve_agency
from services.appraisal.appraisal import open_items
from services.appraisal.case import Appraisal, Case, carried
from services.appraisal.chamber import Chamber
from shared.decider import Decider, Rejected
from shared.events import Event
from shared.events.appraisal import (
    AdjustmentProposed,
    AgencyAppraised,
    AgencyOpened,
    AppraisalFinalised,
    AppraisalStarted,
    AppraiserAssigned,
    CouncilAdjusted,
    CouncilDecided,
    CouncilSeated,
    ExplanationRequested,
    ItemAppraised,
    MonitorAssigned,
    ProposalRejected,
    SeatsNamed,
    SessionClosed,
    SessionOpened,
    SessionWorded,
    Tally,
    VoteCast,
)
from shared.period import Period

STREAM = "period"


@dataclass(frozen=True)
class Work:
    """All of a period's appraisal: its agencies and its council.

    `decided`: whether the council has accepted the result, and no value was given after that.
    """

    started: bool = False
    agencies: Mapping[str, Appraisal] = field(default_factory=dict)
    council: CouncilSeated | None = None
    chamber: Chamber = field(default_factory=Chamber)
    decided: bool = False


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
    """Name the council: members, chair and deputy; `names`: name and position of members, as papers bear them."""

    period: Period
    published: bool
    chair: str
    members: tuple[str, ...]
    deputy: str | None = None
    position: int = 0
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenSession:
    """Call a session of the council. `actor` is the council's secretary, or who presides."""

    period: Period
    published: bool
    actor: str
    secretary: bool
    position: int
    session: str
    held_on: date
    in_writing: bool
    place: str


@dataclass(frozen=True)
class CloseSession:
    """End a session whose proposals are all decided, with its resolution and who was there."""

    period: Period
    published: bool
    actor: str
    secretary: bool
    session: str
    resolution: str
    present: tuple[str, ...]


@dataclass(frozen=True)
class AcceptResult:
    """Have the council accept the result of appraisal and survey. `cases` and `surveyed` as in `Finalise`."""

    period: Period
    published: bool
    actor: str
    session: str
    resolution: str
    dated: date
    tally: Tally
    cases: Mapping[str, Case]
    surveyed: frozenset[str]


@dataclass(frozen=True)
class Finalise:
    """Declare the appraisal final. `cases` has each agency of the period, `surveyed` those whose survey is complete."""

    period: Period
    published: bool
    cases: Mapping[str, Case]
    surveyed: frozenset[str]


Command = Start | AssignAppraiser | AssignMonitor | SeatCouncil | OpenSession | CloseSession | AcceptResult | Finalise


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
        case OpenSession():
            return _open_session(state, command)
        case CloseSession():
            return _close_session(state, command)
        case AcceptResult():
            return _accept(state, command)
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
    if command.deputy is not None and (command.deputy not in members or command.deputy == command.chair):
        raise Rejected("council-invalid", "the deputy is another one of the members", "deputy")
    seated = CouncilSeated(chair=command.chair, members=members, deputy=command.deputy)
    if not command.names:
        return [seated]
    if not set(command.names) <= set(members) or not all(name.strip() for name in command.names.values()):
        raise Rejected("council-invalid", "names are those of members", "names")
    return [seated, SeatsNamed(of=command.position, names=dict(command.names))]


def _open_session(state: Work, command: OpenSession) -> list[Event]:
    _may_call(state, command)
    if command.session in state.chamber.sessions:
        raise Rejected("session-known", f"there was a session {command.session} already", "session")
    if not command.place.strip():
        raise Rejected("reason-missing", "say where the session is held, or what it is about", "place")
    return [
        SessionOpened(session=command.session, held_on=command.held_on, in_writing=command.in_writing),
        SessionWorded(session=command.session, of=command.position, place=command.place),
    ]


def _close_session(state: Work, command: CloseSession) -> list[Event]:
    _may_call(state, command)
    session = state.chamber.the_session(command.session)
    present = set(command.present)
    if len(present) < len(command.present) or not present <= set(state.chamber.members):
        raise Rejected("council-invalid", "present are members of the council, each named once", "present")
    faults = [
        {"item": f"{agency} {proposal.item}", "code": "proposal-open", "detail": f"the proposal at {position} waits"}
        for agency, appraisal in sorted(state.agencies.items())
        for position, proposal in appraisal.chamber.proposals.items()
        if proposal.session == command.session and not proposal.decided
    ]
    if faults:
        raise Rejected("session-incomplete", f"{len(faults)} proposals are not decided", "session", faults)
    if session.in_writing and present:
        raise Rejected("council-invalid", "the members voted in writing: nobody was present", "present")
    if absent := _voted_there(state, command.session) - present:
        raise Rejected("council-invalid", f"{len(absent)} more voted as present", "present")
    return [SessionClosed(session=command.session, resolution=command.resolution, present=command.present)]


def _may_call(state: Work, command: OpenSession | CloseSession) -> None:
    if not command.secretary and not state.chamber.presides(command.actor):
        raise Rejected("not-the-chair", "sessions are called and ended by the officer, the chair or the deputy")


def _voted_there(state: Work, session: str) -> set[str]:
    """The members who voted in the session as present, and sit on the council now."""
    return {
        member
        for appraisal in state.agencies.values()
        for proposal in appraisal.chamber.proposals.values()
        if proposal.session == session
        for member, vote in proposal.votes.items()
        if not vote.in_writing and member in state.chamber.members
    }


def _accept(state: Work, command: AcceptResult) -> list[Event]:
    if not state.chamber.presides(command.actor):
        raise Rejected("not-the-chair", "only the seated chair of the council, or the deputy, enters its decision")
    state.chamber.the_session(command.session)
    carried(command.tally, command.period.the_opened().council)
    _nothing_open(_open_matters(state, command))
    decided = CouncilDecided(
        session=command.session, resolution=command.resolution, dated=command.dated, tally=command.tally
    )
    return [decided]


def _finalise(state: Work, command: Finalise) -> list[Event]:
    faults = _open_matters(state, command)
    if command.period.the_opened().council.decides_result and not state.decided:
        missing = "the council has not accepted the result as it stands"
        faults.append({"item": "council", "code": "council-decision-missing", "detail": missing})
    _nothing_open(faults)
    return [AppraisalFinalised(agencies=tuple(sorted(command.cases)))]


def _open_matters(state: Work, command: Finalise | AcceptResult) -> list[dict[str, str]]:
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
    return faults


def _nothing_open(faults: list[dict[str, str]]) -> None:
    if faults:
        raise Rejected("period-open", f"{len(faults)} things are open", "period", faults)


def evolve(state: Work, event: Event) -> Work:
    """The work after one more event of any stream of the log."""
    match event:
        case AppraisalStarted():
            return replace(state, started=True)
        case CouncilSeated():
            return replace(state, council=event, chamber=state.chamber.evolve(event))
        case SessionOpened() | SessionClosed():
            return replace(state, chamber=state.chamber.evolve(event))
        case CouncilDecided():
            return replace(state, decided=True)
        case AgencyOpened() | ItemAppraised() | CouncilAdjusted() | AgencyAppraised():
            return replace(_of_agency(state, event.agency, event), decided=False)
        case ExplanationRequested() | AdjustmentProposed() | VoteCast() | ProposalRejected():
            return _of_agency(state, event.agency, event)
        case _:
            return state


def _of_agency(state: Work, agency: str, event: Event) -> Work:
    appraisal = evolve_agency(state.agencies.get(agency, Appraisal()), event)
    return replace(state, agencies={**state.agencies, agency: appraisal})


DECIDER: Decider[Work, Command, Event] = Decider(Work(), decide, evolve)
