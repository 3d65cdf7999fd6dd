"""The scoring's HTTP door: live table, cards, histories; consolidation, approval, publication; the published index."""

import asyncio
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from services.scoring import index, reports
from services.scoring.desk import Desk
from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.heads import entries_of
from services.scoring.index import Approve, Consolidate, Publish, Revise
from services.scoring.replay import Step, history
from services.scoring.sight import (
    AGENCIES,
    FIELDS,
    SEATED,
    WIDE,
    Sight,
    may_see_table,
    public_rows,
    publication_of,
    shown_card,
    shown_sources,
    shown_step,
    sight_of,
)
from services.scoring.views import Live
from shared.access import Caller, Role, public, require
from shared.decider import Rejected
from shared.events import Id, Sha256
from shared.ledger import Moment
from shared.objects import Bucket
from shared.service import Service
from shared.web import Body, Problem, Terms, etag, example, terms

PROBLEMS: Final = {
    "agency-unknown": Problem(404, "No such agency in the period", "Không có cơ quan này trong kỳ đánh giá"),
    "already-published": Problem(409, "The index is published", "Chỉ số của kỳ đã công bố"),
    "digest-differs": Problem(409, "Another result than the one named", "Kết quả khác với kết quả đã nêu"),
    "export-incomplete": Problem(422, "The export needs another parameter", "Thiếu tham số của bảng xuất"),
    "field-not-assigned": Problem(403, "No field is assigned to you", "Chưa được phân công lĩnh vực nào"),
    "log-incomplete": Problem(409, "The logs have not all arrived", "Nhật ký chưa về đủ"),
    "not-consolidated": Problem(409, "Nothing is consolidated", "Chưa có kết quả tổng hợp"),
    "not-published": Problem(404, "The index is not published", "Chỉ số chưa được công bố"),
    "not-seated": Problem(403, "Not on the council", "Không phải thành viên Hội đồng thẩm định"),
    "obstacles-remain": Problem(409, "Something is still open", "Còn việc chưa hoàn thành"),
    "period-unknown": Problem(404, "There is no such period", "Không có kỳ đánh giá này"),
    "result-outdated": Problem(409, "The result is outdated", "Kết quả đã cũ, hãy thực hiện lại"),
    "reason-missing": Problem(422, "The reason is missing", "Thiếu lý do"),
    "revision-open": Problem(409, "A revision is open already", "Việc điều chỉnh kết quả đang được thực hiện"),
    "same-person": Problem(403, "Another person must approve", "Người tổng hợp không được tự phê duyệt"),
}


Officer = Annotated[Caller, Depends(require(Role.OFFICER))]
Approver = Annotated[Caller, Depends(require(Role.APPROVER))]
Insider = Annotated[Caller, Depends(require(*WIDE, *SEATED))]
Reader = Annotated[Caller, Depends(require(*WIDE, *SEATED, *AGENCIES, *FIELDS))]
Number = Annotated[int | None, Query(ge=1, description="Which publication, counted from 1; the last one without it.")]
OnTerms = Annotated[Terms, Depends(terms)]


class RevisionBody(
    Body, json_schema_extra=example(reason="Khiếu nại có căn cứ.", decision="20/QĐ-UBND", dated="2025-03-03")
):
    """Why the published index is revised, and the decision that opens the revision."""

    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    decision: Annotated[str, Field(min_length=1, max_length=64)]
    dated: date


class ApprovalBody(
    Body,
    json_schema_extra=example(
        digest="3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea",
        decision="12/QĐ-UBND",
        dated="2025-01-20",
    ),
):
    """The digest that is approved, and the decision that approves it."""

    digest: Sha256
    decision: Annotated[str, Field(min_length=1, max_length=64)]
    dated: date


def router(service: Service, live: Live) -> APIRouter:
    """All routes of the scoring."""
    desk, routes = Desk(service, live), APIRouter()
    _live_routes(desk, routes)
    _decisions(desk, routes)
    _revision(desk, routes)
    _publication_reads(desk, routes)
    _public_routes(desk, routes)
    reports.add(desk, routes)
    return routes


