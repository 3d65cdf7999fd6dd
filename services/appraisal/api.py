"""The appraisal's HTTP door: assignments, decisions on items, the council's adjustments, closing and finalising."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Response

from services.appraisal import council, remarks
from services.appraisal.appraisal import Adjust, Appraise, Close, Recognise, RequestExplanation
from services.appraisal.bodies import (
    AdjustmentBody,
    AppraisalBody,
    AssignmentBody,
    ConflictBody,
    CouncilBody,
    RecognitionBody,
    RemarkBody,
    RequestBody,
)
from services.appraisal.desk import Desk
from services.appraisal.sittings import sittings
from shared.access import Caller, Role, own_agency, require
from shared.decider import Rejected
from shared.events import Code, Id
from shared.ledger import Moment
from shared.period import Period
from shared.service import Service
from shared.web import Problem, Terms, terms

PROBLEMS: Final = {
    "agency-closed": Problem(409, "The agency's appraisal is closed", "Đã kết thúc thẩm định cơ quan này"),
    "agency-withdrawn": Problem(409, "The agency has left the period", "Cơ quan không còn tham gia kỳ đánh giá"),
    "agency-unknown": Problem(404, "No such agency in the period", "Không có cơ quan này trong kỳ đánh giá"),
    "appraisal-not-open": Problem(409, "The appraisal is not open yet", "Chưa mở thẩm định cơ quan này"),
    "conflict-of-interest": Problem(403, "A conflict of interest was declared", "Đã khai báo xung đột lợi ích"),
    "council-invalid": Problem(422, "The council is not as the period states", "Thành phần Hội đồng không hợp lệ"),
    "data-invalid": Problem(422, "The data do not fit the item's rule", "Số liệu không phù hợp với tiêu chí"),
    "declaration-changed": Problem(409, "Another declaration stands", "Số liệu kê khai đã thay đổi"),
    "explanation-open": Problem(409, "A request waits for its answer", "Yêu cầu giải trình chưa được trả lời"),
    "field-not-assigned": Problem(403, "The field is not yours", "Không được phân công lĩnh vực này"),
    "field-unknown": Problem(404, "No such field in the rubric", "Không có lĩnh vực này trong bộ tiêu chí"),
    "group-unknown": Problem(404, "No such group in the period", "Không có nhóm cơ quan này"),
    "item-surveyed": Problem(422, "A survey scores this item", "Tiêu chí này chấm qua điều tra xã hội học"),
    "item-unknown": Problem(404, "No such item in the rubric", "Không có tiêu chí này"),
    "items-invalid": Problem(422, "Items are not named once each", "Danh sách tiêu chí không hợp lệ"),
    "leaf-open": Problem(409, "Items are still open", "Còn tiêu chí chưa thẩm định xong"),
    "level-unknown": Problem(422, "No such level", "Không có mức đánh giá này"),
    "must-apply": Problem(422, "The item applies to every agency", "Tiêu chí bắt buộc áp dụng"),
    "not-carried": Problem(422, "The vote does not carry", "Không đủ số phiếu tán thành"),
    "not-the-chair": Problem(403, "Only the seated chair may", "Chỉ Chủ tịch Hội đồng được thực hiện"),
    "not-seated": Problem(403, "Only who sits on the council may", "Không phải thành viên Hội đồng thẩm định"),
    "nothing-declared": Problem(409, "Nothing was declared", "Cơ quan chưa kê khai tiêu chí này"),
    "nothing-remaining": Problem(409, "Nothing remains in the field", "Lĩnh vực không còn tiêu chí chờ thẩm định"),
    "period-open": Problem(409, "The period has open matters", "Kỳ đánh giá còn việc chưa hoàn thành"),
    "period-published": Problem(409, "The period is published", "Kỳ đánh giá đã công bố"),
    "period-unknown": Problem(404, "There is no such period", "Không có kỳ đánh giá này"),
    "points-above-maximum": Problem(422, "Above the maximum", "Vượt điểm tối đa"),
    "points-negative": Problem(422, "Points are not negative", "Điểm không được âm"),
    "points-off-step": Problem(422, "Off the step of points", "Điểm không đúng bước chấm"),
    "proposal-decided": Problem(409, "The proposal is decided", "Đề nghị đã được Hội đồng quyết định"),
    "proposal-unknown": Problem(404, "No such proposal", "Không có đề nghị điều chỉnh này"),
    "reason-code-unknown": Problem(422, "No such reason code", "Không có mã lý do này"),
    "reason-missing": Problem(422, "The reason is missing", "Thiếu lý do"),
    "session-closed": Problem(409, "The session is closed", "Phiên họp Hội đồng đã kết thúc"),
    "session-incomplete": Problem(409, "Proposals are not decided", "Còn đề nghị chưa được quyết định"),
    "session-known": Problem(409, "There was such a session", "Đã có phiên họp mang tên này"),
    "session-unknown": Problem(404, "No such session", "Không có phiên họp này"),
    "tally-invalid": Problem(422, "The tally does not add up", "Kết quả biểu quyết không hợp lệ"),
    "until-passed": Problem(422, "The time lies in the past", "Thời hạn đã qua"),
    "vote-not-open": Problem(409, "Votes are not taken so now", "Chưa thể biểu quyết theo hình thức này"),
}

INSIDE: Final = (
    Role.OFFICER, Role.APPRAISER, Role.MONITOR, Role.COUNCIL, Role.COUNCIL_CHAIR, Role.APPROVER, Role.AUDITOR,
)  # fmt: skip

Officer = Annotated[Caller, Depends(require(Role.OFFICER))]
Appraiser = Annotated[Caller, Depends(require(Role.APPRAISER))]
Chair = Annotated[Caller, Depends(require(Role.COUNCIL_CHAIR))]
Judge = Annotated[Caller, Depends(require(Role.APPRAISER, Role.COUNCIL, Role.COUNCIL_CHAIR))]
Monitor = Annotated[Caller, Depends(require(Role.MONITOR))]
Insider = Annotated[Caller, Depends(require(*INSIDE))]
Agency = Annotated[Caller, Depends(require(Role.AGENCY, Role.AGENCY_HEAD))]
OnTerms = Annotated[Terms, Depends(terms)]


def router(service: Service) -> APIRouter:
    """All routes of the appraisal."""
    desk, routes = Desk(service), APIRouter()
    _assignments(desk, routes)
    _items(desk, routes)
    _beside(desk, routes)
    _council(desk, routes)
    _closings(desk, routes)
    _period_reads(desk, routes)
    _agency_reads(desk, routes)
    routes.include_router(sittings(desk))
    return routes


def _assignments(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/appraisers", tags=["assignments"])
    async def assign_appraiser(period: Id, body: AssignmentBody, caller: Officer, on: OnTerms) -> Response:
        """Assign an appraiser to fields of a group; a new assignment replaces the one before."""
        actor = desk.actor(body.subject)
        return await desk.decide_on_period(
            period,
            caller,
            on,
            lambda _, known, out: council.AssignAppraiser(known, out, actor, body.group, body.fields),
        )

    @routes.post("/periods/{period}/monitors", tags=["assignments"])
    async def assign_monitor(period: Id, body: AssignmentBody, caller: Officer, on: OnTerms) -> Response:
        """Assign a following body to fields of a group: it sees and remarks, it does not score."""
        actor = desk.actor(body.subject)
        return await desk.decide_on_period(
            period, caller, on, lambda _, known, out: council.AssignMonitor(known, out, actor, body.group, body.fields)
        )


def _items(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/agencies/{agency}/recognitions", tags=["appraisal"])
    async def recognise(period: Id, agency: Id, body: RecognitionBody, caller: Appraiser, on: OnTerms) -> Response:
        """Recognise items as declared, one by one or all remaining ones of a field; an entry for each."""
        if bool(body.items) == (body.field is not None):
            raise Rejected("items-invalid", "name items or a field", "items")
        return await desk.decide_on_agency(
            period,
            agency,
            caller,
            on,
            lambda case: Recognise(
                case, body.items, body.field, body.judged, body.reason_code, body.reason, body.replaces
            ),
        )

    @routes.put("/periods/{period}/agencies/{agency}/items/{item}/appraisal", tags=["appraisal"])
    async def appraise(
        period: Id, agency: Id, item: Code, body: AppraisalBody, caller: Appraiser, on: OnTerms
    ) -> Response:
        """Correct an item's data, refuse or accept a claim of not applicable; the item's rule gives the points."""
        return await desk.decide_on_agency(
            period,
            agency,
            caller,
            on,
            lambda case: Appraise(
                case, item, body.data, body.not_applicable, body.judged, body.reason_code, body.reason, body.replaces
            ),
        )

    @routes.post("/periods/{period}/agencies/{agency}/items/{item}/explanation-request", tags=["appraisal"])
    async def request_explanation(
        period: Id, agency: Id, item: Code, body: RequestBody, caller: Appraiser, on: OnTerms
    ) -> Response:
        """Ask the agency to explain an item before a date."""
        return await desk.decide_on_agency(
            period,
            agency,
            caller,
            on,
            lambda case: RequestExplanation(case, item, body.until, body.reason_code, body.question),
        )


def _beside(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/agencies/{agency}/remarks", tags=["appraisal"])
    async def remark(period: Id, agency: Id, body: RemarkBody, caller: Monitor, on: OnTerms) -> Response:
        """Remark on an item or a field that the following body has; a remark scores nothing."""
        return await desk.decide_on_agency(
            period, agency, caller, on, lambda case: remarks.Remark(case, body.about, body.remark), remarks.DECIDER
        )

    @routes.post("/periods/{period}/agencies/{agency}/conflict", tags=["assignments"])
    async def declare_conflict(period: Id, agency: Id, body: ConflictBody, caller: Judge, on: OnTerms) -> Response:
        """Declare one's own conflict of interest: from then on one neither appraises the agency nor votes on it."""
        return await desk.decide_on_agency(
            period, agency, caller, on, lambda case: remarks.DeclareConflict(case, body.reason), remarks.DECIDER
        )


