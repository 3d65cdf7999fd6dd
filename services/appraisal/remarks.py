"""What is said beside the appraisal: remarks of following bodies, and conflicts of interest."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.appraisal.appraisal import evolve
from services.appraisal.case import Appraisal, Case, in_time
from shared.decider import Decider, Rejected
from shared.events import Event
from shared.events.appraisal import ConflictDeclared, ConflictWorded, RemarkMade, RemarkWorded


@dataclass(frozen=True)
class Remark:
    """Remark on an item, or on a field as a whole."""

    case: Case
    about: str
    remark: str


@dataclass(frozen=True)
class DeclareConflict:
    """Declare one's own conflict of interest with the agency; it is never taken back."""

    case: Case
    reason: str


Command = Remark | DeclareConflict


def decide(state: Appraisal, command: Command) -> Sequence[Event]:
    """The rules of remarks and conflicts; Rejected with the codes in the service's table."""
    match command:
        case Remark():
            return _remark(state, command)
        case DeclareConflict():
            return _conflict(state, command)


def _remark(state: Appraisal, command: Remark) -> list[Event]:
    case = command.case
    in_time(state, case)
    if not command.remark.strip():
        raise Rejected("reason-missing", "say what you remark", "remark")
    of = [
        each.code
        for each in case.rubric.fields
        if command.about == each.code or command.about in (leaf.code for leaf in each.leaves)
    ]
    if not of:
        raise Rejected("item-unknown", f"the rubric has no field or item {command.about}", "about")
    if of[0] not in state.chamber.monitored.get((case.actor, case.group), frozenset()):
        raise Rejected("field-not-assigned", f"you do not follow field {of[0]} of this group", "about")
    return [
        RemarkMade(agency=case.agency, about=command.about),
        RemarkWorded(agency=case.agency, about=command.about, of=case.position, remark=command.remark),
    ]


def _conflict(state: Appraisal, command: DeclareConflict) -> list[Event]:
    case = command.case
    if case.published:
        raise Rejected("period-published", "the period's index is published; nothing that a score rests on may change")
    if case.actor not in state.chamber.members and not state.fields.get((case.actor, case.group)):
        raise Rejected("field-not-assigned", "you neither appraise this group nor sit on the council", "agency")
    if not command.reason.strip():
        raise Rejected("reason-missing", "say what the conflict is", "reason")
    if case.actor in state.chamber.conflicts:
        return []
    return [
        ConflictDeclared(agency=case.agency, person=case.actor),
        ConflictWorded(agency=case.agency, of=case.position, reason=command.reason),
    ]


DECIDER: Decider[Appraisal, Command, Event] = Decider(Appraisal(), decide, evolve)
