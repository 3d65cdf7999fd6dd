"""The bodies that the HTTP door takes and gives."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from services.submission import views
from shared.events import Code, Id, Instant, Sha256
from shared.events.submission import (
    Agency,
    AgencyWithdrawn,
    Decision,
    Group,
    PeriodOpened,
    SelfAssessmentClosed,
    Source,
)
from shared.rubric import Label, Rubric


class Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ItemBody(Body):
    """Declared data (`estimated`: a figure to be replaced or confirmed), or a claim of not applicable with its
    reason. `taken_from`: the draft of an earlier period that these data were seen in; its evidence comes with it."""

    data: str | None = None
    estimated: bool = False
    taken_from: Source | None = None
    not_applicable: bool = False
    reason: str = ""


class ExplanationBody(Body):
    """The words of an explanation; `request` is the position of the request that it answers."""

    text: str = ""
    request: StrictInt | None = None


class UploadBody(Body):
    """A file to come: exactly these bytes."""

    size: StrictInt
    sha256: str
    media_type: str


class EvidenceBody(UploadBody):
    """A file that lies in its upload's place, and the items that it serves."""

    upload: str
    name: str
    items: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]


class WithdrawalBody(Body):
    """The items that a file no longer serves; none named: all of them."""

    items: Annotated[tuple[str, ...], Field(max_length=200)] = ()


class ApprovalBody(Body):
    """What the head approves."""

    digest: Sha256


class ReopeningBody(Body):
    """Until when the agency may declare and submit again, and why: a reason code of its rubric, and words."""

    until: Instant
    reason_code: Code
    reason: str = ""


class SubmissionBody(Body):
    """What is submitted; without a digest, what stands now."""

    digest: Sha256 | None = None


class ChangeBody(Body):
    """The decision that a change among the agencies rests on."""

    decision: Decision
    dated: date


class JoiningBody(ChangeBody):
    """An agency that joins; `predecessor` is the one that it follows upon."""

    agency: Id
    group: Id
    name: Label
    predecessor: Id | None = None


class RenamingBody(ChangeBody):
    """An agency's new name."""

    name: Label


class LeavingBody(ChangeBody):
    """The end of an agency's part; `successor` is the one that follows upon it."""

    successor: Id | None = None


class PeriodAnswer(BaseModel):
    """A period: its opening, its agencies, and whether its self-assessment is closed.

    `reopened` says until when an agency may submit again. `submitted` names the agencies that have submitted; agencies
    themselves see neither, nor the closing's names.
    """

    opened: PeriodOpened
    groups: list[Group]
    agencies: list[Agency]
    withdrawn: list[AgencyWithdrawn]
    rubrics: dict[str, str]
    started: bool
    closed: bool
    submitted: list[str] | None
    reopened: dict[str, Instant] | None
    closing: SelfAssessmentClosed | None
    heads: dict[str, views.Head]


class RubricAnswer(BaseModel):
    """The rubric of one group of agencies."""

    group: Id
    rubric: Rubric
    heads: dict[str, views.Head]
