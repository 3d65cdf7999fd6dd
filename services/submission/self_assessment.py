"""The self-assessment of one agency: declarations, claims, explanations, evidence, the head's approval, submission."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from services.submission.evidence import MAX_FILES, file_name
from services.submission.period import STEP
from shared.decider import Decider, Rejected
from shared.events import Event, plain
from shared.events.submission import (
    EvidenceNamed,
    EvidenceUploaded,
    ExplanationClosed,
    ExplanationGiven,
    ExplanationWorded,
    NotApplicableClaimed,
    NotApplicableReasoned,
    PointsDeclared,
    SelfAssessmentApproved,
    SelfAssessmentSubmitted,
    SubmittedItem,
)
from shared.period import Period
from shared.rubric import Mode, Rubric, RubricError, declare, self_assessed, self_assessed_total

READS: Final = ("period",)
"""The streams of the same log that a decision reads besides its own."""
MAX_WORDS: Final = 4000
FAULTS: Final = {
    "declaration-missing": "neither data nor a claim of not applicable",
    "declaration-stale": "another item's data have changed the rule of this one: declare it again",
    "evidence-or-explanation-missing": "neither evidence nor an explanation",
}


def stream(agency: str) -> str:
    """The stream of an agency's self-assessment."""
    return f"self-assessment/{agency}"


class Request(NamedTuple):
    """A request for explanation, known by its position in the appraisal log; `until` is exclusive."""

    agency: str
    item: str
    until: datetime


Requests = Mapping[int, Request]


@dataclass(frozen=True)
class Item:
    """What the agency stands by for one item; `evidence` holds SHA-256 of files, `explanations` how many were given."""

    data: str | None = None
    points: Decimal | None = None
    not_applicable: bool = False
    evidence: frozenset[str] = frozenset()
    explanations: int = 0


@dataclass(frozen=True)
class Assessment:
    """One agency's self-assessment, in its period; `answered` are the requests that are answered or closed."""

    period: Period = field(default_factory=Period)
    items: Mapping[str, Item] = field(default_factory=dict)
    approved: str | None = None
    submitted: bool = False
    answered: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Case:
    """What every command carries: agency, time and first position of its entries, whether the index is published."""

    agency: str
    time: datetime
    position: int
    published: bool


@dataclass(frozen=True, kw_only=True)
class Declare(Case):
    """Declare an item's data; the points follow from its rule."""

    item: str
    data: str


@dataclass(frozen=True, kw_only=True)
class ClaimNotApplicable(Case):
    """Claim that an item does not apply to the agency."""

    item: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Explain(Case):
    """Explain an item: instead of evidence, or (`request`) in answer to a request of the appraisal."""

    item: str
    text: str
    request: int | None = None
    requests: Requests = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RecordEvidence(Case):
    """Record a document that was read back, checked and stored. After submission: for items under an open request."""

    items: tuple[str, ...]
    sha256: str
    size: int
    media_type: str
    name: str
    requests: Requests = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CloseExplanation(Case):
    """Close a request whose time ended without an answer."""

    request: int
    requests: Requests = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Approve(Case):
    """The head approves exactly the self-assessment that `digest` names."""

    digest: str


@dataclass(frozen=True, kw_only=True)
class Submit(Case):
    """Submit; with a `digest` only if that is still what stands."""

    digest: str | None = None


Command = Declare | ClaimNotApplicable | Explain | RecordEvidence | CloseExplanation | Approve | Submit


