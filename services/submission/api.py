"""The HTTP door: periods, self-assessments, evidence, approval, submission, and the intake of agencies' systems."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from services.submission import asks, evidence, intake, takeover, views
from services.submission import period as periods
from services.submission import report as reports
from services.submission.bodies import (
    ApprovalBody,
    EvidenceBody,
    ExplanationBody,
    ItemBody,
    JoiningBody,
    LeavingBody,
    PeriodAnswer,
    RenamingBody,
    ReopeningBody,
    RubricAnswer,
    SubmissionBody,
    UploadBody,
    WithdrawalBody,
)
from services.submission.book import reopened
from services.submission.desk import Desk
from services.submission.intake import Intake, Receipt
from services.submission.reminders import RemindersAnswer
from shared.access import Caller, Role, own_agency, require
from shared.decider import Rejected
from shared.events import Id, Sha256
from shared.ledger import Accepted
from shared.objects import Bucket, ObjectMissing, StoreUnavailable
from shared.rubric import PeriodOpening
from shared.web import AcceptedBody, Problem, Terms, accepted, etag, terms

PROBLEMS: Final[Mapping[str, Problem]] = {
    "agency-exists": Problem(409, "The agency takes part already", "Cơ quan đã có trong kỳ đánh giá"),
    "agency-withdrawn": Problem(409, "The agency has left the period", "Cơ quan không còn tham gia kỳ đánh giá"),
    "agency-unknown": Problem(404, "No such agency in this period", "Kỳ đánh giá không có cơ quan này"),
    "already-submitted": Problem(409, "The self-assessment is submitted", "Báo cáo tự đánh giá đã nộp"),
    "answer-missing": Problem(422, "Another item must be declared first", "Phải kê khai một mục khác trước"),
    "answer-unknown": Problem(422, "No rule for another item's data", "Không có quy tắc cho số liệu của mục liên quan"),
    "approval-missing": Problem(409, "The head's approval is missing", "Thiếu phê duyệt của thủ trưởng cơ quan"),
    "attribute-invalid": Problem(400, "An attribute is malformed", "Thuộc tính của thông điệp sai quy cách"),
    "attribute-missing": Problem(400, "An attribute is missing", "Thông điệp thiếu thuộc tính"),
    "batch-too-large": Problem(413, "Too many events in a batch", "Lô có quá nhiều thông điệp"),
    "data-invalid": Problem(422, "The data do not fit the item", "Số liệu không hợp lệ với tiêu chí"),
    "digest-differs": Problem(409, "The self-assessment has changed", "Báo cáo tự đánh giá đã thay đổi"),
    "draft-differs": Problem(409, "These are not the draft's data", "Không đúng số liệu của bản nháp"),
    "draft-unknown": Problem(404, "There is no such draft", "Không có bản nháp này"),
    "evidence-differs": Problem(422, "The file is not what was declared", "Tệp không đúng như khai báo"),
    "evidence-kind-refused": Problem(415, "The kind of file is not taken", "Loại tệp không được chấp nhận"),
    "evidence-missing": Problem(409, "The file is not uploaded", "Tệp chưa được tải lên"),
    "evidence-too-large": Problem(413, "The file's size is not taken", "Dung lượng tệp không được chấp nhận"),
    "evidence-too-many": Problem(422, "Too many files for an item", "Tiêu chí có quá nhiều tệp"),
    "evidence-unknown": Problem(404, "There is no such file", "Không có tệp này"),
    "item-always-applies": Problem(422, "The item applies to everyone", "Tiêu chí áp dụng cho mọi cơ quan"),
    "item-not-self-assessed": Problem(422, "The item is not self-assessed", "Tiêu chí không do cơ quan tự đánh giá"),
    "item-unknown": Problem(404, "There is no such item", "Không có tiêu chí này"),
    "level-unknown": Problem(422, "There is no such level", "Không có mức này"),
    "message-too-large": Problem(413, "The message is too large", "Thông điệp quá lớn"),
    "group-unknown": Problem(404, "No such group in the period", "Không có nhóm cơ quan này"),
    "name-unchanged": Problem(409, "The agency bears this name", "Cơ quan đã mang tên này"),
    "name-invalid": Problem(422, "The file's name cannot be used", "Tên tệp không hợp lệ"),
    "not-json": Problem(400, "The message is not JSON", "Thông điệp không phải JSON"),
    "period-exists": Problem(409, "The period is open already", "Kỳ đánh giá đã được mở"),
    "period-invalid": Problem(422, "The period cannot be opened so", "Kỳ đánh giá không hợp lệ"),
    "period-not-earlier": Problem(422, "The period is not an earlier one", "Không phải kỳ đánh giá trước"),
    "period-not-started": Problem(409, "The period has not started", "Kỳ đánh giá chưa bắt đầu"),
    "period-published": Problem(409, "The index is published", "Chỉ số của kỳ đã công bố"),
    "period-unknown": Problem(404, "There is no such period", "Không có kỳ đánh giá này"),
    "points-above-maximum": Problem(422, "Points above the maximum", "Điểm vượt mức tối đa"),
    "points-negative": Problem(422, "Points below zero", "Điểm nhỏ hơn 0"),
    "points-off-step": Problem(422, "Points between two steps", "Điểm không đúng bước"),
    "reason-code-unknown": Problem(422, "No such reason code", "Không có mã lý do này"),
    "reason-missing": Problem(422, "The words are missing", "Thiếu lý do hoặc nội dung giải trình"),
    "request-answered": Problem(409, "The request is answered or closed", "Yêu cầu giải trình đã trả lời hoặc đã đóng"),
    "request-closed": Problem(409, "The time to answer has ended", "Đã hết hạn giải trình"),
    "request-open": Problem(409, "The request is still open", "Yêu cầu giải trình còn hạn"),
    "request-unknown": Problem(404, "There is no such request", "Không có yêu cầu giải trình này"),
    "rubric-invalid": Problem(422, "A rubric cannot be computed", "Bộ tiêu chí không tính được"),
    "self-assessment-incomplete": Problem(409, "The self-assessment is incomplete", "Báo cáo tự đánh giá chưa đầy đủ"),
    "step-closed": Problem(409, "The step has ended", "Bước tự đánh giá đã kết thúc"),
    "step-still-open": Problem(409, "The step is still open", "Bước tự đánh giá còn hạn"),
    "store-unavailable": Problem(503, "The object store cannot be reached", "Không truy cập được kho tệp"),
    "successor-invalid": Problem(422, "No such successor is possible", "Cơ quan kế thừa không hợp lệ"),
    "text-too-long": Problem(422, "The text is too long", "Nội dung quá dài"),
    "type-unknown": Problem(422, "The type of event is unknown", "Loại thông điệp không xác định"),
    "until-passed": Problem(422, "The time lies in the past", "Thời hạn đã qua"),
    "upload-unknown": Problem(404, "There is no such upload", "Không có lượt tải lên này"),
}
"""The codes that this service adds to those of every service; they are the receipts' codes too."""

