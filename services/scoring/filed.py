"""What the agencies of a period filed: the fold of its submission log, and the drafts that a fold changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from shared.events import Entry, Event
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
)
from shared.period import Period


class Declared(NamedTuple):
    """What an agency declared on an item last; `claimed`: that the item does not apply to it."""

    position: int
    data: str | None
    points: Decimal | None
    claimed: bool = False


@dataclass
class Assessed:
    """One agency's declarations. `answered`: the requests, by position in the appraisal log, answered or closed;
    `lapsed`: those of them that closed without an answer. `evidence`: the files of each item, by SHA-256; `explained`:
    the items with an explanation. `approved`: the head has approved what stands.

    `reopened`: open again by an officer until `until`, neither submitted nor closed yet. `late`: whether its
    self-assessment stands after a reopening, whatever the period's closing said; None where none was reopened.
    """

    items: dict[str, Declared] = field(default_factory=dict)
    submitted: int | None = None
    answered: set[int] = field(default_factory=set)
    lapsed: set[int] = field(default_factory=set)
    evidence: dict[str, frozenset[str]] = field(default_factory=dict)
    explained: set[str] = field(default_factory=set)
    approved: bool = False
    reopened: bool = False
    until: datetime | None = None
    late: bool | None = None

    def copy(self) -> "Assessed":
        """Another one that may change."""
        return replace(
            self,
            items=self.items.copy(),
            answered=self.answered.copy(),
            lapsed=self.lapsed.copy(),
            evidence=self.evidence.copy(),
            explained=self.explained.copy(),
        )

    @property
    def proved(self) -> frozenset[str]:
        """The items with evidence or an explanation."""
        return frozenset(item for item, files in self.evidence.items() if files) | self.explained

    def take(self, position: int, event: Event) -> bool:
        """Take an event of the agency's; False for one that is not the agency's."""
        return self._filed(position, event) or self._stands(position, event)

    def _filed(self, position: int, event: Event) -> bool:
        """Data, evidence and explanations; what the head approved before no longer stands then."""
        match event:
            case PointsDeclared():
                self.items[event.item] = Declared(position, event.data, event.points)
            case NotApplicableClaimed():
                self.items[event.item] = Declared(position, None, None, claimed=True)
            case EvidenceUploaded():
                for item in event.items:
                    self.evidence[item] = self.evidence.get(item, frozenset()) | {event.sha256}
            case EvidenceWithdrawn():
                for item in event.items:
                    self.evidence[item] = self.evidence.get(item, frozenset()) - {event.sha256}
            case ExplanationGiven(request=None):
                self.explained.add(event.item)
            case _:
                return False
        self.approved = False
        return True

    def _stands(self, position: int, event: Event) -> bool:
        """Answers, and whether the self-assessment stands."""
        match event:
            case ExplanationGiven(request=int(request)):
                self.answered.add(request)
            case ExplanationClosed(request=request):
                self.answered.add(request)
                self.lapsed.add(request)
            case SelfAssessmentApproved():
                self.approved = True
            case SelfAssessmentSubmitted():
                self.submitted, self.reopened = position, False
                self.late = None if self.late is None else True
            case SelfAssessmentReopened():
                self.submitted, self.late, self.reopened, self.until = None, True, True, event.until
            case ReopeningClosed():
                self.submitted, self.late = position if event.submitted else None, event.submitted
                self.reopened = False
            case _:
                return False
        return True


@dataclass(frozen=True)
class SubmissionState:
    """A period and what its agencies declared, after a prefix of its submission log."""

    period: Period = field(default_factory=Period)
    agencies: Mapping[str, Assessed] = field(default_factory=dict)

    def fold(self, entries: Sequence[Entry]) -> "SubmissionState":
        """The state after more entries of the log; this one stays as it is."""
        period, drafts = self.period, Drafts(self.agencies, Assessed)
        for entry in entries:
            event = said(entry)
            changed = period.evolve(event)
            if changed is not period:
                period = changed
            elif (agency := getattr(event, "agency", None)) is not None:
                drafts.of(agency).take(entry.position, event)
        return SubmissionState(period, drafts.all)


class Draft(Protocol):
    """What a fold changes."""

    def copy(self) -> Self:
        """Another one that may change."""


A = TypeVar("A", bound=Draft)


class Drafts(Generic[A]):
    """The agencies' states while a batch is folded: each is copied once, when the batch first changes it."""

    def __init__(self, agencies: Mapping[str, A], new: Callable[[], A]) -> None:
        self.all: dict[str, A] = dict(agencies)
        self._new: Callable[[], A] = new
        self._fresh: set[str] = set()

    def of(self, agency: str) -> A:
        """The agency's state, for the batch to change."""
        if agency not in self._fresh:
            self._fresh.add(agency)
            known = self.all.get(agency)
            self.all[agency] = self._new() if known is None else known.copy()
        return self.all[agency]


def said(entry: Entry) -> Event:
    """The event of a score-bearing entry; ValueError where its data is gone, which no erasure can do."""
    if entry.event is None:
        raise ValueError(f"entry {entry.position} of {entry.log} bears on the score and has no data")
    return entry.event
