"""From the points of the items to an agency's card: totals of items, criteria, fields and parts, index, band.

Everything is an exact quotient until the stage at which the rubric rounds; the parts' exact points sum to the exact
total (before `lowest` and `highest`). The order in which values are given changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from shared.rubric.bands import band
from shared.rubric.cards import Card, LeafLine, LeafValue, NodeLine, PartLine
from shared.rubric.model import (
    BASE_PARTS,
    Criterion,
    ExtraPart,
    Field,
    Leaf,
    Mode,
    NotApplicable,
    NotHeld,
    PartName,
    Rubric,
)
from shared.rubric.values import RubricError, exact_sum, recorded, round_to

ZERO = Fraction(0)


class _Sum(NamedTuple):
    """A part as summed from its items: plain, after scaling, what could be reached plainly and after scaling."""

    achieved: Fraction
    reachable: Fraction
    scaled: Fraction
    limit: Fraction


def card(
    rubric: Rubric,
    leaves: Mapping[str, LeafValue],
    *,
    final: bool = False,
    self_assessment: bool = True,
    not_held: Collection[PartName] = (),
) -> Card:
    """The card that these values give. Items that `leaves` does not name are open.

    `self_assessment` is false for an agency that the self-assessment closed without; `not_held` names parts that were
    not held in the period (a part of which no item applies counts as not held). Raises `RubricError`: `item-unknown`,
    and `points-negative` or `points-above-maximum` for a value that no rule of the rubric gives.
    """
    for code in leaves:
        rubric.leaf(code)
    lines = {
        code: _line(rubric, leaf, leaves.get(code, LeafValue()), final, self_assessment)
        for code, leaf in rubric.leaves.items()
    }
    sums = {name: _sum(rubric, name, lines) for name in PartName}
    held = {name: name not in not_held and sums[name].limit > 0 for name in rubric.parts.base()}
    shares = _contributions(rubric, sums, held)
    if rubric.rounding.stage != "total":
        shares = {name: Fraction(rubric.rounding.figure.of(share)) for name, share in shares.items()}
    parts = tuple(
        _part(rubric, lines, sums[name], (name, shares[name]), held=held.get(name, True))
        for name in PartName
        if name in shares
    )
    return _card(rubric, lines, parts, final, self_assessment)


def self_assessed_total(rubric: Rubric, points: Mapping[str, Decimal]) -> Decimal:
    """The total that a self-assessment carries: each part's declared points up to the part's maximum or cap,
    a penalty's subtracted. Claims of not applicable count nothing, here and in the maximum."""
    values = {code: LeafValue(self_assessed=value) for code, value in points.items()}
    return card(rubric, values).self_assessed


def _line(rubric: Rubric, leaf: Leaf, value: LeafValue, final: bool, self_assessment: bool) -> LeafLine:
    """The item's line; `zero` for a missing self-assessment gives way to the council only."""
    for points in (value.self_assessed, value.appraised, value.council):
        if points is not None and points < 0:
            raise RubricError("points-negative", f"{points} is below 0", leaf.code)
        if points is not None and leaf.max is not None and points > leaf.max:
            raise RubricError("points-above-maximum", f"{points} is above {leaf.max}", leaf.code)
    achieved = value.achieved
    if not self_assessment and leaf.mode is Mode.SELF_ASSESSED and rubric.missing_self_assessment == "zero":
        achieved = value.council if value.council is not None else Decimal(0)
    is_open = achieved is None and not value.not_applicable and not final
    if value.not_applicable:
        achieved = None
    elif achieved is None and final:
        achieved = Decimal(0)
    if achieved is not None and rubric.rounding.stage == "leaf":
        achieved = rubric.rounding.figure.of(Fraction(achieved))
    return LeafLine(
        code=leaf.code,
        part=leaf.part,
        maximum=leaf.max,
        not_applicable=value.not_applicable,
        self_assessed=value.self_assessed,
        appraised=value.appraised,
        council=value.council,
        achieved=achieved,
        open=is_open,
    )


