"""What is read: a period's submission log folded by agency, and what other services' logs say to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from pydantic import BaseModel

from services.submission import assessment as rules
from services.submission import period as periods
from services.submission.assessment import Assessment, Item, Requests
from shared.events import Entry, Instant, Points
from shared.events.appraisal import ExplanationRequested, MonitorAssigned
from shared.events.submission import (
    EvidenceNamed,
    EvidenceUploaded,
    EvidenceWithdrawn,
    ExplanationGiven,
    ExplanationWorded,
    NotApplicableClaimed,
    NotApplicableReasoned,
    PointsDeclared,
    ReopeningClosed,
    SelfAssessmentApproved,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
    Source,
)
from shared.period import Period
from shared.rubric import Leaf, Mode
from shared.rubric.rules import Rule


class Document(NamedTuple):
    """An uploaded file at its position in the log; `withdrawn`: the items that it was withdrawn from since."""

    position: int
    sha256: str
    size: int
    media_type: str
    items: tuple[str, ...]
    withdrawn: tuple[str, ...] = ()


class Approval(NamedTuple):
    """The head's latest approval: who gave it, when, at which position of the log, of which digest."""

    position: int
    actor: str
    time: datetime
    digest: str


@dataclass(frozen=True)
class Dossier:
    """One agency's stream: its self-assessment, and the positions of what it rests on.

    `declared`: of each item's latest declaration or claim; `explained`: of its latest explanation; `answers`: of the
    answer to each request. `submitted` is the time of the submission that stands, `stood` of the one before a
    reopening.
    """

    assessment: Assessment = field(default_factory=Assessment)
    version: int = 0
    declared: Mapping[str, int] = field(default_factory=dict)
    explained: Mapping[str, int] = field(default_factory=dict)
    answers: Mapping[int, int] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()
    approval: Approval | None = None
    submitted: datetime | None = None
    stood: datetime | None = None


@dataclass(frozen=True)
class Book:
    """A period's submission log, folded."""

    standing: periods.Standing = field(default_factory=periods.Standing)
    dossiers: Mapping[str, Dossier] = field(default_factory=dict)

    @property
    def period(self) -> Period:
        return self.standing.period

    def dossier(self, agency: str) -> Dossier:
        """The agency's dossier, empty where it has done nothing yet; Rejected `period-unknown`, `agency-unknown`."""
        self.period.the_opened()
        self.period.the_agency(agency)
        found = self.dossiers.get(agency, Dossier())
        return replace(found, assessment=replace(found.assessment, period=self.period))


def fold(book: Book, entries: Sequence[Entry]) -> Book:
    """The book after more entries of its log."""
    standing, dossiers = book.standing, dict(book.dossiers)
    for entry in entries:
        kind, _, agency = entry.stream.partition("/")
        event = entry.event
        if event is not None and not event.erasable:
            standing = periods.evolve(standing, event)
        if kind == "self-assessment":
            dossiers[agency] = _filed(dossiers.get(agency, Dossier()), entry)
    return Book(standing, dossiers)


def _filed(dossier: Dossier, entry: Entry) -> Dossier:
    dossier = replace(dossier, version=entry.version)
    event, position = entry.event, entry.position
    if event is not None and not event.erasable:
        dossier = replace(dossier, assessment=rules.evolve(dossier.assessment, event))
    match event:
        case PointsDeclared() | NotApplicableClaimed():
            return replace(dossier, declared={**dossier.declared, event.item: position})
        case ExplanationGiven(request=None):
            return replace(dossier, explained={**dossier.explained, event.item: position})
        case ExplanationGiven(request=int(request)):
            return replace(dossier, answers={**dossier.answers, request: position})
        case EvidenceUploaded():
            document = Document(position, event.sha256, event.size, event.media_type, event.items)
            return replace(dossier, documents=(*dossier.documents, document))
        case SelfAssessmentApproved():
            return replace(dossier, approval=Approval(position, entry.actor, entry.time, event.digest))
        case EvidenceWithdrawn():
            return replace(dossier, documents=tuple(_withdrawn(each, event) for each in dossier.documents))
        case SelfAssessmentSubmitted():
            return replace(dossier, submitted=entry.time)
        case SelfAssessmentReopened():
            return replace(dossier, stood=dossier.submitted or dossier.stood, submitted=None)
        case ReopeningClosed():
            return replace(dossier, submitted=dossier.stood if event.submitted else None)
        case _:
            return dossier


