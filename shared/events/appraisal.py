"""What the appraisal service records: assignments, appraised points, council adjustments, finalising."""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events import Code, Event, Id, Instant, Points, Text

Actor = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Resolution = Annotated[str, Field(min_length=1, max_length=64)]
Choice = Literal["for", "against", "abstained"]


class Tally(BaseModel):
    """A vote of the council: all its members, then how they voted; `in_writing`: how many of the votes were written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: Annotated[int, Field(ge=1, le=99)]
    in_favour: Annotated[int, Field(ge=0, le=99)]
    against: Annotated[int, Field(ge=0, le=99)]
    abstained: Annotated[int, Field(ge=0, le=99)]
    in_writing: Annotated[int, Field(ge=0, le=99)] = 0


class AppraisalStarted(Event):
    """The period's appraisal log begins, in reaction to the period's opening; `of` is that entry's position."""

    type: ClassVar[str] = "appraisal.appraisal-started.v1"
    period: Id
    of: int


class AppraiserAssigned(Event):
    """An appraiser has fields of a group's rubric; a new assignment replaces the one before, none ends it."""

    type: ClassVar[str] = "appraisal.appraiser-assigned.v1"
    appraiser: Actor
    group: Id
    fields: Annotated[tuple[Code, ...], Field(max_length=50)]


class MonitorAssigned(Event):
    """A following body (cơ quan theo dõi) follows fields: it sees and remarks, it does not score."""

    type: ClassVar[str] = "appraisal.monitor-assigned.v1"
    monitor: Actor
    group: Id
    fields: Annotated[tuple[Code, ...], Field(max_length=50)]


class CouncilSeated(Event):
    """Who sits on the Appraisal Council, who chairs it, and who does so in the chair's place."""

    type: ClassVar[str] = "appraisal.council-seated.v1"
    chair: Actor
    members: Annotated[tuple[Actor, ...], Field(min_length=1, max_length=99)]
    deputy: Actor | None = None


class SeatsNamed(Event):
    """Name and position of those who sit on the council; `of` is the position of its seating."""

    type: ClassVar[str] = "appraisal.seats-named.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    of: int
    names: Annotated[dict[Actor, Text], Field(max_length=99)]


class AgencyOpened(Event):
    """An agency's appraisal opens, in reaction to its submission or to the closing without one (`of`)."""

    type: ClassVar[str] = "appraisal.agency-opened.v1"
    agency: Id
    submitted: bool
    of: int


class ItemAppraised(Event):
    """The appraised value of an item: `data` where a rule computes, `points` always, or not applicable.

    `judged` is the position in the submission log of the declaration or claim judged; absent where there was none.
    `appraiser` is who decided; absent in entries of the first versions.
    """

    type: ClassVar[str] = "appraisal.item-appraised.v1"
    agency: Id
    item: Code
    data: str | None = None
    points: Points | None = None
    not_applicable: bool = False
    judged: int | None = None
    recognised: bool
    reason_code: Id
    appraiser: Actor | None = None


class AppraisalReasoned(Event):
    """The words of an appraisal's reason; `of` is its position."""

    type: ClassVar[str] = "appraisal.appraisal-reasoned.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    item: Code
    of: int
    reason: Text


class ExplanationRequested(Event):
    """An appraiser flags an item; the agency answers before `until`."""

    type: ClassVar[str] = "appraisal.explanation-requested.v1"
    agency: Id
    item: Code
    until: Instant
    reason_code: Id


class ExplanationAsked(Event):
    """The words of a request for explanation; `of` is its position."""

    type: ClassVar[str] = "appraisal.explanation-asked.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    item: Code
    of: int
    question: Text


class CouncilAdjusted(Event):
    """The council fixed an item's value by a resolution that more than half of all members carried.

    `proposal` is the position of what was voted on; absent where the tally of a meeting on paper was entered.
    """

    type: ClassVar[str] = "appraisal.council-adjusted.v1"
    agency: Id
    item: Code
    data: str | None = None
    points: Points | None = None
    not_applicable: bool = False
    resolution: Resolution
    tally: Tally
    reason_code: Id
    proposal: int | None = None


class AdjustmentReasoned(Event):
    """The words of an adjustment's reason; `of` is its position."""

    type: ClassVar[str] = "appraisal.adjustment-reasoned.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    item: Code
    of: int
    reason: Text