_READERS: Final = (Role.OFFICER, Role.APPRAISER, Role.COUNCIL, Role.COUNCIL_CHAIR, Role.AUDITOR)
_WATCHERS: Final = (*_READERS, Role.MONITOR, Role.APPROVER, Role.SURVEY_OFFICER)
_OWN: Final = (Role.AGENCY, Role.AGENCY_HEAD)

Officer = Annotated[Caller, Depends(require(Role.OFFICER))]
System = Annotated[Caller, Depends(require(Role.AGENCY))]
Head = Annotated[Caller, Depends(require(Role.AGENCY_HEAD))]
Watcher = Annotated[Caller, Depends(require(*_WATCHERS, *_OWN))]
Reader = Annotated[Caller, Depends(require(*_READERS, *_OWN))]
ReportFormat = Annotated[reports.Format, Query(alias="format")]
Reminded = Annotated[Caller, Depends(require(Role.OFFICER, *_OWN))]
CommandTerms = Annotated[Terms, Depends(terms)]


def router(desk_: Desk, intake_: Intake) -> APIRouter:
    """The routes of this service."""
    routes = APIRouter()
    _periods(routes, desk_)
    _agencies(routes, desk_)
    _items(routes, desk_)
    _drafts(routes, desk_)
    _evidence(routes, desk_)
    _finish(routes, desk_)
    _intake(routes, intake_)
    return routes


