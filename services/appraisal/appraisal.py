"""The appraisal of one agency: each item recognised, corrected or refused, explained, fixed by the council, closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.appraisal.case import Appraisal, Case, Declared, Value, carried, in_time, reasoned, stated
from shared.decider import Decider, Rejected
from shared.events import Event
from shared.events.appraisal import (
    AdjustmentReasoned,
    AgencyAppraised,
    AgencyOpened,
    AppraisalReasoned,
    AppraiserAssigned,
    CouncilAdjusted,
    ExplanationAsked,
    ExplanationRequested,
    ItemAppraised,
    Tally,
)
from shared.rubric import Leaf, Mode, appraise


@dataclass(frozen=True)
class Open:
    """Open the agency's appraisal, in reaction to its submission or to the closing without one.

    A later submission, after a reopening, opens it again.
    """

    agency: str
    submitted: bool
    of: int


@dataclass(frozen=True)
class Recognise:
    """Recognise items as declared: those named, or all of a field that have no value yet.

    `replaces`: the revision of an item's appraisal that the appraiser has seen; 0 for none.
    """

    case: Case
    items: tuple[str, ...]
    in_field: str | None
    judged: Mapping[str, int]
    reason_code: str
    reason: str
    replaces: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Appraise:
    """Correct an item's data, or settle that it does or does not apply; `replaces` as in `Recognise`."""

    case: Case
    item: str
    data: str | None
    not_applicable: bool
    judged: int | None
    reason_code: str
    reason: str
    replaces: int | None = None


@dataclass(frozen=True)
class RequestExplanation:
    """Flag an item: the agency answers before `until`."""

    case: Case
    item: str
    until: datetime
    reason_code: str
    question: str


@dataclass(frozen=True)
class Adjust:
    """Fix an item's value by a resolution of the council."""

    case: Case
    item: str
    data: str | None
    not_applicable: bool
    resolution: str
    tally: Tally
    reason_code: str
    reason: str


@dataclass(frozen=True)
class Close:
    """Close the agency's appraisal."""

    case: Case


Command = Open | Recognise | Appraise | RequestExplanation | Adjust | Close


def decide(state: Appraisal, command: Command) -> Sequence[Event]:
    """Every rule of an agency's appraisal; Rejected with the codes in the service's table."""
    if isinstance(command, Open):
        opened = AgencyOpened(agency=command.agency, submitted=command.submitted, of=command.of)
        return [opened] if command.of > state.of else []
    in_time(state, command.case)
    match command:
        case Recognise():
            return _recognise(state, command)
        case Appraise():
            return _appraise(state, command)
        case RequestExplanation():
            return _request(state, command)
        case Adjust():
            return _adjust(state, command)
        case Close():
            return _close(state, command)


def _recognise(state: Appraisal, command: Recognise) -> list[Event]:
    case = command.case
    _still_open(state)
    reasoned(case.rubric, command.reason_code, command.reason)
    events: list[Event] = []
    for item in _items(state, command):
        leaf = _own_leaf(state, case, item)
        _seen(state, case, item, command.replaces.get(item))
        declared = _judged(case, item, command.judged.get(item))
        if declared is None:
            raise Rejected("nothing-declared", f"the agency declared nothing on {item}: appraise it", "items")
        value = value_of(state, case, leaf, declared.data)
        events += _appraised(command, item, value, declared, case.position + len(events))
    return events


def _items(state: Appraisal, command: Recognise) -> Sequence[str]:
    case = command.case
    if command.in_field is None:
        if not command.items or len(set(command.items)) < len(command.items):
            raise Rejected("items-invalid", "name each item once, or a field", "items")
        return command.items
    fields = [each for each in case.rubric.fields if each.code == command.in_field]
    if not fields:
        raise Rejected("field-unknown", f"the rubric has no field {command.in_field}", "field")
    remaining = [
        leaf.code
        for leaf in fields[0].leaves
        if leaf.mode is Mode.SELF_ASSESSED and leaf.code in case.declared and leaf.code not in state.appraised
    ]
    if not remaining:
        raise Rejected("nothing-remaining", f"field {command.in_field} has no declared item without a value", "field")
    return remaining


