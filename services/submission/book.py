"""The book: a period's submission log folded by agency, and what other services' logs say to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from services.submission import assessment as rules
from services.submission import period as periods
from services.submission.assessment import Assessment, Requests
from shared.events import Entry
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
)
from shared.period import Period


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
    """What is to be closed because its time has ended; nothing is of an agency that takes no further part."""
    period = book.period
    active = frozenset(period.active)
    last = None if period.opened is None else period.last_time(periods.STEP)
    over = period.started and period.closed is None and last is not None and now >= last
    late = [
        (position, request.agency)
        for position, request in sorted(requests.items())
        if now >= request.until and request.agency in active
    ]
    open_ = [each for each in late if each[0] not in book.dossier(each[1]).assessment.answered]
    over_again = [(agency, book.dossiers[agency].version) for agency, until in reopened(book).items() if now >= until]
    return Due(over, tuple(open_), tuple(over_again))


def reopened_until(assessment: Assessment) -> datetime | None:
    """Until when a self-assessment is reopened; None where it is not, or no longer."""
    reopened = assessment.reopened
    return None if reopened is None or reopened.closed or assessment.submitted else reopened.until


def reopened(book: Book) -> dict[str, datetime]:
    """The agencies of the period whose self-assessment is reopened, each with its new last time."""
    dossiers = [(agency, book.dossiers[agency]) for agency in sorted(book.period.active) if agency in book.dossiers]
    found = [(agency, reopened_until(dossier.assessment)) for agency, dossier in dossiers]
    return {agency: until for agency, until in found if until is not None}