def _council(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/council", tags=["assignments"])
    async def seat_council(period: Id, body: CouncilBody, caller: Officer, on: OnTerms) -> Response:
        """Seat the Appraisal Council."""
        chair, members = desk.actor(body.chair), tuple(desk.actor(member) for member in body.members)
        deputy = None if body.deputy is None else desk.actor(body.deputy)
        names = {desk.actor(member): name for member, name in body.names.items()}
        return await desk.decide_on_period(
            period,
            caller,
            on,
            lambda moment, known, out: council.SeatCouncil(known, out, chair, members, deputy, moment.position, names),
        )

    @routes.put("/periods/{period}/agencies/{agency}/items/{item}/adjustment", tags=["council"])
    async def adjust(period: Id, agency: Id, item: Code, body: AdjustmentBody, caller: Chair, on: OnTerms) -> Response:
        """Enter the council's adjustment of an item: resolution, vote, reason."""
        return await desk.decide_on_agency(
            period,
            agency,
            caller,
            on,
            lambda case: Adjust(
                case,
                item,
                body.data,
                body.not_applicable,
                body.resolution,
                body.tally,
                body.reason_code,
                body.reason,
            ),
        )


def _closings(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/agencies/{agency}/closing", tags=["appraisal"])
    async def close(period: Id, agency: Id, caller: Officer, on: OnTerms) -> Response:
        """Close an agency's appraisal; refused while an item is open, each by name."""
        return await desk.decide_on_agency(period, agency, caller, on, Close)

    @routes.post("/periods/{period}/finalisation", tags=["appraisal"])
    async def finalise(period: Id, caller: Officer, on: OnTerms) -> Response:
        """Declare the period's appraisal final; refused while agency, item or survey is open, each by name."""

        def build(moment: Moment, known: Period, published: bool) -> council.Finalise:
            cases, surveyed = desk.whole(moment, period, known, caller.actor)
            return council.Finalise(known, published, cases, surveyed)

        return await desk.decide_on_period(period, caller, on, build, (desk.returns.of(f"survey/{period}"),))


def _period_reads(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}", tags=["reads"])
    async def show_period(period: Id, caller: Insider) -> dict[str, Any]:
        """The period's appraisal: agencies, council, assignments, finalising."""
        filed, own, heads = await desk.read(period)
        return {
            "period": period,
            "agencies": {
                agency: {
                    "opened": agency in own.opened,
                    "submitted": own.opened.get(agency),
                    "closed": agency in own.closed,
                }
                for agency in filed.period.agencies
            },
            "council": None if own.council is None else own.council.model_dump(mode="json"),
            "appraisers": [
                _assignment(actor, group, fields) for (actor, group), fields in sorted(own.appraisers.items())
            ],
            "monitors": [_assignment(actor, group, fields) for (actor, group), fields in sorted(own.monitors.items())],
            "finalised": own.finalised,
            "heads": heads,
        }


def _assignment(actor: str, group: str, fields: tuple[str, ...]) -> dict[str, Any]:
    return {"actor": actor, "group": group, "fields": list(fields)}


def _agency_reads(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}/agencies/{agency}", tags=["reads"])
    async def show_agency(period: Id, agency: Id, caller: Insider) -> dict[str, Any]:
        """All decisions on an agency's items; appraisers and monitors see those of their fields."""
        filed, own, heads = await desk.read(period)
        group, rubric = filed.period.the_agency(agency).group, filed.period.rubric_of(agency)
        fields = {leaf.code: each.code for each in rubric.fields for leaf in each.leaves}
        wide = caller.has(*(role for role in INSIDE if role not in (Role.APPRAISER, Role.MONITOR)))
        seen = set(fields.values()) if wide else own.fields_of(caller.actor, group)
        filing = filed.of(agency)
        return {
            "period": period,
            "agency": agency,
            "opened": agency in own.opened,
            "closed": agency in own.closed,
            "declared": {
                item: {"position": each.position, "data": each.data, "not_applicable": each.data is None}
                for item, each in sorted(filing.declared.items())
                if fields[item] in seen
            },
            "decisions": [line.json(filing.settled) for line in own.lines.get(agency, ()) if fields[line.item] in seen],
            "remarks": [
                said.json()
                for said in own.record.remarks.values()
                if said.agency == agency and fields.get(said.about or "", said.about) in seen
            ],
            "conflicts": [said.json() for said in own.record.conflicts.values() if wide and said.agency == agency],
            "heads": heads,
        }

    @routes.get("/periods/{period}/agencies/{agency}/explanation-requests", tags=["reads"])
    async def show_requests(period: Id, agency: Id, caller: Agency) -> dict[str, Any]:
        """What an agency is asked to explain, until when, and whether it is settled; its own only."""
        own_agency(caller, agency)
        filed, own, heads = await desk.read(period)
        settled = filed.of(agency).settled
        return {
            "requests": [
                {
                    "request": line.position,
                    "item": line.item,
                    "until": line.until,
                    "round": line.round,
                    "question": line.words,
                    "settled": line.position in settled,
                }
                for line in own.lines.get(agency, ())
                if line.what == "explanation-requested"
            ],
            "heads": heads,
        }