def _appraise(state: Appraisal, command: Appraise) -> list[Event]:
    case = command.case
    _still_open(state)
    reasoned(case.rubric, command.reason_code, command.reason)
    leaf = _own_leaf(state, case, command.item)
    _seen(state, case, command.item, command.replaces)
    declared = _judged(case, command.item, command.judged)
    value = value_of(state, case, leaf, stated(command))
    return _appraised(command, command.item, value, declared, case.position)


def _appraised(
    command: Recognise | Appraise, item: str, value: Value, declared: Declared | None, position: int
) -> list[Event]:
    """The decision, which will stand at `position`, and its words."""
    agency = command.case.agency
    return [
        ItemAppraised(
            agency=agency,
            item=item,
            data=value.data,
            points=value.points,
            not_applicable=value.not_applicable,
            judged=None if declared is None else declared.position,
            recognised=isinstance(command, Recognise),
            reason_code=command.reason_code,
            appraiser=command.case.actor,
        ),
        AppraisalReasoned(agency=agency, item=item, of=position, reason=command.reason),
    ]


def _request(state: Appraisal, command: RequestExplanation) -> list[Event]:
    case, item = command.case, command.item
    _still_open(state)
    reasoned(case.rubric, command.reason_code, command.question)
    _own_leaf(state, case, item)
    if command.until <= case.time:
        raise Rejected("until-passed", "the time to answer must lie ahead", "until")
    if _waits(state, case, item):
        raise Rejected("explanation-open", f"a request on {item} waits for its answer", "item")
    return [
        ExplanationRequested(agency=case.agency, item=item, until=command.until, reason_code=command.reason_code),
        ExplanationAsked(agency=case.agency, item=item, of=case.position, question=command.question),
    ]


def _adjust(state: Appraisal, command: Adjust) -> list[Event]:
    case, tally = command.case, command.tally
    if not state.chamber.presides(case.actor):
        raise Rejected("not-the-chair", "only the seated chair of the council, or the deputy, enters its adjustments")
    reasoned(case.rubric, command.reason_code, command.reason)
    leaf = case.rubric.leaf(command.item)
    carried(tally, case.council)
    value = value_of(state, case, leaf, stated(command))
    return [
        CouncilAdjusted(
            agency=case.agency,
            item=command.item,
            data=value.data,
            points=value.points,
            not_applicable=value.not_applicable,
            resolution=command.resolution,
            tally=tally,
            reason_code=command.reason_code,
        ),
        AdjustmentReasoned(agency=case.agency, item=command.item, of=case.position, reason=command.reason),
    ]


def _close(state: Appraisal, command: Close) -> list[Event]:
    _still_open(state)
    faults = open_items(state, command.case)
    if faults:
        raise Rejected("leaf-open", f"{len(faults)} items hold the closing up", "agency", faults)
    return [AgencyAppraised(agency=command.case.agency)]


def open_items(state: Appraisal, case: Case) -> list[dict[str, str]]:
    """What holds the closing up: a reopened self-assessment; and item by item no value yet, a request unanswered, a
    later declaration, a value that no longer follows because the item that chooses its rule was changed after it."""
    faults: list[tuple[str, str, str]] = []
    if case.reopened:
        faults.append(("self-assessment", "reopening-open", "its self-assessment is reopened and may still change"))
    for code, leaf in case.rubric.leaves.items():
        if leaf.mode is Mode.SURVEY:
            continue
        value, declared = state.value(code), case.declared.get(code)
        if _waits(state, case, code):
            faults.append((code, "explanation-open", "a request for explanation waits for its answer"))
        if value is None:
            faults.append((code, "leaf-open", "has no appraised value"))
            continue
        judged = state.appraised.get(code)
        if judged is not None and declared is not None and (judged.judged is None or judged.judged < declared.position):
            faults.append((code, "declaration-later", f"was declared anew at position {declared.position}"))
        if declared is not None and declared.estimated and value == judged and value.data == declared.data:
            faults.append((code, "figure-estimated", "rests on an estimated figure that the agency has not confirmed"))
        if value.data is not None and appraise(case.rubric, code, value.data, _answers(state, case))[1] != value.points:
            faults.append((code, "leaf-outdated", "the item that chooses its rule was changed: appraise it again"))
    return [{"item": item, "code": code, "detail": detail} for item, code, detail in faults]


