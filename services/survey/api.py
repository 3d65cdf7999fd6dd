"""The survey's HTTP door: campaigns, invitations, ballots, completion, imported studies."""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from services.survey import booth, campaign
from services.survey.boxes import Place, fresh_tokens
from services.survey.campaign import CompleteCampaign, IssueInvitations, OpenCampaign, SendReminders
from services.survey.desk import Desk
from services.survey.paper import papers
from services.survey.study import HoldNoSurvey, ImportStudy
from services.survey.views import CampaignView, SurveyView, campaign_view, survey_view
from shared.access import Caller, Role, public, require
from shared.decider import Rejected
from shared.events import Code, Id, Instant
from shared.events.survey import Quota
from shared.ledger import Moment
from shared.period import Period
from shared.rubric import RubricError, parse_number
from shared.sheet import WORKBOOK_TYPE, SheetFault, read, read_csv
from shared.web import AcceptedBody, Body, Problem, Terms, accepted, etag, example, terms

PROBLEMS: Final = {
    "agency-differs": Problem(422, "The token is for another agency", "Mã phiếu thuộc cơ quan khác"),
    "agency-withdrawn": Problem(409, "The agency has left the period", "Cơ quan không còn tham gia kỳ đánh giá"),
    "agency-unknown": Problem(404, "No such agency there", "Không có cơ quan này"),
    "boxes-not-empty": Problem(409, "Ballots are not in the log yet", "Còn phiếu chưa ghi vào nhật ký"),
    "campaign-closed": Problem(409, "The campaign has closed", "Đợt khảo sát đã kết thúc"),
    "campaign-completed": Problem(409, "The campaign is completed", "Đợt khảo sát đã hoàn thành"),
    "campaign-exists": Problem(409, "There is such a campaign already", "Đã có đợt khảo sát này"),
    "campaign-not-open": Problem(409, "The campaign is not open yet", "Đợt khảo sát chưa bắt đầu"),
    "campaign-still-open": Problem(409, "The campaign is still open", "Đợt khảo sát chưa kết thúc"),
    "campaign-unknown": Problem(404, "There is no such campaign", "Không có đợt khảo sát này"),
    "count-invalid": Problem(422, "Too many or too few invitations at a time", "Số lượng phiếu mời không hợp lệ"),
    "data-invalid": Problem(422, "Not a number as it is written here", "Số viết không đúng quy cách"),
    "form-unknown": Problem(404, "No such form in the campaign", "Đợt khảo sát không có mẫu phiếu này"),
    "group-has-no-survey": Problem(422, "No survey scores this group", "Nhóm này không có tiêu chí khảo sát"),
    "group-unknown": Problem(404, "No such group in the period", "Không có nhóm cơ quan này"),
    "invitations-issued": Problem(409, "Respondents are invited already", "Đã phát phiếu mời khảo sát"),
    "item-not-surveyed": Problem(422, "No survey scores this item", "Tiêu chí này không chấm qua khảo sát"),
    "item-unknown": Problem(404, "No such item in the rubric", "Không có tiêu chí này"),
    "option-unknown": Problem(422, "The question has no such option", "Câu hỏi không có phương án này"),
    "paper-invalid": Problem(422, "The table of ballots is not as documented", "Bảng phiếu giấy không đúng quy cách"),
    "period-published": Problem(409, "The period is published", "Kỳ đánh giá đã công bố"),
    "period-unknown": Problem(404, "There is no such period", "Không có kỳ đánh giá này"),
    "points-above-maximum": Problem(422, "Above the maximum", "Vượt điểm tối đa"),
    "points-negative": Problem(422, "Points are not negative", "Điểm không được âm"),
    "points-off-step": Problem(422, "Off the step of points", "Điểm không đúng bước chấm"),
    "question-unknown": Problem(422, "The form has no such question", "Mẫu phiếu không có câu hỏi này"),
    "reminders-invalid": Problem(422, "More reminders than invitations, or none", "Số lượt nhắc không hợp lệ"),
    "sheet-error": Problem(422, "A cell of the table holds an error", "Có ô trong bảng bị lỗi"),
    "sheet-formula": Problem(422, "A cell of the table holds a formula", "Có ô trong bảng là công thức"),
    "sheet-too-large": Problem(413, "The table is too large", "Bảng quá lớn"),
    "sheet-unreadable": Problem(422, "The table cannot be read", "Không đọc được bảng"),
    "span-invalid": Problem(422, "The span is not one to come", "Thời gian khảo sát không hợp lệ"),
    "study-imported": Problem(409, "A study stands for the ballots", "Đã nhập kết quả khảo sát có sẵn"),
    "study-incomplete": Problem(422, "The study lacks points", "Kết quả khảo sát có sẵn chưa đủ điểm"),
    "survey-not-held": Problem(409, "No survey is held in the period", "Kỳ này không tổ chức khảo sát"),
    "token-spent": Problem(409, "The invitation's ballot has been cast", "Phiếu mời đã được sử dụng"),
    "token-unknown": Problem(404, "There is no such invitation", "Không có phiếu mời này"),
    "too-few": Problem(422, "Fewer than five ballots", "Ít hơn năm phiếu"),
}
UNTRACED: Final = ("/ballots", booth.ROUTE, "/periods/{period}/campaigns/{name}/paper")
"""Routes whose requests leave no span."""

