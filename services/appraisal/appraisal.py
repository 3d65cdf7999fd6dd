"""The appraisal of one agency: each item recognised, corrected or refused, explained, fixed by the council, closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, Protocol

from services.appraisal.chamber import Chamber
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
from shared.rubric import Council, Leaf, Mode, Rubric, appraise


class Declared(NamedTuple):
    """What the agency declared on an item last, None if that it does not apply, and where it stands in its log.

    `estimated`: the agency has still to replace or confirm the figure.
    """

    position: int
    data: str | None
    estimated: bool = False


class Value(NamedTuple):
    """What holds for an item: `data` where there is one, points, or that it does not apply.

    `appraiser`: who gave it, where an appraiser did; `revision`: which of the item's appraisals it is, from 1.
    """

    data: str | None
    points: Decimal | None
    not_applicable: bool
    judged: int | None
    appraiser: str | None = None
    revision: int = 1


@dataclass(frozen=True)
class Appraisal:
    """One agency's appraisal, with the seats and assignments of the period that it depends on.

    `of`: the position in the submission log of the submission or closing that opened it last.
    """

    opened: bool = False
    of: int = -1
    closed: bool = False
    appraised: Mapping[str, Value] = field(default_factory=dict)
    adjusted: Mapping[str, Value] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    chamber: Chamber = field(default_factory=Chamber)

    def value(self, item: str) -> Value | None:
        """What holds for an item: the council's value, else the appraised one."""
        return self.adjusted.get(item) or self.appraised.get(item)


@dataclass(frozen=True)
class Case:
    """What is known around a command: who acts, when and where the entries will stand, and what the agency declared.

    `answered`: how many requests for explanation of an item were answered or closed. `published`: whether the period's
    index is out, after which no score may move. `reopened`: whether its self-assessment is reopened and may change.
    `matched`: the request names the version of the agency's appraisal that it rests on.
    """

    actor: str
    agency: str
    group: str
    time: datetime
    position: int
    rubric: Rubric
    council: Council
    declared: Mapping[str, Declared]
    answered: Mapping[str, int]
    published: bool
    reopened: bool = False
    matched: bool = False


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


def in_time(state: Appraisal, case: Case) -> None:
    """Refuses what comes after the publication, before the agency's appraisal is open, or from who has a conflict of
    interest with the agency."""
    if case.published:
        raise Rejected("period-published", "the period's index is published; nothing that a score rests on may change")
    if not state.opened:
        raise Rejected("appraisal-not-open", "the agency has not submitted and the step is not closed", "agency")
    if case.actor in state.chamber.conflicts:
        raise Rejected("conflict-of-interest", "you declared a conflict of interest with this agency", "agency")


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


def carried(tally: Tally, council: Council) -> None:
    """Refuses a tally that does not add up (`tally-invalid`), or in which too few are in favour (`not-carried`)."""
    if tally.members != council.members:
        raise Rejected("tally-invalid", f"the council has {council.members} members", "tally.members")
    voted = tally.in_favour + tally.against + tally.abstained
    if voted > tally.members or tally.in_writing > voted:
        raise Rejected("tally-invalid", "more votes than members, or more in writing than votes", "tally")
    if not council.carries(tally.in_favour):
        few = f"{tally.in_favour} of {tally.members} members do not carry a decision"
        raise Rejected("not-carried", few, "tally.in_favour")


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


def reasoned(rubric: Rubric, code: str, words: str) -> None:
    """Refuses a decision without words, or with a reason code that the rubric does not know."""
    if not words.strip():
        raise Rejected("reason-missing", "say why", "reason")
    known = [reason.id for reason in rubric.reasons]
    if code not in known:
        raise Rejected("reason-code-unknown", f"the rubric's reason codes are {', '.join(known)}", "reason_code")


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


class Statement(Protocol):
    """A command that states an item's data, or that the item does not apply."""

    @property
    def item(self) -> str: ...
    @property
    def data(self) -> str | None: ...
    @property
    def not_applicable(self) -> bool: ...


def stated(command: Statement) -> str | None:
    """The data, None if the item is said not to apply; Rejected `data-invalid` unless it is one of the two."""
    if command.not_applicable == (command.data is not None):
        raise Rejected("data-invalid", "give either data or not_applicable", command.item)
    return command.data


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
