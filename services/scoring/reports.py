"""The scoring's door for what people read and take home: progress, strong and weak sides, exports."""

import asyncio
from collections.abc import Iterator
from functools import reduce
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from services.scoring.desk import Desk
from services.scoring.index import Index, Situation
from services.scoring.progress import Counts, Progress, agency_progress, period_blocks, period_turns
from services.scoring.results import (
    Beside,
    Past,
    all_results,
    live_results,
    published_results,
    sheet,
    side_body,
)
from services.scoring.scorecard import Judged
from services.scoring.sight import (
    AGENCIES,
    FIELDS,
    SEATED,
    WIDE,
    Sight,
    items_of,
    may_see_table,
    publication_of,
    sees_table,
    sight_of,
)
from services.scoring.steps import ACTIONS, STEPS
from services.scoring.strengths import declared_sides
from services.scoring.tables import (
    Results,
    Table,
    agency_table,
    comparison_tables,
    ranking_table,
    summary_table,
)
from shared.access import Caller, public, require
from shared.decider import Rejected
from shared.events import Id, instant
from shared.period import Period
from shared.rubric.values import decimal_text
from shared.sheet import CSV_TYPE, WORKBOOK_TYPE, csv_text, write

Insider = Annotated[Caller, Depends(require(*WIDE, *SEATED))]
Reader = Annotated[Caller, Depends(require(*WIDE, *SEATED, *AGENCIES, *FIELDS))]
Before = Annotated[Id | None, Query(description="An earlier published period to compare with.")]


class Export(BaseModel):
    """What to export: `agency` names the agency of an agency's or an item-by-item table, `before` the earlier period of
    a comparison."""

    model_config = ConfigDict(extra="forbid")

    what: Literal["ranking", "agency", "fields", "criteria", "comparison"]
    format: Literal["xlsx", "csv", "json"] = "xlsx"
    agency: Id | None = None
    before: Id | None = None


def add(desk: Desk, routes: APIRouter) -> None:
    """Add the routes."""
    _progress_route(desk, routes)
    _strengths_routes(desk, routes)
    _export_routes(desk, routes)


def _progress_route(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}/progress", tags=["live"])
    async def progress(period: Id, caller: Reader) -> dict[str, Any]:
        """Where each agency stands: step, counts by field, what holds the next step, whose turn it is, until when and
        by which command. An agency reads its own, an appraiser or monitor the counts of assigned fields."""
        look, on, size = await desk.standing(period)
        state, seen = await desk.index(period), _in_sight(caller, on)
        wide = sees_table(caller, look.states)

        def rows() -> list[dict[str, Any]]:
            return [_shown(caller, on, agency_progress(state, on, agency), sight) for agency, sight in seen.items()]

        shown = await asyncio.to_thread(rows)
        body = {
            "period": period,
            "time": instant(look.time),
            "published": state.published is not None,
            "steps": list(_steps(look.states.period)),
            "agencies": shown,
        }
        return body | (_of_period(state, on, size) if wide else {}) | {"heads": look.shown_heads()}


def _in_sight(caller: Caller, on: Situation) -> dict[str, Sight]:
    """The agencies that the caller may follow, with what of each; the refusal where there is none."""
    seen, refusal = dict[str, Sight](), None
    for agency in sorted(on.states.period.agencies):
        try:
            seen[agency] = sight_of(caller, on.states, agency, on.time)
        except Rejected as refused:
            refusal = refused
    if refusal is not None and not seen:
        raise refusal
    return seen


def _steps(period: Period) -> Iterator[dict[str, Any]]:
    for step in STEPS:
        deadline = period.the_opened().deadlines.get(step.name)
        times = {} if deadline is None else deadline.model_dump(mode="json", exclude_none=True)
        yield {"step": step.name, "name_vi": step.vi, "name_en": step.en, **times}


def _of_period(state: Index, on: Situation, size: int) -> dict[str, Any]:
    return {
        "blocks": [obstacle.json() for obstacle in period_blocks(state, on, size)],
        "turns": [turn.json(on.time) for turn in period_turns(state, on)],
    }


def _shown(caller: Caller, on: Situation, progress: Progress, sight: Sight) -> dict[str, Any]:
    """An agency's progress as far as it is in sight: of some fields only, their items and the caller's own turns."""
    period = on.states.period
    named, rubric = period.agencies[progress.agency], period.rubric_of(progress.agency)
    fields, blocks, turns = progress.fields, progress.blocks, progress.turns
    if sight.fields is not None:
        items, roles = items_of(rubric, sight) | sight.fields, {str(role) for role in caller.roles}
        fields = {code: counts for code, counts in fields.items() if code in sight.fields}
        blocks = tuple(each for each in blocks if each.item in items)
        turns = tuple(turn for turn in turns if ACTIONS[turn.action].role in roles)
    return {
        "agency": progress.agency,
        "group": named.group,
        "name_vi": named.name_vi,
        "name_en": named.name_en,
        "step": progress.step,
        "withdrawn": progress.agency in period.withdrawn,
        "counts": reduce(Counts.plus, fields.values(), Counts())._asdict(),
        "fields": {code: counts._asdict() for code, counts in fields.items()},
        "blocks": [obstacle.json() for obstacle in blocks],
        "turns": [turn.json(on.time) for turn in turns],
    }