PAPER_KINDS: Final[Mapping[str, Callable[[bytes], list[list[str]]]]] = {"text/csv": read_csv, WORKBOOK_TYPE: read}
"""The media types of tables of paper ballots, and what reads them."""

READERS: Final = (
    Role.SURVEY_OFFICER,
    Role.OFFICER,
    Role.COUNCIL,
    Role.COUNCIL_CHAIR,
    Role.APPROVER,
    Role.AUDITOR,
)

SurveyOfficer = Annotated[Caller, Depends(require(Role.SURVEY_OFFICER))]
Officer = Annotated[Caller, Depends(require(Role.OFFICER))]
Reader = Annotated[Caller, Depends(require(*READERS))]
OnTerms = Annotated[Terms, Depends(terms)]
Number = Annotated[str, Field(min_length=1, max_length=24)]


class CampaignBody(
    Body,
    json_schema_extra=example(
        campaign="survey-2024", group="central", opens="2024-11-04T00:00:00+07:00", closes="2024-12-28T00:00:00+07:00"
    ),
):
    """A campaign over all agencies of a group, from `opens` until just before `closes`."""

    campaign: Id
    group: Id
    opens: Instant
    closes: Instant
    quota: Annotated[dict[Id, Quota] | None, Field(max_length=20, description="Ballots wanted, by form.")] = None


class InvitationsBody(Body, json_schema_extra=example(agency="agency-01", form="citizens", count=180)):
    """So many invitations to fill in one form about one agency; `quota`: the ballots wanted there from now on."""

    agency: Id
    form: Id
    count: int
    quota: Quota | None = None


class RemindersBody(Body, json_schema_extra=example(agency="agency-01", form="citizens", count=40)):
    """So many reminders that were sent to those invited with one form about one agency."""

    agency: Id
    form: Id
    count: int


class NotHeldBody(Body, json_schema_extra=example(decision="77/QĐ-UBND", dated="2025-07-01")):
    """The decision that the period has no survey: its number and date."""

    decision: Annotated[str, Field(min_length=1, max_length=64)]
    dated: date


class BallotBody(
    Body,
    json_schema_extra=example(token="K7QM2XA4T9PB", answers={"q1": "very-satisfied", "q2": None}),  # noqa: S106 - no token
):
    """A token and the option ticked for each question; a question left out or null is unanswered."""

    token: Annotated[str, Field(max_length=64)]
    answers: Annotated[dict[Id, Id | None], Field(max_length=200)]


class StudyBody(
    Body,
    json_schema_extra=example(
        points={"9.1": "31,55"}, document="1007/QĐ-UBND", dated="2020-04-24", source="Điều tra xã hội học của tỉnh"
    ),
):
    """An existing study's points for each surveyed item (`31,55` or `31.55`), with its document and source."""

    points: Annotated[dict[Code, Number], Field(max_length=500)]
    document: Annotated[str, Field(min_length=1, max_length=64)]
    dated: date
    source: Annotated[str, Field(min_length=1, max_length=500)]


