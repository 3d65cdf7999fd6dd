"""The bodies that the HTTP door takes and gives."""

from datetime import date
from typing import Annotated

from pydantic import BaseModel, Field, StrictInt

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
from shared.web import Body, example


class ItemBody(Body, json_schema_extra=example(data="92,5")):
    """Declared data (`estimated`: a figure to be replaced or confirmed), or a claim of not applicable with its
    reason. `taken_from`: the draft of an earlier period that these data were seen in; its evidence comes with it."""

    data: str | None = None
    estimated: bool = False
    taken_from: Source | None = None
    not_applicable: bool = False
    reason: str = ""


class ExplanationBody(Body, json_schema_extra=example(text="Số liệu tính đến hết tháng 11.", request=31)):
    """The words of an explanation; `request` is the position of the request that it answers."""

    text: str = ""
    request: StrictInt | None = None


class UploadBody(
    Body,
    json_schema_extra=example(
        size=52431,
        sha256="3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea",
        media_type="application/pdf",
    ),
):
    """A file to come: exactly these bytes."""

    size: StrictInt
    sha256: str
    media_type: str


class EvidenceBody(
    UploadBody,
    json_schema_extra=example(
        size=52431,
        sha256="3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea",
        media_type="application/pdf",
        upload="5f3c9a0e",
        name="Kế hoạch 12-KH.pdf",
        items=["1.1.1", "1.1.3"],
    ),
):
    """A file that lies in its upload's place, and the items that it serves."""

    upload: str
    name: str
    items: Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]


class WithdrawalBody(Body, json_schema_extra=example(items=["1.1.3"])):
    """The items that a file no longer serves; none named: all of them."""

    items: Annotated[tuple[str, ...], Field(max_length=200)] = ()


class ApprovalBody(
    Body, json_schema_extra=example(digest="3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea")
):
    """What the head approves."""

    digest: Sha256


class ReopeningBody(
    Body,
    json_schema_extra=example(
        until="2024-12-10T00:00:00+07:00", reason_code="data-corrected", reason="Bổ sung số liệu quý IV."
    ),
):
    """Until when the agency may declare and submit again, and why: a reason code of its rubric, and words."""

    until: Instant
    reason_code: Code
    reason: str = ""


class SubmissionBody(
    Body, json_schema_extra=example(digest="3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea")
):
    """What is submitted; without a digest, what stands now."""

    digest: Sha256 | None = None


class ChangeBody(Body):
    """The decision that a change among the agencies rests on."""

    decision: Decision
    dated: date


class JoiningBody(
    ChangeBody,
    json_schema_extra=example(
        agency="agency-12",
        group="central",
        name={"vi": "Thuế thành phố Hà Nội"},
        predecessor="agency-02",
        decision="381/QĐ-BTC",
        dated="2025-02-26",
    ),
):
    """An agency that joins; `predecessor` is the one that it follows upon."""

    agency: Id
    group: Id
    name: Label
    predecessor: Id | None = None


class RenamingBody(
    ChangeBody,
    json_schema_extra=example(name={"vi": "Chi cục Hải quan khu vực I"}, decision="382/QĐ-BTC", dated="2025-02-26"),
):
    """An agency's new name."""

    name: Label


class LeavingBody(
    ChangeBody, json_schema_extra=example(successor="agency-12", decision="381/QĐ-BTC", dated="2025-02-26")
):
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
