"""What the appraisal service records: assignments, appraised points, council adjustments, finalising."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from shared.events import Code, Event, Id, Instant, Points, Text

Actor = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


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
    """Who sits on the Appraisal Council and who chairs it."""

    type: ClassVar[str] = "appraisal.council-seated.v1"
    chair: Actor
    members: Annotated[tuple[Actor, ...], Field(min_length=1, max_length=99)]


class AgencyOpened(Event):
    """An agency's appraisal opens, in reaction to its submission or to the closing without one (`of`)."""

    type: ClassVar[str] = "appraisal.agency-opened.v1"
    agency: Id
    submitted: bool
    of: int


class ItemAppraised(Event):
    """The appraised value of an item: `data` where a rule computes, `points` always, or not applicable.

    `judged` is the position in the submission log of the declaration or claim judged; absent where there was none.
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
    """The council fixed an item's value by a resolution that more than half of all members carried."""

    type: ClassVar[str] = "appraisal.council-adjusted.v1"
    agency: Id
    item: Code
    data: str | None = None
    points: Points | None = None
    not_applicable: bool = False
    resolution: Annotated[str, Field(min_length=1, max_length=64)]
    tally: Tally
    reason_code: Id


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
)
