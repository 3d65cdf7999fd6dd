"""The bodies that the doors take."""

from datetime import date
from typing import Annotated

from pydantic import Field

from shared.events import Code, Id, Instant
from shared.events.appraisal import Choice, Resolution, Tally
from shared.web import Body, example

Subject = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=4000)]


class AssignmentBody(Body, json_schema_extra=example(subject="appraiser-1", group="central", fields=["1", "2"])):
    """Who (the token's `sub`) gets which fields of a group's rubric."""

    subject: Subject
    group: Id
    fields: Annotated[tuple[Code, ...], Field(max_length=50)]


class CouncilBody(
    Body, json_schema_extra=example(chair="chair-1", deputy="member-2", members=["chair-1", "member-2", "member-3"])
):
    """The council's members, its chair and the deputy, by their tokens' `sub`; `names`: `sub` → name and position."""

    chair: Subject
    deputy: Subject | None = None
    members: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=99)]
    names: Annotated[dict[Subject, Annotated[str, Field(max_length=400)]], Field(max_length=99, default_factory=dict)]


class RecognitionBody(Body, json_schema_extra=example(field="1", reason="Đủ tài liệu kiểm chứng.")):
    """Items to recognise as declared, or a field whose remaining items are; `judged`: item → declaration's position.

    `replaces`: item → revision of its appraisal that was seen; needed where that is another appraiser's.
    """

    items: Annotated[tuple[Code, ...], Field(max_length=200)] = ()
    field: Code | None = None
    judged: dict[Code, int] = Field(default_factory=dict)
    reason_code: Id = "as-declared"
    reason: Words = ""
    replaces: dict[Code, int] = Field(default_factory=dict)


class AppraisalBody(
    Body, json_schema_extra=example(data="68", judged=14, reason_code="data-corrected", reason="Báo cáo ghi 68%.")
):
    """An item's corrected data, or that it does not apply; `judged`: the declaration's position.

    `replaces`: the revision of the item's appraisal that was seen; needed where that is another appraiser's.
    """

    data: Annotated[str, Field(max_length=200)] | None = None
    not_applicable: bool = False
    judged: int | None = None
    reason_code: Id
    reason: Words = ""
    replaces: int | None = None


class RequestBody(
    Body,
    json_schema_extra=example(
        until="2024-12-20T00:00:00+07:00", reason_code="evidence-insufficient", question="Căn cứ tính tỷ lệ?"
    ),
):
    """A question to the agency, to be answered before `until`."""

    until: Instant
    reason_code: Id
    question: Words = ""


class RemarkBody(Body, json_schema_extra=example(about="1.1.4", remark="Báo cáo quý IV đã gửi.")):
    """A remark on an item or on a field as a whole."""

    about: Code
    remark: Words = ""


class ConflictBody(Body, json_schema_extra=example(reason="Từng công tác tại cơ quan này.")):
    """What the conflict of interest is."""

    reason: Words = ""


class AdjustmentBody(
    Body,
    json_schema_extra=example(
        data="92",
        resolution="12/NQ-HĐTĐ",
        tally={"members": 10, "in_favour": 7, "against": 2, "abstained": 1, "in_writing": 3},
        reason_code="council-resolution",
        reason="Có tài liệu bổ sung.",
    ),
):
    """The council's value of an item with its resolution and vote."""

    data: Annotated[str, Field(max_length=200)] | None = None
    not_applicable: bool = False
    resolution: Annotated[str, Field(min_length=1, max_length=64)]
    tally: Tally
    reason_code: Id
    reason: Words = ""


class SessionBody(
    Body, json_schema_extra=example(session="session-1", held_on="2025-01-16", place="Trụ sở UBND Thành phố")
):
    """A session: its name, its day, whether the members vote in writing, and where it is held or what it is about."""

    session: Id
    held_on: date
    in_writing: bool = False
    place: Words = ""


class SessionClosingBody(Body, json_schema_extra=example(resolution="12/NQ-HĐTĐ", present=["chair-1", "member-2"])):
    """How a session ended: its resolution, and the members who were there, by their tokens' `sub`."""

    resolution: Resolution
    present: Annotated[tuple[Subject, ...], Field(max_length=99)] = ()


class DecisionBody(
    Body,
    json_schema_extra=example(
        resolution="13/NQ-HĐTĐ",
        dated="2025-01-16",
        tally={"members": 10, "in_favour": 9, "against": 0, "abstained": 1, "in_writing": 2},
    ),
):
    """The council's acceptance of the result: resolution, its date, and the vote."""

    resolution: Resolution
    dated: date
    tally: Tally


class ProposalBody(
    Body,
    json_schema_extra=example(
        session="session-1", item="1.1.4", data="92", reason_code="council-resolution", reason="Có tài liệu bổ sung."
    ),
):
    """Another value of an item, for a session to vote on."""

    session: Id
    item: Code
    data: Annotated[str, Field(max_length=200)] | None = None
    not_applicable: bool = False
    reason_code: Id
    reason: Words = ""


class VoteBody(Body, json_schema_extra=example(choice="for")):
    """A member's own vote."""

    choice: Choice
    in_writing: bool = False


class SettlingBody(Body, json_schema_extra=example(resolution="12/NQ-HĐTĐ", reason="Chấp nhận giải trình.")):
    """The end of a vote: the resolution, and why the council decides so (needed where the proposal is carried)."""

    resolution: Resolution
    reason: Words = ""