_ACCEPTED: Final[dict[int | str, dict[str, Any]]] = {201: {"model": AcceptedBody}, 200: {"model": AcceptedBody}}


def _periods(routes: APIRouter, desk_: Desk) -> None:
    @routes.post("/periods", tags=["periods"], responses=_ACCEPTED)
    async def open_period(body: PeriodOpening, caller: Officer, terms: CommandTerms) -> Response:
        """Open a period with its rubrics, agencies and deadlines."""
        return accepted(await desk_.open_period(body, caller.actor, terms))

    @routes.get("/periods/{period}", tags=["periods"])
    async def period(period: Id, caller: Watcher) -> PeriodAnswer:
        """A period: what was opened, who is assessed, how far the step of self-assessment is."""
        book, heads = await desk_.book(period)
        known, watches = book.period, caller.has(*_WATCHERS)
        opened = known.the_opened()
        return PeriodAnswer(
            opened=opened,
            groups=list(opened.groups),
            agencies=list(known.agencies.values()),
            withdrawn=list(known.withdrawn.values()),
            rubrics={group: rubric.id for group, rubric in known.rubrics.items()},
            started=known.started,
            closed=known.closed is not None,
            submitted=sorted(book.standing.submitted) if watches else None,
            reopened=reopened(book) if watches else None,
            closing=known.closed if watches else None,
            heads={log: views.Head(size=size) for log, size in heads.items()},
        )

    @routes.get("/periods/{period}/rubrics/{group}", tags=["periods"])
    async def rubric(period: Id, group: Id, caller: Watcher) -> RubricAnswer:
        """The rubric of a group of agencies."""
        book, heads = await desk_.book(period)
        found = book.period.rubrics.get(group)
        if found is None:
            raise Rejected("not-found", "the period has no such group", "group")
        return RubricAnswer(
            group=group, rubric=found, heads={log: views.Head(size=size) for log, size in heads.items()}
        )

    @routes.get("/periods/{period}/reminders", tags=["periods"])
    async def reminders(
        period: Id, caller: Reminded, days: Annotated[int, Query(ge=0, le=366)] = 14
    ) -> RemindersAnswer:
        """What is overdue, due within so many days, or missing: of all agencies for officers, else of one's own."""
        if caller.has(Role.OFFICER):
            return await desk_.reminders(period, days, None)
        if caller.agency is None:
            raise Rejected("other-agency", "your token speaks for no agency", "agency")
        return await desk_.reminders(period, days, caller.agency)

    @routes.post("/periods/{period}/closing", tags=["periods"], responses=_ACCEPTED)
    async def close(period: Id, caller: Officer, terms: CommandTerms) -> Response:
        """Close the step of self-assessment: at its last time, or earlier once every agency has submitted."""
        return accepted(await desk_.close_self_assessment(period, caller.actor, terms))

    @routes.post("/periods/{period}/agencies/{agency}/reopening", tags=["periods"], responses=_ACCEPTED)
    async def reopen(period: Id, agency: Id, body: ReopeningBody, caller: Officer, terms: CommandTerms) -> Response:
        """Reopen one agency's self-assessment until a new last time; it then closes by itself."""
        return accepted(
            await desk_.reopen(period, agency, body.until, body.reason_code, body.reason, caller.actor, terms)
        )


