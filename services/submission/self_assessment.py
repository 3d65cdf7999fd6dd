"""The self-assessment of one agency: declarations, claims, explanations, evidence, the head's approval, submission."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.submission.assessment import (
    Assessment,
    Item,
    Request,
    Requests,
    Taken,
    answers_of,
    digest,
    evolve,
    faults,
    open_at,
    require_open,
    total,
)
from services.submission.evidence import MAX_FILES, file_name
from shared.decider import Decider, Rejected
from shared.events import Event
from shared.events.submission import (
    EvidenceNamed,
    EvidenceUploaded,
    EvidenceWithdrawn,
    ExplanationClosed,
    ExplanationGiven,
    ExplanationWorded,
    NotApplicableClaimed,
    NotApplicableReasoned,
    PointsDeclared,
    ReopeningClosed,
    ReopeningReasoned,
    SelfAssessmentApproved,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
    SubmittedItem,
)
from shared.rubric import declare, self_assessed

READS: Final = ("period",)
"""The streams of the same log that a decision reads besides its own."""
MAX_WORDS: Final = 4000


@dataclass(frozen=True, kw_only=True)
class Case:
    """What every command carries: agency, time and first position of its entries, whether the index is published."""

    agency: str
    time: datetime
    position: int
    published: bool


@dataclass(frozen=True, kw_only=True)
class Declare(Case):
    """Declare an item's data; the points follow from its rule. `estimated`: a figure to be replaced or confirmed.

    `taken`: the draft of an earlier period that is taken over with its files.
    """

    item: str
    data: str
    estimated: bool = False
    taken: Taken | None = None


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
class WithdrawEvidence(Case):
    """Withdraw a document from these items, or from all that it serves; never after the submission."""

    sha256: str
    items: tuple[str, ...] = ()


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


@dataclass(frozen=True, kw_only=True)
class Reopen(Case):
    """Reopen the agency's self-assessment until a new last time, with a reason code of its rubric and words."""

    until: datetime
    reason_code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class CloseReopening(Case):
    """End a reopening whose time is over."""


Command = (
    Declare
    | ClaimNotApplicable
    | Explain
    | RecordEvidence
    | WithdrawEvidence
    | CloseExplanation
    | Approve
    | Submit
    | Reopen
    | CloseReopening
)


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
        case WithdrawEvidence():
            return _withdraw(state, command)
        case CloseExplanation():
            return _close(state, command)
        case Approve():
            return _approve(state, command)
        case Submit():
            return _submit(state, command)
        case Reopen():
            return _reopen(state, command)
        case CloseReopening():
            return _close_reopening(state, command)


DECIDER: Decider[Assessment, Command, Event] = Decider(Assessment(), decide, evolve)


def _require_period(state: Assessment, command: Case) -> None:
    state.period.the_opened()
    if not state.period.started:
        raise Rejected("period-not-started", "the period has not started yet")
    state.period.the_active(command.agency)
    if command.published:
        raise Rejected("period-published", "the index of this period is published")


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
    taken = command.taken
    if command.estimated or taken is not None or not state.items.get(command.item, Item()).estimated:
        require_open(state, command.time)
    # an estimated figure is replaced or confirmed at any time before the publication, but for a new estimate
    data, points = declare(rubric, command.item, command.data, answers_of(state))
    declared = PointsDeclared(
        agency=command.agency,
        item=command.item,
        data=data,
        points=points,
        estimated=True if command.estimated else None,
        taken_from=None if taken is None else taken.source,
    )
    return [declared] if taken is None else [declared, *_taken_files(state, command, taken, data)]


def _taken_files(state: Assessment, command: Declare, taken: Taken, data: str) -> list[Event]:
    """The draft's files as this period's evidence of the item; the data must be exactly what was seen in the draft."""
    if data != taken.data:
        raise Rejected("draft-differs", "what is taken over is exactly the draft's data", "data")
    held = state.items.get(command.item, Item()).evidence
    more = [file for file in taken.files if file.sha256 not in held]
    if len(held) + len(more) > MAX_FILES:
        raise Rejected("evidence-too-many", f"an item has at most {MAX_FILES} files", command.item)
    events: list[Event] = []
    for file in more:
        of = command.position + 1 + len(events)
        events.append(
            EvidenceUploaded(
                agency=command.agency,
                items=(command.item,),
                sha256=file.sha256,
                size=file.size,
                media_type=file.media_type,
            )
        )
        if file.name is not None:
            events.append(EvidenceNamed(agency=command.agency, of=of, name=file.name))
    return events


