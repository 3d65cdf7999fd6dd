"""The scoring's door for what officers read: progress."""

import asyncio
from collections.abc import Iterator
from functools import reduce
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from services.scoring.desk import Desk
from services.scoring.index import Index, Situation
from services.scoring.progress import Counts, Progress, agency_progress, period_blocks, period_turns
from services.scoring.sight import AGENCIES, FIELDS, SEATED, WIDE, Sight, items_of, sees_table, sight_of
from services.scoring.steps import ACTIONS, STEPS
from shared.access import Caller, require
from shared.decider import Rejected
from shared.events import Id, instant
from shared.period import Period

Reader = Annotated[Caller, Depends(require(*WIDE, *SEATED, *AGENCIES, *FIELDS))]


def add(desk: Desk, routes: APIRouter) -> None:
    """Add the routes."""
    _progress_route(desk, routes)


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
        "counts": reduce(Counts.plus, fields.values(), Counts())._asdict(),
        "fields": {code: counts._asdict() for code, counts in fields.items()},
        "blocks": [obstacle.json() for obstacle in blocks],
        "turns": [turn.json(on.time) for turn in turns],
    }