def _agencies(routes: APIRouter, desk_: Desk) -> None:
    @routes.post("/periods/{period}/agencies", tags=["periods"], responses=_ACCEPTED)
    async def join(period: Id, body: JoiningBody, caller: Officer, terms: CommandTerms) -> Response:
        """Take an agency into a group of a period that has started, by a decision."""
        change = partial(
            periods.JoinAgency,
            body.agency,
            body.decision,
            body.dated,
            group=body.group,
            name=body.name,
            predecessor=body.predecessor,
        )
        return accepted(await desk_.change_agencies(period, change, caller.actor, terms))

    @routes.post("/periods/{period}/agencies/{agency}/renaming", tags=["periods"], responses=_ACCEPTED)
    async def rename(period: Id, agency: Id, body: RenamingBody, caller: Officer, terms: CommandTerms) -> Response:
        """Give an agency another name from now on, by a decision; what was published keeps the names of its time."""
        change = partial(periods.RenameAgency, agency, body.decision, body.dated, name=body.name)
        return accepted(await desk_.change_agencies(period, change, caller.actor, terms))

    @routes.post("/periods/{period}/agencies/{agency}/withdrawal", tags=["periods"], responses=_ACCEPTED)
    async def withdraw(period: Id, agency: Id, body: LeavingBody, caller: Officer, terms: CommandTerms) -> Response:
        """End an agency's part in the period, by a decision: its card is kept and not ranked."""
        change = partial(periods.WithdrawAgency, agency, body.decision, body.dated, successor=body.successor)
        return accepted(await desk_.change_agencies(period, change, caller.actor, terms))


def _items(routes: APIRouter, desk_: Desk) -> None:
    @routes.get("/periods/{period}/agencies/{agency}", tags=["self-assessment"])
    async def self_assessment(period: Id, agency: Id, caller: Reader, response: Response) -> views.SelfAssessmentAnswer:
        """An agency's self-assessment: items, evidence, requests, digest, and what a submission still lacks."""
        _may_read(caller, agency)
        answer = await desk_.self_assessment(period, agency)
        response.headers["ETag"] = etag(answer.version)
        return answer

    @routes.put("/periods/{period}/agencies/{agency}/items/{item}", tags=["self-assessment"], responses=_ACCEPTED)
    async def declare(
        period: Id, agency: Id, item: str, body: ItemBody, caller: System, terms: CommandTerms
    ) -> Response:
        """Declare an item's data, or claim with a reason that it does not apply."""
        claims = body.estimated or body.taken_from is not None
        if (body.data is None) != body.not_applicable or (claims and body.data is None):
            raise Rejected("body-invalid", "send either data, or not_applicable with its reason", "data")
        if body.data is None:
            return await _ask(
                desk_, caller, agency, terms, asks.ClaimNotApplicable(period=period, item=item, reason=body.reason)
            )
        ask = asks.Declare(
            period=period, item=item, data=body.data, estimated=body.estimated or None, taken_from=body.taken_from
        )
        return await _ask(desk_, caller, agency, terms, ask)

    @routes.put(
        "/periods/{period}/agencies/{agency}/items/{item}/explanation", tags=["self-assessment"], responses=_ACCEPTED
    )
    async def explain(
        period: Id, agency: Id, item: str, body: ExplanationBody, caller: System, terms: CommandTerms
    ) -> Response:
        """Explain an item: instead of evidence, or in answer to a request."""
        ask = asks.Explain(period=period, item=item, text=body.text, request=body.request)
        return await _ask(desk_, caller, agency, terms, ask)


def _drafts(routes: APIRouter, desk_: Desk) -> None:
    @routes.get("/periods/{period}/agencies/{agency}/drafts", tags=["self-assessment"])
    async def drafts(
        period: Id, agency: Id, caller: Reader, earlier: Annotated[Id, Query(alias="from")]
    ) -> takeover.DraftsAnswer:
        """What the agency declared in an earlier period, item by item, to be looked at and taken over."""
        _may_read(caller, agency)
        return await desk_.drafts(period, earlier, agency)

    @routes.get("/periods/{period}/agencies/{agency}/report", tags=["self-assessment"], response_class=Response)
    async def report(period: Id, agency: Id, caller: Reader, format_: ReportFormat = "docx") -> Response:
        """The self-assessment report in its official layout, with the digest that the head approved."""
        _may_read(caller, agency)
        built = await desk_.report(period, agency)
        content = await asyncio.to_thread(reports.file, built, format_)
        headers = {"Content-Disposition": f'attachment; filename="self-assessment-{period}-{agency}.{format_}"'}
        return Response(content, media_type=reports.MEDIA_TYPES[format_], headers=headers)