class AgencyAppraised(Event):
    """An agency's appraisal is closed: every leaf to be appraised has a value."""

    type: ClassVar[str] = "appraisal.agency-appraised.v1"
    agency: Id


class AppraisalFinalised(Event):
    """The period's appraisal is final; its header's `seen` names submission and survey."""

    type: ClassVar[str] = "appraisal.appraisal-finalised.v1"
    agencies: Annotated[tuple[Id, ...], Field(max_length=5000)]


class SessionOpened(Event):
    """A session of the council: the day it is held, or that its members vote in writing."""

    type: ClassVar[str] = "appraisal.session-opened.v1"
    session: Id
    held_on: date
    in_writing: bool


class SessionWorded(Event):
    """Where a session is held and what it is about; `of` is its position."""

    type: ClassVar[str] = "appraisal.session-worded.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    session: Id
    of: int
    place: Text


class SessionClosed(Event):
    """A session ended with this resolution; `present` are the members who were there."""

    type: ClassVar[str] = "appraisal.session-closed.v1"
    session: Id
    resolution: Resolution
    present: Annotated[tuple[Actor, ...], Field(max_length=99)]


class AdjustmentProposed(Event):
    """A session is to vote on another value of an item: `data`, or not applicable; `proposal` is its own position."""

    type: ClassVar[str] = "appraisal.adjustment-proposed.v1"
    public: ClassVar[bool] = False
    agency: Id
    item: Code
    proposal: int
    session: Id
    data: str | None = None
    not_applicable: bool = False
    reason_code: Id


class ProposalWorded(Event):
    """The words of a proposal's reason; `of` is its position."""

    type: ClassVar[str] = "appraisal.proposal-worded.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    item: Code
    of: int
    reason: Text


class VoteCast(Event):
    """A member's vote on a proposal, present or in writing; the newest before the decision counts."""

    type: ClassVar[str] = "appraisal.vote-cast.v1"
    public: ClassVar[bool] = False
    agency: Id
    proposal: int
    member: Actor
    choice: Choice
    in_writing: bool


class ProposalRejected(Event):
    """A proposal was decided and not carried: the item keeps its value."""

    type: ClassVar[str] = "appraisal.proposal-rejected.v1"
    agency: Id
    item: Code
    proposal: int
    resolution: Resolution
    tally: Tally


class CouncilDecided(Event):
    """The council accepts the result of the appraisal and of the survey, by a resolution of a session."""

    type: ClassVar[str] = "appraisal.council-decided.v1"
    session: Id
    resolution: Resolution
    dated: date
    tally: Tally


class ConflictDeclared(Event):
    """A person has a conflict of interest with an agency and decides nothing about it from then on."""

    type: ClassVar[str] = "appraisal.conflict-declared.v1"
    public: ClassVar[bool] = False
    agency: Id
    person: Actor


class ConflictWorded(Event):
    """The words of a conflict of interest; `of` is its position."""

    type: ClassVar[str] = "appraisal.conflict-worded.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    of: int
    reason: Text


class RemarkMade(Event):
    """A following body remarks on an item, or on a field as a whole (`about`), of an agency; it scores nothing."""

    type: ClassVar[str] = "appraisal.remark-made.v1"
    public: ClassVar[bool] = False
    agency: Id
    about: Code


class RemarkWorded(Event):
    """The words of a remark; `of` is its position."""

    type: ClassVar[str] = "appraisal.remark-worded.v1"
    public: ClassVar[bool] = False
    erasable: ClassVar[bool] = True
    agency: Id
    about: Code
    of: int
    remark: Text


EVENTS: tuple[type[Event], ...] = (
    AppraisalStarted,
    AppraiserAssigned,
    MonitorAssigned,
    CouncilSeated,
    AgencyOpened,
    ItemAppraised,
    AppraisalReasoned,
    ExplanationRequested,
    ExplanationAsked,
    CouncilAdjusted,
    AdjustmentReasoned,
    AgencyAppraised,
    AppraisalFinalised,
    SeatsNamed,
    SessionOpened,
    SessionWorded,
    SessionClosed,
    AdjustmentProposed,
    ProposalWorded,
    VoteCast,
    ProposalRejected,
    CouncilDecided,
    ConflictDeclared,
    ConflictWorded,
    RemarkMade,
    RemarkWorded,
)