def _live_routes(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}/table", tags=["live"])
    async def table(
        period: Id, request: Request, caller: Insider, after: Annotated[int | None, Query(ge=0)] = None
    ) -> Response:
        """The provisional table. With `after=<version>` the answer waits for a later version, at most ten seconds."""
        look = await desk.look(period) if after is None else await desk.look_after(period, after)
        may_see_table(caller, look.states)
        tag = etag(look.version)
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        cards = look.cards()
        more = {"appraised", "appraised_open", "survey", "survey_open", "applicable"}
        rows = [
            row.model_dump(mode="json", exclude_none=True) | cards[row.agency].model_dump(mode="json", include=more)
            for row in FORMULAS[CURRENT].table(look.states, cards)
        ]
        body = {"period": period, "provisional": True, "formula": CURRENT, "version": look.version, "rows": rows}
        return JSONResponse(body | {"heads": look.shown_heads()}, headers={"ETag": tag})

    @routes.get("/periods/{period}/agencies/{agency}/card", tags=["live"])
    async def card(period: Id, agency: Id, caller: Reader) -> dict[str, Any]:
        """One agency's provisional card, as far as the caller may see it."""
        look = await desk.look(period)
        sight, rubric = sight_of(caller, look.states, agency, look.time), look.states.period.rubric_of(agency)
        known = look.states.period.agencies[agency]
        return {
            "period": period,
            "agency": agency,
            "group": known.group,
            "name_vi": known.name_vi,
            "name_en": known.name_en,
            "provisional": True,
            "card": shown_card(look.card(agency), rubric, sight),
            "sources": shown_sources(look.states, agency, rubric, sight),
            "heads": look.shown_heads(),
        }

    @routes.get("/periods/{period}/agencies/{agency}/history", tags=["live"])
    async def values(period: Id, agency: Id, caller: Reader) -> dict[str, Any]:
        """Each entry that moved an agency's values, by time, log and position, with the values after it."""
        look = await desk.look(period)
        sight, rubric = sight_of(caller, look.states, agency, look.time), look.states.period.rubric_of(agency)
        logs = {log: (await entries_of(desk.service.engine, log))[0][: head.size] for log, head in look.heads.items()}

        def steps() -> list[Step]:
            return list(history(logs, agency))

        shown = [shown_step(step, rubric, sight) for step in await asyncio.to_thread(steps)]
        return {
            "period": period,
            "agency": agency,
            "steps": [step for step in shown if step is not None],
            "heads": look.shown_heads(),
        }