class InvitationsAccepted(AcceptedBody):
    """The answer to an issue: its tokens, once. A repeat of the request shows none: they are stored nowhere."""

    agency: Id
    form: Id
    tokens: list[str]


class RowError(BaseModel):
    """Why a row of a table does not count; `cell` where it is one cell's fault. Tokens are never told."""

    row: int
    cell: str | None
    code: str
    title_en: str
    title_vi: str


class PapersCounted(BaseModel):
    """How many rows a table had, how many of them count, and why the others do not."""

    rows: int
    counted: int
    errors: list[RowError]


class BallotCast(BaseModel):
    """The ballot counts."""

    cast: bool


def router(desk: Desk) -> APIRouter:
    """All routes of the survey."""
    routes = APIRouter()
    _campaigns(desk, routes)
    _invitations(desk, routes)
    _reminders(desk, routes)
    _ballots(desk, routes)
    _studies(desk, routes)
    _reads(desk, routes)
    routes.include_router(booth.router(desk, PROBLEMS))
    return routes


def _campaigns(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/campaigns", tags=["campaigns"])
    async def open_campaign(period: Id, body: CampaignBody, caller: SurveyOfficer, on: OnTerms) -> Response:
        """Open a campaign; its forms are those of the group's rubric."""

        def build(at: Moment) -> OpenCampaign:
            known, out = _seen(at, period)
            return OpenCampaign(
                body.campaign, body.group, body.opens, body.closes, known, at.time, at.position, out, body.quota
            )

        stream = campaign.campaign_stream(body.campaign)
        return accepted(await desk.decide(period, stream, build, caller, on, desk.sees(period)))

    @routes.post("/periods/{period}/campaigns/{name}/completion", tags=["campaigns"])
    async def complete_campaign(period: Id, name: Id, caller: SurveyOfficer, on: OnTerms) -> Response:
        """Complete a campaign that has closed, with its tallies."""
        await desk.boxes.close(period, name)
        result = await desk.decide(
            period,
            campaign.campaign_stream(name),
            lambda at: CompleteCampaign(name, at.time, at.position, at.seen[f"scoring/{period}"]),
            caller,
            on,
            (desk.scoring(period),),
            within=desk.boxes.all_closed(period, name),
        )
        return accepted(result)


def _invitations(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/campaigns/{name}/invitations", tags=["campaigns"])
    async def issue_invitations(
        period: Id, name: Id, body: InvitationsBody, caller: SurveyOfficer, on: OnTerms
    ) -> Response:
        """Issue invitations; the answer has their tokens, once."""
        if not 1 <= body.count <= campaign.MAX_INVITATIONS:
            raise Rejected("count-invalid", f"issue 1 to {campaign.MAX_INVITATIONS} invitations at a time", "count")
        tokens = fresh_tokens(body.count)

        def build(at: Moment) -> IssueInvitations:
            known, out = _seen(at, period)
            return IssueInvitations(name, body.agency, body.form, body.count, known, at.time, out, body.quota)

        result = await desk.decide(
            period,
            campaign.campaign_stream(name),
            build,
            caller,
            on,
            desk.sees(period),
            within=desk.boxes.issue(Place(period, name, body.agency, body.form), tokens),
        )
        # a commit whose answer was lost on the way from the database comes back as a repeat, with these very tokens
        if result.repeated and not await desk.boxes.knows(tokens[0]):
            tokens = []
        shown = InvitationsAccepted(
            log=result.log,
            position=result.first,
            entry=result.entry_id,
            version=result.version,
            repeated=result.repeated,
            agency=body.agency,
            form=body.form,
            tokens=tokens,
        )
        return JSONResponse(shown.model_dump(), 201 if tokens else 200, {"ETag": etag(result.version)})


def _reminders(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/campaigns/{name}/reminders", tags=["campaigns"])
    async def send_reminders(period: Id, name: Id, body: RemindersBody, caller: SurveyOfficer, on: OnTerms) -> Response:
        """Record that so many reminders were sent; to whom is told nowhere."""
        result = await desk.decide(
            period,
            campaign.campaign_stream(name),
            lambda at: SendReminders(name, body.agency, body.form, body.count, at.time),
            caller,
            on,
            (),
        )
        return accepted(result)


def _ballots(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/ballots", tags=["ballots"], status_code=201, dependencies=[Depends(public)])
    async def cast_ballot(body: BallotBody) -> BallotCast:
        """Cast a ballot: the token is the right to, once. Its answers are counted, never kept together."""
        await desk.boxes.cast(body.token, body.answers)
        return BallotCast(cast=True)

    @routes.post(
        "/periods/{period}/campaigns/{name}/paper",
        tags=["ballots"],
        responses={201: {"model": PapersCounted}},
        openapi_extra={
            "requestBody": {"required": True, "content": {kind: {"schema": {"type": "string"}} for kind in PAPER_KINDS}}
        },
    )
    async def count_papers(
        period: Id, name: Id, request: Request, caller: SurveyOfficer, response: Response
    ) -> PapersCounted:
        """Count paper ballots keyed in as CSV or XLSX: columns token, perhaps agency, and each question by its id.

        Each row spends its token; what is wrong is told row by row, and the other rows count (201 if any does).
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in PAPER_KINDS:
            raise Rejected("body-invalid", f"send the table as {' or '.join(PAPER_KINDS)}", "Content-Type")
        data = await request.body()
        try:
            table = await run_in_threadpool(PAPER_KINDS[kind], data)
        except SheetFault as fault:
            raise Rejected(fault.code, fault.message, fault.cell) from None
        found = papers(table)
        faults = await desk.boxes.count(period, await desk.the_campaign(period, name), found)
        errors = [
            RowError(row=row, cell=cell, code=code, title_en=PROBLEMS[code].title_en, title_vi=PROBLEMS[code].title_vi)
            for row, code, cell in faults
        ]
        counted = len(found) - len(errors)
        response.status_code = 201 if counted else 200
        return PapersCounted(rows=len(found), counted=counted, errors=errors)


def _studies(desk: Desk, routes: APIRouter) -> None:
    @routes.put("/periods/{period}/studies/{agency}", tags=["studies"])
    async def import_study(period: Id, agency: Id, body: StudyBody, caller: SurveyOfficer, on: OnTerms) -> Response:
        """Let an existing study's points stand instead of ballots; a later one replaces it."""
        points = _points(body.points)

        def build(at: Moment) -> ImportStudy:
            known, out = _seen(at, period)
            return ImportStudy(agency, points, body.document, body.dated, body.source, known, out)

        return accepted(await desk.decide(period, campaign.STUDIES_STREAM, build, caller, on, desk.sees(period)))

    @routes.post("/periods/{period}/not-held", tags=["studies"])
    async def hold_no_survey(period: Id, body: NotHeldBody, caller: Officer, on: OnTerms) -> Response:
        """Say by a decision that no survey is held in the period: the rubrics say what stands in."""
        result = await desk.decide(
            period,
            campaign.PERIOD_STREAM,
            lambda at: HoldNoSurvey(body.decision, body.dated, at.seen[f"scoring/{period}"]),
            caller,
            on,
            (desk.scoring(period),),
        )
        return accepted(result)


def _reads(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}", tags=["reads"])
    async def show_survey(period: Id, caller: Reader) -> SurveyView:
        """The period's survey: its campaigns, and which agencies it is complete for."""
        return survey_view(*await desk.read(period))

    @routes.get("/periods/{period}/campaigns/{name}", tags=["reads"])
    async def show_campaign(period: Id, name: Id, caller: Reader) -> CampaignView:
        """A campaign: forms, invitations, and the ballots that the log has; too few are never shown."""
        return campaign_view(name, *await desk.read(period))


def _seen(at: Moment, period: str) -> tuple[Period, bool]:
    known: Period = at.seen[f"submission/{period}"]
    known.the_opened()
    published: Any = at.seen[f"scoring/{period}"]
    return known, bool(published)


def _points(written: dict[str, str]) -> dict[str, Decimal]:
    points = {}
    for code, number in written.items():
        try:
            points[code] = parse_number(number)
        except RubricError as error:
            raise error.at(f"points.{code}") from None
    return points