def _still_open(state: Appraisal) -> None:
    if state.closed:
        raise Rejected("agency-closed", "the agency's appraisal is closed; only the council may still adjust", "agency")


def _own_leaf(state: Appraisal, case: Case, item: str) -> Leaf:
    leaf = case.rubric.leaf(item)
    [of] = [each.code for each in case.rubric.fields if leaf in each.leaves]
    if of not in state.fields.get((case.actor, case.group), frozenset()):
        raise Rejected("field-not-assigned", f"you are not assigned to field {of} of this group", "item")
    return leaf


def _seen(state: Appraisal, case: Case, item: str, replaces: int | None) -> None:
    """Refuses to put a value in the place of another appraiser's, unless the request says that it was seen."""
    stands = state.appraised.get(item)
    revision = 0 if stands is None else stands.revision
    if replaces is None and not case.matched:
        stale = stands is not None and stands.appraiser not in (None, case.actor)
    else:
        stale = replaces not in (None, revision)
    if stale:
        newest = f"the appraisal of {item} is at revision {revision}: look at it and name it in `replaces`"
        raise Rejected("stale-version", newest, "replaces")


def _judged(case: Case, item: str, judged: int | None) -> Declared | None:
    """The declaration that the decision judges; it must be the newest one."""
    declared = case.declared.get(item)
    if declared is None and judged is not None:
        raise Rejected("declaration-changed", f"the agency declared nothing on {item}", "judged")
    if declared is not None and judged not in (None, declared.position):
        newest = f"the newest declaration of {item} is at position {declared.position}"
        raise Rejected("declaration-changed", newest, "judged")
    return declared


def value_of(state: Appraisal, case: Case, leaf: Leaf, data: str | None) -> Value:
    """What the item's rule makes of the data; without data the item is said not to apply."""
    if data is not None:
        canonical, points = appraise(case.rubric, leaf.code, data, _answers(state, case))
        return Value(canonical, points, False, None)
    if leaf.mode is Mode.SURVEY or not leaf.may_not_apply:
        raise Rejected("must-apply", f"{leaf.code} applies to every agency", leaf.code)
    return Value(None, None, True, None)


def _answers(state: Appraisal, case: Case) -> dict[str, str]:
    """What holds of the other items' data, for rules that one of them chooses: settled values before declared ones."""
    answers = {item: declared.data for item, declared in case.declared.items() if declared.data is not None}
    for values in (state.appraised, state.adjusted):
        answers |= {item: value.data for item, value in values.items() if value.data is not None}
    return answers


def _waits(state: Appraisal, case: Case, item: str) -> bool:
    return state.requests.get(item, 0) > case.answered.get(item, 0)


def evolve(state: Appraisal, event: Event) -> Appraisal:
    """The appraisal after one more event of its stream or of the period's."""
    match event:
        case AgencyOpened():
            return replace(state, opened=True, of=event.of, closed=False)
        case ItemAppraised():
            before = state.appraised.get(event.item)
            revision = 1 if before is None else before.revision + 1
            value = Value(event.data, event.points, event.not_applicable, event.judged, event.appraiser, revision)
            return replace(state, appraised={**state.appraised, event.item: value})
        case CouncilAdjusted():
            value = Value(event.data, event.points, event.not_applicable, None)
            chamber = state.chamber.evolve(event)
            return replace(state, adjusted={**state.adjusted, event.item: value}, chamber=chamber)
        case ExplanationRequested():
            return replace(state, requests={**state.requests, event.item: state.requests.get(event.item, 0) + 1})
        case AgencyAppraised():
            return replace(state, closed=True)
        case AppraiserAssigned():
            return replace(state, fields={**state.fields, (event.appraiser, event.group): frozenset(event.fields)})
        case _:
            return replace(state, chamber=state.chamber.evolve(event))


DECIDER: Decider[Appraisal, Command, Event] = Decider(Appraisal(), decide, evolve)


def stream(agency: str) -> str:
    """The stream of an agency's appraisal; its decisions also read the stream `period`."""
    return f"appraisal/{agency}"