def digest(assessment: Assessment) -> str:
    """What the head approves: hex SHA-256 of the items as canonical JSON, sorted by code.

    For each item its code, data, points, claim, the hashes of its evidence (sorted) and the number of explanations
    given, so that a new wording is a new digest though the words themselves can be erased.
    """
    items = [
        {
            "data": held.data,
            "evidence": sorted(held.evidence),
            "explanations": held.explanations,
            "item": code,
            "not_applicable": held.not_applicable,
            "points": None if held.points is None else plain(held.points),
        }
        for code, held in sorted(assessment.items.items())
    ]
    return hashlib.sha256(json.dumps(items, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def total(assessment: Assessment, rubric: Rubric) -> Decimal:
    """The self-assessed total of what is declared so far; claims of not applicable count nothing."""
    points = {code: held.points for code, held in assessment.items.items() if held.points is not None}
    return self_assessed_total(rubric, points)


def faults(assessment: Assessment, rubric: Rubric) -> Iterator[dict[str, str]]:
    """Why the self-assessment cannot be submitted yet: `item`, `code` and `detail` of each fault, in rubric order.

    A claim of not applicable carries its own reason and needs no evidence.
    """
    answers = _answers(assessment)
    for leaf in rubric.leaves.values():
        held = assessment.items.get(leaf.code, Item())
        if leaf.mode is not Mode.SELF_ASSESSED or held.not_applicable:
            continue
        codes = []
        if held.data is None:
            codes.append("declaration-missing")
        elif not _follows(rubric, leaf.code, held, answers):
            codes.append("declaration-stale")
        if not held.evidence and not held.explanations:
            codes.append("evidence-or-explanation-missing")
        yield from ({"item": leaf.code, "code": code, "detail": FAULTS[code]} for code in codes)


def decide(state: Assessment, command: Command) -> Sequence[Event]:
    """The events that the command means; Rejected as the service's table of codes says."""
    _require_period(state, command)
    match command:
        case Declare():
            return _declare(state, command)
        case ClaimNotApplicable():
            return _claim(state, command)
        case Explain():
            return _explain(state, command)
        case RecordEvidence():
            return _record(state, command)
        case CloseExplanation():
            return _close(state, command)
        case Approve():
            return _approve(state, command)
        case Submit():
            return _submit(state, command)


def evolve(state: Assessment, event: Event) -> Assessment:
    """The self-assessment after one more event of its stream or of the period's."""
    match event:
        case PointsDeclared(item=item):
            return _with(state, item, data=event.data, points=event.points, not_applicable=False)
        case NotApplicableClaimed():
            return _with(state, event.item, data=None, points=None, not_applicable=True)
        case EvidenceUploaded():
            items = {code: state.items.get(code, Item()) for code in event.items}
            more = {code: replace(held, evidence=held.evidence | {event.sha256}) for code, held in items.items()}
            return replace(state, items={**state.items, **more})
        case ExplanationGiven(request=None):
            return _with(state, event.item, explanations=state.items.get(event.item, Item()).explanations + 1)
        case ExplanationGiven(request=int(request)) | ExplanationClosed(request=request):
            return replace(state, answered=state.answered | {request})
        case SelfAssessmentApproved():
            return replace(state, approved=event.digest)
        case SelfAssessmentSubmitted():
            return replace(state, submitted=True)
        case _:
            period = state.period.evolve(event)
            return state if period is state.period else replace(state, period=period)


DECIDER: Decider[Assessment, Command, Event] = Decider(Assessment(), decide, evolve)


def _with(state: Assessment, code: str, **changes: object) -> Assessment:
    held = replace(state.items.get(code, Item()), **changes)  # type: ignore[arg-type] # the callers above name its fields
    return replace(state, items={**state.items, code: held})


def _require_period(state: Assessment, command: Case) -> None:
    state.period.the_opened()
    if not state.period.started:
        raise Rejected("period-not-started", "the period has not started yet")
    state.period.the_active(command.agency)
    if command.published:
        raise Rejected("period-published", "the index of this period is published")


def _require_open(state: Assessment, command: Case) -> None:
    """Refuse a change of the self-assessment once it is submitted or its step has ended."""
    if state.submitted:
        raise Rejected("already-submitted", "the self-assessment is submitted")
    last = state.period.last_time(STEP)
    if state.period.closed is not None or (last is not None and command.time >= last):
        raise Rejected("step-closed", "the step of self-assessment has ended")


def _answers(state: Assessment) -> dict[str, str]:
    return {code: held.data for code, held in state.items.items() if held.data is not None}


def _follows(rubric: Rubric, code: str, held: Item, answers: Mapping[str, str]) -> bool:
    """Whether data and points of the item are still what its rule gives under the other items' answers."""
    try:
        return declare(rubric, code, held.data or "", answers) == (held.data, held.points)
    except RubricError:
        return False  # the rule that holds now does not read these data


def _words(text: str, place: str) -> str:
    """Words that a command cannot do without, trimmed."""
    words = text.strip()
    if not words:
        raise Rejected("reason-missing", f"{place} must not be empty", place)
    if len(words) > MAX_WORDS:
        raise Rejected("text-too-long", f"{place} has at most {MAX_WORDS} characters", place)
    return words


def _declare(state: Assessment, command: Declare) -> list[Event]:
    rubric = state.period.rubric_of(command.agency)
    _require_open(state, command)
    data, points = declare(rubric, command.item, command.data, _answers(state))
    return [PointsDeclared(agency=command.agency, item=command.item, data=data, points=points)]


def _claim(state: Assessment, command: ClaimNotApplicable) -> list[Event]:
    leaf = self_assessed(state.period.rubric_of(command.agency), command.item)
    _require_open(state, command)
    if not leaf.may_not_apply:
        raise Rejected("item-always-applies", "this item applies to every agency", command.item)
    reason = _words(command.reason, "reason")
    named = {"agency": command.agency, "item": command.item}
    return [NotApplicableClaimed(**named), NotApplicableReasoned(**named, of=command.position, reason=reason)]


def _explain(state: Assessment, command: Explain) -> list[Event]:
    if command.request is None:
        self_assessed(state.period.rubric_of(command.agency), command.item)
        _require_open(state, command)
    else:
        _require_answerable(state, command, command.request)
    text = _words(command.text, "text")
    given = ExplanationGiven(agency=command.agency, item=command.item, request=command.request)
    return [given, ExplanationWorded(agency=command.agency, item=command.item, of=command.position, text=text)]


def _require_answerable(state: Assessment, command: Explain, position: int) -> None:
    request = _request(command.agency, position, command.requests)
    if request.item != command.item:
        raise Rejected("request-unknown", f"this request is about item {request.item}", "request")
    if position in state.answered:
        raise Rejected("request-answered", "this request is answered or closed", "request")
    if command.time >= request.until:
        raise Rejected("request-closed", "the time to answer this request has ended", "request")


def _request(agency: str, position: int, requests: Requests) -> Request:
    request = requests.get(position)
    if request is None or request.agency != agency:
        raise Rejected("request-unknown", "the agency has no such request for explanation", "request")
    return request


def _record(state: Assessment, command: RecordEvidence) -> list[Event]:
    rubric = state.period.rubric_of(command.agency)
    name, items = file_name(command.name), tuple(dict.fromkeys(command.items))
    if not items:
        raise Rejected("item-unknown", "name the items that the document serves", "items")
    asked = {
        each.item for each in command.requests.values() if each.agency == command.agency and command.time < each.until
    }
    for code in items:
        if rubric.leaf(code).code in asked:
            continue  # further files in the round of explanation, on whatever item
        self_assessed(rubric, code)
        _require_open(state, command)
    held = [state.items.get(code, Item()).evidence for code in items]
    if all(command.sha256 in evidence for evidence in held):
        return []
    full = [code for code, evidence in zip(items, held, strict=True) if len(evidence) >= MAX_FILES]
    if full:
        raise Rejected("evidence-too-many", f"an item has at most {MAX_FILES} files", full[0])
    uploaded = EvidenceUploaded(
        agency=command.agency, items=items, sha256=command.sha256, size=command.size, media_type=command.media_type
    )
    return [uploaded, EvidenceNamed(agency=command.agency, of=command.position, name=name)]


def _close(state: Assessment, command: CloseExplanation) -> list[Event]:
    request = _request(command.agency, command.request, command.requests)
    if command.request in state.answered:
        return []
    if command.time < request.until:
        raise Rejected("request-open", "the agency may still answer this request", "request")
    return [ExplanationClosed(agency=command.agency, item=request.item, request=command.request)]


def _approve(state: Assessment, command: Approve) -> list[Event]:
    _require_open(state, command)
    _require_digest(state, command.digest)
    if state.approved == command.digest:
        return []
    return [SelfAssessmentApproved(agency=command.agency, digest=command.digest)]


def _require_digest(state: Assessment, given: str) -> None:
    if given != digest(state):
        raise Rejected("digest-differs", "the self-assessment is not what this digest names: read it again", "digest")


def _submit(state: Assessment, command: Submit) -> list[Event]:
    rubric = state.period.rubric_of(command.agency)
    _require_open(state, command)
    errors = list(faults(state, rubric))
    if errors:
        places = len({error["item"] for error in errors})
        raise Rejected("self-assessment-incomplete", f"{places} items are not complete", errors=errors)
    if command.digest is not None:
        _require_digest(state, command.digest)
    standing = digest(state)
    if state.approved != standing:
        raise Rejected("approval-missing", "the agency's head has not approved exactly this self-assessment")
    items = tuple(
        SubmittedItem(item=code, data=held.data, points=held.points, not_applicable=held.not_applicable)
        for code in rubric.leaves
        if (held := state.items.get(code)) is not None
    )
    summed = total(state, rubric)
    return [SelfAssessmentSubmitted(agency=command.agency, digest=standing, items=items, total=summed)]
