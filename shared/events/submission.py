"""What the submission service records: periods, declarations, evidence, approval, submission, closing."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events import Code, Event, Id, Instant, Points, Sha256, Text
from shared.rubric import Council, RubricHead
from shared.rubric import Field as RubricField

Publication = Literal["everything", "points-only", "totals-only", "nothing"]
Decision = Annotated[str, Field(min_length=1, max_length=64)]
"""The number of a decision, such as `5691/QĐ-UBND`."""


class Part(BaseModel):
    """A value inside an event."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Deadline(Part):
    """A step's due time and, where lateness is tolerated, its last time; both exclusive instants."""

    due: Instant
    last: Instant | None = None


class Group(Part):
    """A group of agencies with one rubric; ranking is inside a group."""

    group: Id
    name_vi: Text
    name_en: Text
    ranked: bool = True


class Agency(Part):
    """An agency as it is named in this period."""

    agency: Id
    group: Id
    name_vi: Text
    name_en: Text
    publication: Publication | None = None


class SubmittedItem(Part):
    """An item as the agency stands by it: the declared data, the points that follow, or a not-applicable claim."""

    item: Code
    data: str | None = None
    points: Points | None = None
    not_applicable: bool = False


class PeriodOpened(Event):
    """A period of the index begins; the first entry of its submission log."""

    type: ClassVar[str] = "submission.period-opened.v1"
    period: Id
    kind: Literal["six-month", "year"]
    name_vi: Text
    name_en: Text
    span_from: date
    span_to: date
    deadlines: Annotated[dict[str, Deadline], Field(max_length=12)]
    groups: Annotated[tuple[Group, ...], Field(min_length=1, max_length=20)]
    explanation_days: Annotated[int, Field(ge=1, le=90)]
    appraised_points_visible_from: Instant
    retain_until: Instant
    publication: Publication
    council: Council


class RubricFieldSet(Event):
    """One field of a group's rubric; it counts only under the manifest `rubric-set` that follows."""

    type: ClassVar[str] = "submission.rubric-field-set.v1"
    group: Id
    field: RubricField


class RubricSet(Event):
    """Manifest of a group's rubric: its head, and count, first position and SHA-256 of its fields' data bytes."""

    type: ClassVar[str] = "submission.rubric-set.v1"
    group: Id
    head: RubricHead
    count: int
    first: int
    digest: Sha256


class AgenciesAdded(Event):
    """Agencies of the period, at most 200 an entry, with the names valid then."""

    type: ClassVar[str] = "submission.agencies-added.v1"
    agencies: Annotated[tuple[Agency, ...], Field(min_length=1, max_length=200)]


class AgencyJoined(Event):
    """An agency joined a period that had started, by a decision; `predecessor` is the agency that it follows upon."""

    type: ClassVar[str] = "submission.agency-joined.v1"
    agency: Id
    group: Id
    name_vi: Text
    name_en: Text
    publication: Publication | None = None
    predecessor: Id | None = None
    decision: Decision
    dated: date


class AgencyRenamed(Event):
    """An agency bears another name from here on, by a decision; what was published before keeps the old one."""

    type: ClassVar[str] = "submission.agency-renamed.v1"
    agency: Id
    name_vi: Text
    name_en: Text
    decision: Decision
    dated: date


class AgencyWithdrawn(Event):
    """An agency takes no further part in the period, by a decision: its card is kept and not ranked.

    `successor` is the agency that it was merged into or that follows upon it.
    """

    type: ClassVar[str] = "submission.agency-withdrawn.v1"
    agency: Id
    successor: Id | None = None
    decision: Decision
    dated: date


class PeriodStarted(Event):
    """Rubrics and agencies are complete; agencies may declare."""

    type: ClassVar[str] = "submission.period-started.v1"


