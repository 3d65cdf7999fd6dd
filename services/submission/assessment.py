"""What an agency stands by in its self-assessment: the state that its log folds to, its digest, and what it lacks."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from services.submission.period import STEP
from shared.decider import Rejected
from shared.events import Event, plain
from shared.events.submission import (
    EvidenceUploaded,
    EvidenceWithdrawn,
    ExplanationClosed,
    ExplanationGiven,
    NotApplicableClaimed,
    PointsDeclared,
    ReopeningClosed,
    SelfAssessmentApproved,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
    Source,
)
from shared.period import Period
from shared.rubric import Mode, Rubric, RubricError, declare, self_assessed_total

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


class File(NamedTuple):
    """A file that is kept already; `name` is absent once erased."""

    sha256: str
    size: int
    media_type: str
    name: str | None


class Taken(NamedTuple):
    """A draft: what the agency declared on an item in an earlier period, where, and the files that proved it then."""

    source: Source
    data: str
    files: tuple[File, ...]


@dataclass(frozen=True)
class Item:
    """What the agency stands by for one item; `evidence` holds SHA-256 of files, `explanations` how many were given.

    `estimated`: its figure is still to be replaced or confirmed. `taken_from`: the earlier period's entry that it
    repeats.
    """

    data: str | None = None
    points: Decimal | None = None
    not_applicable: bool = False
    evidence: frozenset[str] = frozenset()
    explanations: int = 0
    estimated: bool = False
    taken_from: Source | None = None


class Reopening(NamedTuple):
    """A late reopening: `until` is exclusive; `submitted` the digest that stood as submitted before it, if one did."""

    until: datetime
    submitted: str | None
    closed: bool = False


@dataclass(frozen=True)
class Assessment:
    """One agency's self-assessment, in its period; `answered` are the requests that are answered or closed.

    `reopened` is the latest reopening. Nothing counts as submitted from then on until the agency submits again, or
    until it closes with exactly what was submitted before.
    """

    period: Period = field(default_factory=Period)
    items: Mapping[str, Item] = field(default_factory=dict)
    approved: str | None = None
    submitted: bool = False
    answered: frozenset[int] = frozenset()
    reopened: Reopening | None = None


def digest(assessment: Assessment) -> str:
    """What the head approves: hex SHA-256 of the items as canonical JSON, sorted by code.

    For each item its code, data, points, claim, the hashes of its evidence (sorted) and the number of explanations
    given, so that a new wording is a new digest though the words themselves can be erased; and the mark of an estimated
    figure where it bears one.
    """
    items = [
        {
            "data": held.data,
            "evidence": sorted(held.evidence),
            "explanations": held.explanations,
            "item": code,
            "not_applicable": held.not_applicable,
            "points": None if held.points is None else plain(held.points),
            **({"estimated": True} if held.estimated else {}),
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
    answers = answers_of(assessment)
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


def warnings(assessment: Assessment, rubric: Rubric) -> Iterator[dict[str, str]]:
    """What the self-assessment may be submitted with but the appraisal cannot be closed with: estimated figures."""
    for code in rubric.leaves:
        if assessment.items.get(code, Item()).estimated:
            yield {"item": code, "code": "figure-estimated", "detail": "the figure is estimated: replace or confirm it"}


def require_open(state: Assessment, time: datetime) -> None:
    """Refuse a change of the self-assessment once it is submitted or its step has ended."""
    if state.submitted:
        raise Rejected("already-submitted", "the self-assessment is submitted")
    if not open_at(state, time):
        raise Rejected("step-closed", "the step of self-assessment has ended")


def open_at(state: Assessment, time: datetime) -> bool:
    """Whether the agency's step is open: until the period's last time, or for a reopened agency until its own."""
    if state.reopened is not None:
        return time < state.reopened.until
    last = state.period.last_time(STEP)
    return state.period.closed is None and (last is None or time < last)


def evolve(state: Assessment, event: Event) -> Assessment:
    """The self-assessment after one more event of its stream or of the period's."""
    match event:
        case PointsDeclared(item=item):
            estimated = event.estimated is not None
            changes = {"data": event.data, "points": event.points, "taken_from": event.taken_from}
            return _with(state, item, **changes, not_applicable=False, estimated=estimated)
        case NotApplicableClaimed():
            return _with(
                state, event.item, data=None, points=None, not_applicable=True, estimated=False, taken_from=None
            )
        case EvidenceUploaded():
            items = {code: state.items.get(code, Item()) for code in event.items}
            more = {code: replace(held, evidence=held.evidence | {event.sha256}) for code, held in items.items()}
            return replace(state, items={**state.items, **more})
        case EvidenceWithdrawn():
            items = {code: state.items.get(code, Item()) for code in event.items}
            less = {code: replace(held, evidence=held.evidence - {event.sha256}) for code, held in items.items()}
            return replace(state, items={**state.items, **less})
        case ExplanationGiven(request=None):
            return _with(state, event.item, explanations=state.items.get(event.item, Item()).explanations + 1)
        case ExplanationGiven(request=int(request)) | ExplanationClosed(request=request):
            return replace(state, answered=state.answered | {request})
        case SelfAssessmentApproved():
            return replace(state, approved=event.digest)
        case SelfAssessmentSubmitted():
            return replace(state, submitted=True)
        case SelfAssessmentReopened():
            return replace(state, submitted=False, reopened=_reopened(state, event))
        case ReopeningClosed():
            closed = None if state.reopened is None else state.reopened._replace(closed=True)
            return replace(state, submitted=event.submitted, reopened=closed)
        case _:
            period = state.period.evolve(event)
            return state if period is state.period else replace(state, period=period)


def _reopened(state: Assessment, event: SelfAssessmentReopened) -> Reopening:
    """The reopening; one that prolongs another remembers what stood before the first."""
    if state.submitted:
        return Reopening(event.until, digest(state))
    open_ = state.reopened is not None and not state.reopened.closed
    return Reopening(event.until, state.reopened.submitted if open_ and state.reopened is not None else None)


def _with(state: Assessment, code: str, **changes: object) -> Assessment:
    held = replace(state.items.get(code, Item()), **changes)  # type: ignore[arg-type] # the callers above name its fields
    return replace(state, items={**state.items, code: held})


def answers_of(state: Assessment) -> dict[str, str]:
    return {code: held.data for code, held in state.items.items() if held.data is not None}


def _follows(rubric: Rubric, code: str, held: Item, answers: Mapping[str, str]) -> bool:
    """Whether data and points of the item are still what its rule gives under the other items' answers."""
    try:
        return declare(rubric, code, held.data or "", answers) == (held.data, held.points)
    except RubricError:
        return False  # the rule that holds now does not read these data