def _strengths_routes(desk: Desk, routes: APIRouter) -> None:
    @routes.get("/periods/{period}/agencies/{agency}/strengths", tags=["live"])
    async def strengths(period: Id, agency: Id, caller: Reader, before: Before = None) -> dict[str, Any]:
        """Where an agency's points are being lost and why, as far as the caller may see its card. The best of the group
        is for who sees the other agencies; `before` names an earlier published period to compare with."""
        look = await desk.look(period)
        sight = sight_of(caller, look.states, agency, look.time)
        rubric, judged = look.states.period.rubric_of(agency), look.states.appraisal.agencies.get(agency, Judged())
        card = look.card(agency)
        body = {"period": period, "agency": agency, "provisional": True, "heads": look.shown_heads()}
        if not sight.appraised:
            sides = [side_body(rubric, side) for side in declared_sides(rubric, card)]
            return body | {"maximum": decimal_text(card.maximum), "items": sides}
        peers = look.cards() if sight.fields is not None or sees_table(caller, look.states) else {}
        past = await _past(desk, before, agency, everything=sight.fields is None)
        known, beside = look.states.period, Beside(peers, past)
        return body | await asyncio.to_thread(sheet, known, agency, card, judged, sight, beside)

    @routes.get("/published/{period}/agencies/{agency}/strengths", tags=["public"], dependencies=[Depends(public)])
    async def published_strengths(period: Id, agency: Id, before: Before = None) -> dict[str, Any]:
        """Where an agency's points were lost and why, where the publication policy shows points. No token is needed."""
        manifest, found, look = await desk.published_index(period)
        results, known = published_results(found, look.states.period), look.states.period
        card, judged = results.card(agency), look.states.appraisal.agencies.get(agency, Judged())
        if publication_of(known, agency) != "everything":
            judged = Judged()  # points only: no decision's reason
        upto = manifest.heads[f"appraisal/{period}"].size
        past = await _past(desk, before, agency, everything=False)
        beside = Beside(results.cards, past)
        body = await asyncio.to_thread(sheet, known, agency, card, judged, Sight(), beside, upto)
        return {"period": period, "agency": agency, "provisional": False, **body}


async def _past(desk: Desk, before: str | None, agency: str, *, everything: bool) -> Past | None:
    """An agency's card of an earlier published period: with `everything` whatever its policy, else as it leaves it."""
    if before is None:
        return None
    _, found, look = await desk.published_index(before)
    known = look.states.period
    if agency not in known.agencies:
        return Past(before, None, None)
    card = found.cards[agency].card if everything and agency in found.cards else None
    return Past(before, known.rubric_of(agency), card or published_results(found, known).card(agency))


def _export_routes(desk: Desk, routes: APIRouter) -> None:
    busy = asyncio.Lock()  # a workbook is seconds of computing: one at a time, so that nobody can occupy the service

    async def answer(results: Results, ask: Export, past: Results | None) -> Response:
        async with busy:
            return await asyncio.to_thread(_made, results, ask, past)

    @routes.get("/periods/{period}/export", tags=["live"])
    async def export(period: Id, caller: Insider, ask: Annotated[Export, Query()]) -> Response:
        """The result as it stands, marked TẠM TÍNH (provisional): a table to take home as XLSX, CSV or JSON."""
        look = await desk.look(period)
        may_see_table(caller, look.states)
        past = None
        if ask.before is not None:
            _, found, earlier = await desk.published_index(ask.before)
            past = all_results(found, earlier.states.period)
        return await answer(live_results(look), ask, past)

    @routes.get("/published/{period}/export", tags=["public"], dependencies=[Depends(public)])
    async def published_export(period: Id, ask: Annotated[Export, Query()]) -> Response:
        """The published result as XLSX, CSV or JSON, as far as the publication policy shows it. No token is needed."""
        _, found, look = await desk.published_index(period)
        past = None
        if ask.before is not None:
            _, earlier, then = await desk.published_index(ask.before)
            past = published_results(earlier, then.states.period)
        return await answer(published_results(found, look.states.period), ask, past)


def _made(results: Results, ask: Export, past: Results | None) -> Response:
    tables = _tables(results, ask, past)
    if ask.format == "json":
        body = {"period": results.id, "what": ask.what, "provisional": results.provisional, "before": ask.before}
        return JSONResponse(body | {"tables": [table.json() for table in tables]})
    mark = "-tam-tinh" if results.provisional else ""
    name = "-".join([results.id, ask.what, *([ask.agency] if ask.agency else [])]) + f"{mark}.{ask.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    if ask.format == "csv":
        return Response(csv_text(tables[0].sheet()), media_type=CSV_TYPE, headers=headers)
    return Response(write([table.sheet() for table in tables]), media_type=WORKBOOK_TYPE, headers=headers)


def _tables(results: Results, ask: Export, past: Results | None) -> list[Table]:
    match ask.what:
        case "ranking":
            return [ranking_table(results)]
        case "fields" | "criteria":
            return [summary_table(results, criteria=ask.what == "criteria")]
        case "agency":
            if ask.agency is None:
                raise Rejected("export-incomplete", "name the agency: agency=<id>", "agency")
            return [agency_table(results, ask.agency)]
        case "comparison":
            if past is None:
                raise Rejected("export-incomplete", "name the earlier period: before=<period>", "before")
            return comparison_tables(results, past, ask.agency)