def _groups(rubric: Rubric) -> list[list[Leaf]]:
    """The items among which what does not apply is scaled up; none where it only shrinks the maximum."""
    rule = rubric.not_applicable
    if rule is NotApplicable.SCALE_PART:
        return [list(rubric.leaves.values())]
    if rule is NotApplicable.SCALE_FIELD:
        return [list(field.leaves) for field in rubric.fields]
    if rule is NotApplicable.SCALE_CRITERION:
        return [list(items) for field in rubric.fields for _, items in _criteria(field)]
    return []


def _sum(rubric: Rubric, part: PartName, lines: Mapping[str, LeafLine]) -> _Sum:
    members = [line for line in lines.values() if line.part is part]
    achieved, reachable = _achieved(members), _maximum(line for line in members if not line.not_applicable)
    scaled, limit = achieved, reachable
    groups = [[lines[leaf.code] for leaf in group if leaf.part is part] for group in _groups(rubric)]
    for group in filter(None, groups):
        whole, left = _maximum(group), _maximum(line for line in group if not line.not_applicable)
        if left:
            scaled += _achieved(group) * (whole - left) / left
            limit += whole - left
    base = rubric.parts.base().get(part)
    if base is None:
        return _Sum(achieved, reachable, achieved, reachable)
    cap = Fraction(base.max)
    return _Sum(achieved, min(cap, reachable), min(cap, scaled), min(cap, limit))


def _contributions(
    rubric: Rubric, sums: Mapping[PartName, _Sum], held: Mapping[PartName, bool]
) -> dict[PartName, Fraction]:
    """What each part adds to the total, before any rounding: the scale's parts, then bonus, then penalty."""
    values = {name: sums[name].scaled if held[name] else ZERO for name in held}
    extras = [(name, extra) for name in (PartName.BONUS, PartName.PENALTY) if (extra := rubric.parts.added(name))]
    inside: dict[PartName, Fraction] = {}
    level = dict(values)
    for name, extra in extras:
        into = PartName(extra.into)
        if extra.placement == "inside":
            top = sums[into].limit if held[into] else ZERO
            after = min(max(level[into] + _extra(name, extra, sums[name]), ZERO), top)
            inside[name], level[into] = after - level[into], after
    factor = _factor(rubric, sums, held)
    result = {name: value * factor for name, value in {**values, **inside}.items()}
    for name, extra in extras:
        if extra.placement == "inside":
            continue
        before = sum(result.values(), ZERO)
        after = before + _extra(name, extra, sums[name])
        if extra.placement == "capped":
            after = min(after, max(before, Fraction(rubric.total.scale)))
            after = max(after, min(before, ZERO))
        result[name] = after - before
    return result


def _extra(name: PartName, extra: ExtraPart, summed: _Sum) -> Fraction:
    """Bonus, or penalty below 0, up to its cap."""
    points = summed.achieved if extra.cap is None else min(summed.achieved, Fraction(extra.cap))
    return -points if name is PartName.PENALTY else points


def _factor(rubric: Rubric, sums: Mapping[PartName, _Sum], held: Mapping[PartName, bool]) -> Fraction:
    """What the points of the scale's parts are multiplied with: for the ratio, and for parts that are not held."""
    base = rubric.parts.base()
    absent = {name: part for name, part in base.items() if not held[name]}
    if rubric.total.rule == "ratio":
        stays = sum((Fraction(part.max) for part in absent.values() if part.if_not_held is NotHeld.ZERO), ZERO)
        applicable = stays + sum((sums[name].limit for name in base if held[name]), ZERO)
        return Fraction(rubric.total.scale) / applicable if applicable else ZERO
    present = sum((Fraction(part.max) for name, part in base.items() if held[name]), ZERO)
    stands_in = sum((Fraction(part.max) for part in absent.values() if part.if_not_held is NotHeld.RESCALE), ZERO)
    return (present + stands_in) / present if present else ZERO