def _withdrawn(document: Document, event: EvidenceWithdrawn) -> Document:
    if document.sha256 != event.sha256:
        return document
    gone = {*document.withdrawn, *event.items}
    return document._replace(withdrawn=tuple(item for item in document.items if item in gone))


def fold_requests(requests: Requests, entries: Sequence[Entry]) -> Requests:
    """The requests for explanation after more entries of the appraisal log."""
    found = {
        entry.position: rules.Request(event.agency, event.item, event.until)
        for entry in entries
        if isinstance(event := entry.event, ExplanationRequested)
    }
    return {**requests, **found}


def words(entries: Iterable[Entry]) -> dict[int, str]:
    """The reasons, explanations and file names by the position of the entry that they belong to; erased ones lack."""
    found: dict[int, str] = {}
    for entry in entries:
        match entry.event:
            case NotApplicableReasoned(of=of, reason=text) | ExplanationWorded(of=of, text=text):
                found[of] = text
            case EvidenceNamed(of=of, name=text):
                found[of] = text
            case _:
                pass
    return found


Monitors = Mapping[tuple[str, str], tuple[str, ...]]
"""The fields of a group that a monitor follows, by (actor, group)."""


NO_MONITORS: Final[Monitors] = MappingProxyType({})


def fold_monitors(monitors: Monitors, entries: Sequence[Entry]) -> Monitors:
    """Who follows which fields after more entries of the appraisal log."""
    found = {
        (event.monitor, event.group): tuple(event.fields)
        for entry in entries
        if isinstance(event := entry.event, MonitorAssigned)
    }
    return {**monitors, **found}


class Due(NamedTuple):
    """What the clock closes now: the step of self-assessment, requests (position, agency) without an answer, and the
    reopenings (agency, version of its stream) whose time has ended."""

    step: bool
    requests: tuple[tuple[int, str], ...]
    reopenings: tuple[tuple[str, int], ...] = ()


def due(book: Book, requests: Requests, now: datetime) -> Due:
    """What is to be closed because its time has ended."""
    period = book.period
    last = None if period.opened is None else period.last_time(periods.STEP)
    over = period.started and period.closed is None and last is not None and now >= last
    late = [
        (position, request.agency)
        for position, request in sorted(requests.items())
        if now >= request.until and request.agency in period.agencies
    ]
    open_ = [each for each in late if each[0] not in book.dossier(each[1]).assessment.answered]
    reopened = [
        (agency, dossier.version)
        for agency, dossier in sorted(book.dossiers.items())
        if (until := reopened_until(dossier.assessment)) is not None and now >= until
    ]
    return Due(over, tuple(open_), tuple(reopened))


def reopened_until(assessment: Assessment) -> datetime | None:
    """Until when a self-assessment is reopened; None where it is not, or no longer."""
    reopened = assessment.reopened
    return None if reopened is None or reopened.closed or assessment.submitted else reopened.until


def reopened(book: Book) -> dict[str, datetime]:
    """The agencies whose self-assessment is reopened, each with its new last time."""
    found = {agency: reopened_until(dossier.assessment) for agency, dossier in sorted(book.dossiers.items())}
    return {agency: until for agency, until in found.items() if until is not None}


class Head(BaseModel):
    """How long a log was that an answer rests on."""

    size: int


class ItemLine(BaseModel):
    """One self-assessed item as the agency stands by it; `position` is that of its latest declaration or claim.

    `rule` says how it is scored, `guidance` what to mind, `proof` which documents prove it, `monitors` who follows it.
    """

    item: str
    label_vi: str
    label_en: str
    max: Points | None
    rule: Rule
    guidance: str
    proof: str
    monitors: list[str]
    data: str | None
    points: Points | None
    not_applicable: bool
    estimated: bool
    taken_from: Source | None
    reason: str | None
    position: int | None
    explanation: str | None
    explained: int | None
    evidence: list[str]


class DocumentLine(BaseModel):
    """One file; `name` is absent once erased. `withdrawn`: those of its items that it no longer serves."""

    position: int
    sha256: str
    size: int
    media_type: str
    name: str | None
    items: list[str]
    withdrawn: list[str]


class RequestLine(BaseModel):
    """One request for explanation by its position in the appraisal log, open, answered or closed."""

    request: int
    item: str
    until: Instant
    state: str
    answer: str | None