class Source(Part):
    """The entry of another period's log that a declaration was taken over from."""

    log: Annotated[str, Field(pattern=r"^submission/[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
    position: Annotated[int, Field(ge=0)]


class PointsDeclared(Event):
    """An agency declared an item's data; `points` follow from the item's rule (typed only on by-hand items).

    `estimated`: the figure's span ends later; the agency replaces or confirms it by a declaration without the mark.
    `taken_from`: the declaration of an earlier period that the agency took over.
    """

    type: ClassVar[str] = "submission.points-declared.v1"
    agency: Id
    item: Code
    data: str
    points: Points
    estimated: Literal[True] | None = None
    taken_from: Source | None = None


class NotApplicableClaimed(Event):
    """An agency claims that an item does not apply to it; a claim moves no maximum by itself."""

    type: ClassVar[str] = "submission.not-applicable-claimed.v1"
    agency: Id
    item: Code


class NotApplicableReasoned(Event):
    """The words of a not-applicable claim; `of` is the claim's position."""

    type: ClassVar[str] = "submission.not-applicable-reasoned.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    item: Code
    of: int
    reason: Text


class EvidenceUploaded(Event):
    """A verification document was read back, checked and stored under its SHA-256; it serves the items named."""

    type: ClassVar[str] = "submission.evidence-uploaded.v1"
    agency: Id
    items: Annotated[tuple[Code, ...], Field(min_length=1, max_length=200)]
    sha256: Sha256
    size: int
    media_type: str


class EvidenceNamed(Event):
    """The file name of an uploaded document; `of` is its upload's position."""

    type: ClassVar[str] = "submission.evidence-named.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    of: int
    name: Annotated[str, Field(min_length=1, max_length=255)]


class EvidenceWithdrawn(Event):
    """An agency withdrew a document from these items before it submitted; the file and its record are kept."""

    type: ClassVar[str] = "submission.evidence-withdrawn.v1"
    agency: Id
    sha256: Sha256
    items: Annotated[tuple[Code, ...], Field(min_length=1, max_length=200)]


class ExplanationGiven(Event):
    """An agency explained an item: instead of evidence before submission, or in answer to a request (`request` is the
    position of that request in the appraisal log)."""

    type: ClassVar[str] = "submission.explanation-given.v1"
    agency: Id
    item: Code
    request: int | None = None


class ExplanationWorded(Event):
    """The words of an explanation; `of` is the explanation's position."""

    type: ClassVar[str] = "submission.explanation-worded.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    item: Code
    of: int
    text: Text


class ExplanationClosed(Event):
    """The time to answer a request for explanation ended without an answer; the appraised points stay."""

    type: ClassVar[str] = "submission.explanation-closed.v1"
    agency: Id
    item: Code
    request: int


class SelfAssessmentApproved(Event):
    """The agency's head approved exactly the self-assessment that `digest` names."""

    type: ClassVar[str] = "submission.self-assessment-approved.v1"
    agency: Id
    digest: Sha256


class SelfAssessmentSubmitted(Event):
    """The self-assessment went to the council: the points of every self-assessed item and their total."""

    type: ClassVar[str] = "submission.self-assessment-submitted.v1"
    agency: Id
    digest: Sha256
    items: Annotated[tuple[SubmittedItem, ...], Field(max_length=1000)]
    total: Points


class SelfAssessmentClosed(Event):
    """The step of self-assessment ended for the period: who submitted and who did not."""

    type: ClassVar[str] = "submission.self-assessment-closed.v1"
    submitted: tuple[Id, ...]
    not_submitted: tuple[Id, ...]


class SelfAssessmentReopened(Event):
    """An officer reopened one agency's self-assessment until a new last time (exclusive); what was submitted no longer
    counts as submitted. `reason_code` is one of its rubric."""

    type: ClassVar[str] = "submission.self-assessment-reopened.v1"
    agency: Id
    until: Instant
    reason_code: Code


class ReopeningReasoned(Event):
    """The words of a reopening; `of` is the reopening's position."""

    type: ClassVar[str] = "submission.reopening-reasoned.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    of: int
    reason: Text


class ReopeningClosed(Event):
    """The new last time of a reopened self-assessment passed without a submission. `submitted`: whether one stands all
    the same, because nothing was changed since the submission before the reopening."""

    type: ClassVar[str] = "submission.reopening-closed.v1"
    agency: Id
    submitted: bool


EVENTS: tuple[type[Event], ...] = (
    PeriodOpened,
    RubricFieldSet,
    RubricSet,
    AgenciesAdded,
    AgencyJoined,
    AgencyRenamed,
    AgencyWithdrawn,
    PeriodStarted,
    PointsDeclared,
    NotApplicableClaimed,
    NotApplicableReasoned,
    EvidenceUploaded,
    EvidenceNamed,
    EvidenceWithdrawn,
    ExplanationGiven,
    ExplanationWorded,
    ExplanationClosed,
    SelfAssessmentApproved,
    SelfAssessmentSubmitted,
    SelfAssessmentClosed,
    SelfAssessmentReopened,
    ReopeningReasoned,
    ReopeningClosed,
)