def _part(
    rubric: Rubric, lines: Mapping[str, LeafLine], summed: _Sum, share: tuple[PartName, Fraction], *, held: bool
) -> PartLine:
    name, exact = share
    members = [line for line in lines.values() if line.part is name]
    base, extra = rubric.parts.base().get(name), rubric.parts.added(name)
    cap = base.max if base is not None else extra.cap if extra is not None else None
    declared = exact_sum(line.self_assessed for line in members)
    applicable = summed.reachable
    if base is not None and not held:
        applicable = Fraction(base.max) if base.if_not_held is NotHeld.ZERO else ZERO
    return PartLine(
        part=name,
        maximum=cap,
        applicable=recorded(applicable),
        held=held,
        self_assessed=recorded(declared if cap is None else min(declared, Fraction(cap))),
        achieved=recorded(summed.achieved),
        open=sum(line.open for line in members) if held else 0,
        points=rubric.rounding.figure.of(exact),
        exact=exact,
    )


def _card(
    rubric: Rubric, lines: Mapping[str, LeafLine], parts: tuple[PartLine, ...], final: bool, self_assessment: bool
) -> Card:
    show, bounds, ranking = rubric.rounding.figure.of, rubric.total, rubric.ranking
    exact = sum((part.exact for part in parts), ZERO)
    exact = exact if bounds.lowest is None else max(exact, Fraction(bounds.lowest))
    exact = exact if bounds.highest is None else min(exact, Fraction(bounds.highest))
    base = [part for part in parts if part.part in BASE_PARTS]
    survey = [part for part in parts if part.part is PartName.SURVEY]
    others = [part for part in parts if part.part is not PartName.SURVEY]
    applicable = sum((Fraction(part.applicable) for part in base), ZERO)
    achieved = sum((min(Fraction(part.achieved), Fraction(part.applicable)) for part in base), ZERO)
    result = Card(
        rubric=rubric.id,
        final=final,
        maximum=recorded(sum((Fraction(part.maximum or 0) for part in base), ZERO)),
        applicable=recorded(applicable),
        self_assessed=recorded(
            sum((Fraction(part.self_assessed) * (-1 if part.part is PartName.PENALTY else 1) for part in parts), ZERO)
        ),
        appraised=show(sum((part.exact for part in others), ZERO)),
        appraised_open=sum(part.open for part in others),
        survey=show(sum((part.exact for part in survey), ZERO)),
        survey_open=sum(part.open for part in survey),
        total=show(exact),
        exact=exact,
        ranked_by=exact if ranking.decimals is None else Fraction(round_to(exact, ranking.decimals, ranking.mode)),
        index=_index(rubric, achieved, applicable),
        parts=parts,
        fields=tuple(_node(rubric, field.code, field.leaves, lines) for field in rubric.fields),
        criteria=tuple(_node(rubric, *node, lines) for field in rubric.fields for node in _criteria(field)),
        leaves=tuple(lines.values()),
    )
    return result.model_copy(update={"band": band(rubric, result, self_assessment=self_assessment)})


def _criteria(field: Field) -> list[tuple[str, tuple[Leaf, ...]]]:
    return [(node.code, node.items if isinstance(node, Criterion) else (node,)) for node in field.criteria]


def _node(rubric: Rubric, code: str, leaves: Iterable[Leaf], lines: Mapping[str, LeafLine]) -> NodeLine:
    members = [lines[leaf.code] for leaf in leaves]
    base = [line for line in members if line.part in BASE_PARTS]
    applicable, achieved = _maximum(line for line in base if not line.not_applicable), _achieved(base)
    bonus = _achieved(line for line in members if line.part is PartName.BONUS)
    penalty = _achieved(line for line in members if line.part is PartName.PENALTY)
    return NodeLine(
        code=code,
        maximum=recorded(_maximum(base)),
        applicable=recorded(applicable),
        self_assessed=recorded(exact_sum(line.self_assessed for line in base)),
        achieved=recorded(achieved),
        extra=recorded(bonus - penalty),
        open=sum(line.open for line in members),
        index=_index(rubric, achieved, applicable),
    )


def _maximum(lines: Iterable[LeafLine]) -> Fraction:
    return exact_sum(line.maximum for line in lines)


def _achieved(lines: Iterable[LeafLine]) -> Fraction:
    return exact_sum(line.achieved for line in lines)


def _index(rubric: Rubric, achieved: Fraction, applicable: Fraction) -> Decimal | None:
    return rubric.rounding.figure.of(achieved / applicable * 100) if applicable else None
