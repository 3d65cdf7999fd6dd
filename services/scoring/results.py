"""What a reader sees of a result, live or published, and an agency's sheet of strong and weak sides."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.scorecard import Judged
from services.scoring.sight import Sight, items_of, public_rows, publication_of
from services.scoring.strengths import CAUSES, Cause, Side, Sides, sides_of
from services.scoring.tables import Results
from services.scoring.views import Look, Published
from shared.period import Period
from shared.rubric import Card, LeafLine, NodeLine, Rubric
from shared.rubric.values import decimal_text, exact_text


class Past(NamedTuple):
    """An agency in an earlier published period; without rubric and card where it took no part."""

    period: str
    rubric: Rubric | None
    card: Card | None


def live_results(look: Look) -> Results:
    """The provisional result, of every agency."""
    cards = look.cards()
    rows = FORMULAS[CURRENT].table(look.states, cards)
    return Results(look.states.period, True, [row.model_dump(mode="json", exclude_none=True) for row in rows], cards)


def published_results(found: Published, period: Period) -> Results:
    """A published result as far as its policy shows it."""
    shown = ("everything", "points-only")
    cards = {agency: each.card for agency, each in found.cards.items() if publication_of(period, agency) in shown}
    return Results(period, False, list(public_rows((each.row for each in found.cards.values()), period)), cards)


def all_results(found: Published, period: Period) -> Results:
    """A published result whole, for who saw it before publication."""
    rows = [each.row.model_dump(mode="json", exclude_none=True) for each in found.cards.values()]
    return Results(period, False, rows, {agency: each.card for agency, each in found.cards.items()})


class Beside(NamedTuple):
    """What a sheet is shown beside: the cards of agencies that the reader sees, and the agency's own earlier one."""

    peers: Mapping[str, Card]
    past: Past | None


def sheet(
    period: Period, agency: str, card: Card, judged: Judged, sight: Sight, beside: Beside, upto: int | None = None
) -> dict[str, Any]:
    """The sheet of an agency as an answer shows it: its items with their losses, beside the best of its group and its
    own earlier card; without totals where only some fields are in sight."""
    rubric, group, past = period.rubric_of(agency), period.agencies[agency].group, beside.past
    found, seen = sides_of(rubric, card, judged, upto), items_of(rubric, sight)
    others = [peer for name, peer in beside.peers.items() if period.agencies[name].group == group]
    best, before = _best(others), {} if past is None or past.card is None else _lines(past.card)
    items = []
    for side in (side for side in found.sides if side.item in seen):
        item = side_body(rubric, side)
        if side.item in best:
            item["best"] = decimal_text(best[side.item])
        if side.item in before:
            item["before"] = before[side.item].model_dump(
                mode="json", exclude_none=True, include={"maximum", "achieved", "not_applicable"}
            )
        items.append(item)
    body: dict[str, Any] = {
        "items": items,
        "strong": [item for item in found.strong if item in seen],
        "weak": [item for item in found.weak if item in seen],
    }
    if past is not None:
        body["before"] = _before(rubric, past, sight)
    return body if sight.fields is not None else body | _whole(card, found, others, past)


def _whole(card: Card, found: Sides, others: list[Card], past: Past | None) -> dict[str, Any]:
    """What only a whole card shows: totals, what was lost beside the items, the fields."""
    rests = [
        {"part": rest.part.value, "cause": rest.cause, **_named(rest.cause), "of_total": exact_text(rest.points)}
        for rest in found.rests
    ]
    return {
        "maximum": decimal_text(card.maximum),
        "total": decimal_text(card.total),
        "lost": exact_text(found.lost),
        "rests": rests,
        "fields": [_field(node, others, past) for node in card.fields],
    }


def _before(rubric: Rubric, past: Past, sight: Sight) -> dict[str, Any]:
    """The earlier period, whether the agency took part, and the items that came and went since."""
    body: dict[str, Any] = {"period": past.period, "took_part": past.card is not None}
    if past.rubric is not None:
        now, then = items_of(rubric, sight), items_of(past.rubric, sight)
        body["added"] = [code for code in rubric.leaves if code in now and code not in past.rubric.leaves]
        body["removed"] = [code for code in past.rubric.leaves if code in then and code not in rubric.leaves]
    return body


def _lines(card: Card) -> dict[str, LeafLine]:
    return {line.code: line for line in card.leaves}


def side_body(rubric: Rubric, side: Side) -> dict[str, Any]:
    """One item of the sheet; `lost` in its own points, `of_total` in points of the total."""
    leaf, line = rubric.leaves[side.item], side.line
    figures = line.model_dump(mode="json", exclude_none=True, exclude={"code", "open"})
    body = {"item": side.item, "label_vi": leaf.label.vi, "label_en": leaf.label.en or leaf.label.vi, **figures}
    body |= {"lost": exact_text(side.lost), "of_total": exact_text(side.of_total)}
    return body | {"causes": [_cause(cause) for cause in side.causes]}


def _cause(cause: Cause) -> dict[str, str]:
    reason = {} if cause.reason_code is None else {"reason_code": cause.reason_code}
    return {"cause": cause.code, **_named(cause.code), "points": exact_text(cause.points), **reason}


def _named(cause: str) -> dict[str, str]:
    vi, en = CAUSES[cause]
    return {"cause_vi": vi, "cause_en": en}


def _field(node: NodeLine, others: list[Card], past: Past | None) -> dict[str, Any]:
    body = node.model_dump(
        mode="json", exclude_none=True, include={"code", "maximum", "applicable", "achieved", "index"}
    )
    indices = [
        each.index for card in others for each in card.fields if each.code == node.code and each.index is not None
    ]
    if indices:
        body["best_index"] = decimal_text(max(indices))
    earlier = () if past is None or past.card is None else past.card.fields
    then = next((each.index for each in earlier if each.code == node.code), None)
    return body if then is None else body | {"before_index": decimal_text(then)}


def _best(cards: list[Card]) -> dict[str, Decimal]:
    """The most that any of these cards has on each item."""
    best = dict[str, Decimal]()
    for line in (line for card in cards for line in card.leaves):
        if line.achieved is not None:
            best[line.code] = max(line.achieved, best.get(line.code, line.achieved))
    return best