def _claim(state: Assessment, command: ClaimNotApplicable) -> list[Event]:
    leaf = self_assessed(state.period.rubric_of(command.agency), command.item)
    require_open(state, command.time)
    if not leaf.may_not_apply:
        raise Rejected("item-always-applies", "this item applies to every agency", command.item)
    reason = _words(command.reason, "reason")
    named = {"agency": command.agency, "item": command.item}
    return [NotApplicableClaimed(**named), NotApplicableReasoned(**named, of=command.position, reason=reason)]


def _explain(state: Assessment, command: Explain) -> list[Event]:
    if command.request is None:
        self_assessed(state.period.rubric_of(command.agency), command.item)
        require_open(state, command.time)
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
        require_open(state, command.time)
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


def _withdraw(state: Assessment, command: WithdrawEvidence) -> list[Event]:
    rubric = state.period.rubric_of(command.agency)
    require_open(state, command.time)
    served = [code for code in rubric.leaves if command.sha256 in state.items.get(code, Item()).evidence]
    items = tuple(dict.fromkeys(command.items)) or tuple(served)
    strange = [code for code in items if rubric.leaf(code).code not in served]
    if not items or strange:
        where = f"item {strange[0]}" if strange else "any item"
        raise Rejected("evidence-unknown", f"no file with this SHA-256 serves {where}", "sha256")
    return [EvidenceWithdrawn(agency=command.agency, sha256=command.sha256, items=items)]


def _close(state: Assessment, command: CloseExplanation) -> list[Event]:
    request = _request(command.agency, command.request, command.requests)
    if command.request in state.answered:
        return []
    if command.time < request.until:
        raise Rejected("request-open", "the agency may still answer this request", "request")
    return [ExplanationClosed(agency=command.agency, item=request.item, request=command.request)]


def _approve(state: Assessment, command: Approve) -> list[Event]:
    require_open(state, command.time)
    _require_digest(state, command.digest)
    if state.approved == command.digest:
        return []
    return [SelfAssessmentApproved(agency=command.agency, digest=command.digest)]


def _require_digest(state: Assessment, given: str) -> None:
    if given != digest(state):
        raise Rejected("digest-differs", "the self-assessment is not what this digest names: read it again", "digest")


def _submit(state: Assessment, command: Submit) -> list[Event]:
    rubric = state.period.rubric_of(command.agency)
    require_open(state, command.time)
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


def _reopen(state: Assessment, command: Reopen) -> list[Event]:
    """A late reopening; an agency that has not submitted and still may needs none."""
    reason = _words(command.reason, "reason")
    known = [each.id for each in state.period.rubric_of(command.agency).reasons]
    if command.reason_code not in known:
        raise Rejected("reason-code-unknown", f"the rubric's reason codes are {', '.join(known)}", "reason_code")
    if command.until <= command.time:
        raise Rejected("until-passed", "the new last time must lie ahead", "until")
    if state.reopened is None and not state.submitted and open_at(state, command.time):
        raise Rejected("step-still-open", "the agency has not submitted and still may", "agency")
    return [
        SelfAssessmentReopened(agency=command.agency, until=command.until, reason_code=command.reason_code),
        ReopeningReasoned(agency=command.agency, of=command.position, reason=reason),
    ]


def _close_reopening(state: Assessment, command: CloseReopening) -> list[Event]:
    reopened = state.reopened
    if reopened is None or reopened.closed or state.submitted:
        return []  # nothing is open any more: a submission ends a reopening too
    if command.time < reopened.until:
        raise Rejected("step-still-open", "the agency may submit until the new last time", "agency")
    return [ReopeningClosed(agency=command.agency, submitted=reopened.submitted == digest(state))]