class ApprovalLine(BaseModel):
    """The head's signature line: the actor, the time, the digest that was approved, and the position of the entry.

    `stands`: nothing was changed since.
    """

    position: int
    actor: str
    time: Instant
    digest: str
    stands: bool


class SelfAssessmentAnswer(BaseModel):
    """An agency's self-assessment. `digest` is what its head approves; `faults` what a submission still lacks,
    `warnings` what it may go out with and the appraisal cannot be closed with;
    `reopened` until when an officer has reopened it."""

    period: str
    agency: str
    group: str
    name_vi: str
    name_en: str
    version: int
    digest: str
    approved: bool
    approval: ApprovalLine | None
    submitted: Instant | None
    reopened: Instant | None
    total: Points
    items: list[ItemLine]
    evidence: list[DocumentLine]
    requests: list[RequestLine]
    faults: list[dict[str, str]]
    warnings: list[dict[str, str]]
    heads: dict[str, Head]


def answer(
    book: Book,
    agency: str,
    requests: Requests,
    texts: Mapping[int, str],
    heads: Mapping[str, int],
    monitors: Monitors = NO_MONITORS,
) -> SelfAssessmentAnswer:
    """The agency's self-assessment as it is shown; `texts` are the words by position."""
    dossier, named = book.dossier(agency), book.period.the_agency(agency)
    assessment, rubric = dossier.assessment, book.period.rubric_of(agency)
    digest = rules.digest(assessment)
    own = [(position, each) for position, each in sorted(requests.items()) if each.agency == agency]
    return SelfAssessmentAnswer(
        period=book.period.the_opened().period,
        agency=agency,
        group=named.group,
        name_vi=named.name_vi,
        name_en=named.name_en,
        version=dossier.version,
        digest=digest,
        approved=assessment.approved == digest,
        approval=_approval(dossier, digest),
        submitted=dossier.submitted,
        reopened=reopened_until(assessment),
        total=rules.total(assessment, rubric),
        items=[
            _line(dossier, leaf, _monitors(monitors, named.group, each.code), texts)
            for each in rubric.fields
            for leaf in each.leaves
            if leaf.mode is Mode.SELF_ASSESSED
        ],
        evidence=[
            DocumentLine(
                **each._asdict() | {"items": list(each.items), "withdrawn": list(each.withdrawn)},
                name=texts.get(each.position),
            )
            for each in dossier.documents
        ],
        requests=[_request(dossier, position, each, texts) for position, each in own],
        faults=list(rules.faults(assessment, rubric)),
        warnings=list(rules.warnings(assessment, rubric)),
        heads={log: Head(size=size) for log, size in sorted(heads.items())},
    )


def _monitors(monitors: Monitors, group: str, code: str) -> list[str]:
    return sorted(actor for (actor, of), fields in monitors.items() if of == group and code in fields)


def _line(dossier: Dossier, leaf: Leaf, monitors: list[str], texts: Mapping[int, str]) -> ItemLine:
    held = dossier.assessment.items.get(leaf.code, Item())
    declared, explained = dossier.declared.get(leaf.code), dossier.explained.get(leaf.code)
    return ItemLine(
        item=leaf.code,
        label_vi=leaf.label.vi,
        label_en=leaf.label.en or leaf.label.vi,
        max=leaf.max,
        rule=leaf.rule,
        guidance=leaf.guidance,
        proof=leaf.evidence,
        monitors=monitors,
        data=held.data,
        points=held.points,
        not_applicable=held.not_applicable,
        estimated=held.estimated,
        taken_from=held.taken_from,
        reason=None if declared is None else texts.get(declared),
        position=declared,
        explanation=None if explained is None else texts.get(explained),
        explained=explained,
        evidence=sorted(held.evidence),
    )


def _approval(dossier: Dossier, digest: str) -> ApprovalLine | None:
    given = dossier.approval
    return None if given is None else ApprovalLine(**given._asdict(), stands=given.digest == digest)


def _request(dossier: Dossier, position: int, request: rules.Request, texts: Mapping[int, str]) -> RequestLine:
    answered = dossier.answers.get(position)
    state = "answered" if answered is not None else "closed" if position in dossier.assessment.answered else "open"
    return RequestLine(
        request=position,
        item=request.item,
        until=request.until,
        state=state,
        answer=None if answered is None else texts.get(answered),
    )