def _evidence(routes: APIRouter, desk_: Desk) -> None:
    @routes.post("/periods/{period}/agencies/{agency}/uploads", tags=["evidence"], status_code=201)
    async def upload(period: Id, agency: Id, body: UploadBody, caller: System, terms: CommandTerms) -> asks.Upload:
        """A place to put a file: PUT the bytes there, then confirm."""
        own_agency(caller, agency)
        place = await desk_.ask(agency, asks.RequestUpload(period=period, **body.model_dump()), caller.actor, terms)
        assert isinstance(place, asks.Upload)
        return place

    @routes.post("/periods/{period}/agencies/{agency}/evidence", tags=["evidence"], responses=_ACCEPTED)
    async def confirm(period: Id, agency: Id, body: EvidenceBody, caller: System, terms: CommandTerms) -> Response:
        """Confirm an uploaded file: it is read back and checked before anything is recorded."""
        return await _ask(desk_, caller, agency, terms, asks.ConfirmEvidence(period=period, **body.model_dump()))

    @routes.post(
        "/periods/{period}/agencies/{agency}/evidence/{sha256}/withdrawal", tags=["evidence"], responses=_ACCEPTED
    )
    async def withdraw(
        period: Id, agency: Id, sha256: Sha256, body: WithdrawalBody, caller: System, terms: CommandTerms
    ) -> Response:
        """Withdraw a file from items before the submission; the file and its record are kept."""
        ask = asks.WithdrawEvidence(period=period, sha256=sha256, items=body.items)
        return await _ask(desk_, caller, agency, terms, ask)

    @routes.get(
        "/periods/{period}/agencies/{agency}/evidence/{sha256}", tags=["evidence"], response_class=StreamingResponse
    )
    async def file(period: Id, agency: Id, sha256: Sha256, caller: Reader) -> Response:
        """An agency's file, as it was checked."""
        _may_read(caller, agency)
        line = await desk_.document(period, agency, sha256)
        objects, place = desk_.service.objects, evidence.place(sha256)
        try:
            await objects.stat(Bucket.DATA, place)
        except (ObjectMissing, StoreUnavailable):
            raise Rejected("store-unavailable", "the object store does not give the file now") from None
        name = quote(line.name or sha256, safe="")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Content-Length": str(line.size)}
        return StreamingResponse(objects.stream(Bucket.DATA, place), media_type=line.media_type, headers=headers)


def _finish(routes: APIRouter, desk_: Desk) -> None:
    @routes.post("/periods/{period}/agencies/{agency}/approval", tags=["self-assessment"], responses=_ACCEPTED)
    async def approve(period: Id, agency: Id, body: ApprovalBody, caller: Head, terms: CommandTerms) -> Response:
        """The head approves exactly the self-assessment that the digest names."""
        own_agency(caller, agency)
        return accepted(await desk_.approve(period, agency, body.digest, caller.actor, terms))

    @routes.post("/periods/{period}/agencies/{agency}/submission", tags=["self-assessment"], responses=_ACCEPTED)
    async def submit(period: Id, agency: Id, body: SubmissionBody, caller: System, terms: CommandTerms) -> Response:
        """Submit the whole and approved self-assessment."""
        return await _ask(desk_, caller, agency, terms, asks.Submit(period=period, digest=body.digest))


def _intake(routes: APIRouter, intake_: Intake) -> None:
    @routes.post("/intake", tags=["intake"], response_model_exclude_none=True)
    async def receive(request: Request, caller: System) -> list[Receipt]:
        """CloudEvents of an agency's system in structured mode, one or a batch; one receipt each, in their order."""
        if caller.agency is None:
            raise Rejected("other-agency", "your token speaks for no agency", "agency")
        body = intake.parse(await request.body())
        events = body if isinstance(body, list) else [body]
        if len(events) > intake.MAX_BATCH:
            raise Rejected("batch-too-large", f"a batch has at most {intake.MAX_BATCH} events")
        return [await intake_.answer_structured(caller.agency, event) for event in events]


def _may_read(caller: Caller, agency: str) -> None:
    if not caller.has(*_READERS):
        own_agency(caller, agency)


async def _ask(desk_: Desk, caller: Caller, agency: str, terms: Terms, ask: asks.Ask) -> Response:
    own_agency(caller, agency)
    done = await desk_.ask(agency, ask, caller.actor, terms)
    assert isinstance(done, Accepted)
    return accepted(done)