def _decisions(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/consolidation", tags=["publication"])
    async def consolidate(period: Id, caller: Officer, on: OnTerms) -> Response:
        """Consolidate the result at the finalised heads; refused while anything is open, each by name."""
        look, result, archived = await desk.final(period)

        def command(moment: Moment) -> Consolidate:
            return Consolidate(caller.actor, desk.situation(moment, period, look, archived), result)

        return await desk.execute(period, caller, on, command, rests=True)

    @routes.post("/periods/{period}/approval", tags=["publication"])
    async def approve(period: Id, body: ApprovalBody, caller: Approver, on: OnTerms) -> Response:
        """Approve exactly the consolidated digest; another person than who consolidated."""
        await desk.look(period)
        command = Approve(caller.actor, body.digest, body.decision, body.dated)
        return await desk.execute(period, caller, on, lambda _: command, rests=False)

    @routes.post("/periods/{period}/publication", tags=["publication"])
    async def publish(period: Id, caller: Officer, on: OnTerms) -> Response:
        """Publish the approved result, computed again: the cards, then the index with its heads."""
        look, result, archived = await desk.final(period)
        own, held = await desk.own_head(period)

        def command(moment: Moment) -> Publish:
            on_what = desk.situation(moment, period, look, {**archived, f"scoring/{period}": held})
            return Publish(on_what, result, own, moment.position)

        answer = await desk.execute(period, caller, on, command, rests=True)
        await desk.archive_soon(period)
        return answer


def _revision(desk: Desk, routes: APIRouter) -> None:
    @routes.post("/periods/{period}/revision", tags=["publication"])
    async def revise(period: Id, body: RevisionBody, caller: Officer, on: OnTerms) -> Response:
        """Open a revision of the published index, under a decision and with its reason. Commands that a score rests on
        are taken again; then the result is finalised, consolidated, approved and published anew."""
        await desk.look(period)

        def command(moment: Moment) -> Revise:
            return Revise(body.decision, body.dated, body.reason, moment.position)

        return await desk.execute(period, caller, on, command, rests=False)


def _publication_reads(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}/obstacles", tags=["publication"])
    async def obstacles(period: Id, caller: Insider) -> dict[str, Any]:
        """What holds the consolidation up, and what beside it the publication, each by name."""
        look, on, size = await desk.standing(period)
        may_see_table(caller, look.states)
        state = await desk.index(period)
        return {
            "period": period,
            "consolidation": [obstacle.json() for obstacle in index.obstacles(on)],
            "publication": [obstacle.json() for obstacle in index.publication_obstacles(state, on, size)],
            "published": state.published is not None,
            "heads": look.shown_heads(),
        }

    @routes.get("/periods/{period}/consolidation", tags=["publication"])
    async def consolidated(period: Id, caller: Insider) -> dict[str, Any]:
        """The consolidated result that an approver approves: formula, heads, digest and table; and its approval."""
        look, result, _ = await desk.final(period)
        may_see_table(caller, look.states)
        state = await desk.index(period)
        if state.consolidated is None:
            raise Rejected("not-consolidated", "nothing is consolidated yet", "period")
        if result is None or result.digest != state.consolidated.digest:
            raise Rejected("result-outdated", "the appraisal was finalised anew: consolidate again", "period")
        body = state.consolidated.model_dump(mode="json")
        approved = None if state.approved is None else state.approved.model_dump(mode="json")
        table = [row.model_dump(mode="json", exclude_none=True) for row in result.table]
        return body | {"period": period, "table": table, "approved": approved}


def _public_routes(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/published/{period}", tags=["public"], dependencies=[Depends(public)])
    async def published_index(period: Id, publication: Number = None) -> dict[str, Any]:
        """The published index: table, heads, formula, decision, and where the archive is. No token is needed. Of a
        revised one `publication=1` is the first, which stays readable."""
        manifest, found, look = await desk.published_index(period, publication)
        whole = await desk.publication(period)
        known = look.states.period
        opened = known.the_opened()
        rows = list(public_rows((card.row for card in found.cards.values()), known))
        settings = desk.service.settings
        base = f"{settings.s3_endpoint}/{settings.s3_prefix}"
        return {
            "period": period,
            "name_vi": opened.name_vi,
            "name_en": opened.name_en,
            "formula": manifest.formula,
            "decision": manifest.decision,
            "dated": manifest.dated.isoformat(),
            "digest": manifest.digest,
            "groups": [group.model_dump(mode="json") for group in opened.groups],
            "table": rows,
            "withheld": len(found.cards) - len(rows),
            "heads": {log: head.model_dump(mode="json") for log, head in sorted(manifest.heads.items())},
            "entry": {"log": f"scoring/{period}", "position": found.position},
            "publication": publication or len(whole.earlier) + 1,
            "publications": len(whole.earlier) + 1,
            "under_revision": whole.revising,
            "archive": {"proof": f"{base}-{Bucket.PROOF}/", "data": f"{base}-{Bucket.DATA}/"},
        }

    @routes.get("/published/{period}/agencies/{agency}", tags=["public"], dependencies=[Depends(public)])
    async def published_card(period: Id, agency: Id, publication: Number = None) -> dict[str, Any]:
        """One agency's published card, where the publication policy shows points. No token is needed."""
        manifest, found, look = await desk.published_index(period, publication)
        known = look.states.period
        named, rubric = known.the_agency(agency), known.rubric_of(agency)
        policy = publication_of(known, agency)
        if agency not in found.cards or policy in ("totals-only", "nothing"):
            raise Rejected("not-published", f"of this agency's card the period publishes {policy}", "agency")
        return {
            "period": period,
            "agency": agency,
            "group": named.group,
            "name_vi": named.name_vi,
            "name_en": named.name_en,
            "publication": policy,
            "card": shown_card(found.cards[agency].card, rubric, Sight()),
            "heads": {log: head.model_dump(mode="json") for log, head in sorted(manifest.heads.items())},
        }
