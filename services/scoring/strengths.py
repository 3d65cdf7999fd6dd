"""Strong and weak sides of an agency: where points were lost and why.

The losses are exact: those of the items, in points of the total, and what each part of the scale lost besides sum to
the maximum less what the parts add to the total.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from services.scoring.scorecard import Judged
from shared.rubric import Card, Leaf, LeafLine, LeafValue, Mode, NotApplicable, PartLine, PartName, Rubric, card
from shared.rubric.model import BASE_PARTS, Criterion

ZERO = Fraction(0)


CAUSES: Final[Mapping[str, tuple[str, str]]] = {
    "declared-below-maximum": ("Tự chấm dưới điểm tối đa", "Declared below the maximum"),
    "not-declared": ("Không kê khai", "Not declared"),
    "corrected-by-appraiser": ("Thẩm định điều chỉnh", "Corrected by the appraiser"),
    "below-maximum": ("Cơ quan thẩm định chấm dưới điểm tối đa", "Scored below the maximum by the appraiser"),
    "survey-share": ("Kết quả điều tra xã hội học", "Share of the survey's answers"),
    "council": ("Hội đồng thẩm định quyết định", "Fixed by the council"),
    "not-appraised": ("Chưa có điểm thẩm định", "No appraised points"),
    "rounding": ("Làm tròn", "Rounding"),
    "penalty": ("Điểm phạt", "Penalty"),
    "not-held": ("Phần không tổ chức trong kỳ", "A part that was not held"),
    "not-applicable": ("Tiêu chí không áp dụng", "Items that do not apply"),
    "limits": ("Giới hạn của phần điểm", "Caps and what the items cannot reach"),
}
"""Why points are lost, in Vietnamese and English."""


class Cause(NamedTuple):
    """Why points were lost (below 0: won back), how many points of the item, and the reason code of who decided."""

    code: str
    points: Fraction
    reason_code: str | None = None


class Side(NamedTuple):
    """One item: `lost` of its own points with their causes, which sum to it, and `of_total`: the same in points of the
    total. Of a bonus item nothing is lost; of a penalty what was taken."""

    item: str
    line: LeafLine
    lost: Fraction
    of_total: Fraction
    causes: tuple[Cause, ...]


class Rest(NamedTuple):
    """What a part lost beside its items' losses: `cause` is `not-held`, `not-applicable` (items left the maximum) or
    `limits` (caps, what the items cannot reach, rounding). Below 0 where the items together lost more than counts."""

    part: PartName
    cause: str
    points: Fraction


class Sides(NamedTuple):
    """An agency's sheet. `lost` is the maximum of the scale less what its parts add to the total."""

    lost: Fraction
    sides: tuple[Side, ...]
    rests: tuple[Rest, ...]

    @property
    def strong(self) -> list[str]:
        """The applicable items of the scale that lost nothing, in the order of the instrument."""
        return [side.item for side in self.sides if not side.lost and _counts(side.line) and side.line.maximum]

    @property
    def weak(self) -> list[str]:
        """The items that lost points, the greatest loss first."""
        losing = [side for side in self.sides if side.lost > 0]
        return [side.item for side in sorted(losing, key=lambda side: -abs(side.of_total))]


def sides_of(rubric: Rubric, result: Card, judged: Judged, upto: int | None = None) -> Sides:
    """The sheet of a card. `judged`: where the reason codes stand, of entries before `upto` (None: all of them)."""
    weights = _weights(rubric, result)
    sides = tuple(_side(rubric.leaves[line.code], line, weights, judged, upto) for line in result.leaves)
    base = [part for part in result.parts if part.part in BASE_PARTS]
    lost = sum((Fraction(part.maximum or 0) - part.exact for part in base), ZERO)
    return Sides(lost, sides, tuple(_rests(result, base, sides)))


def declared_sides(rubric: Rubric, result: Card) -> tuple[Side, ...]:
    """Of the self-assessed items only what was declared below the maximum: for who may not see appraised points."""
    found = []
    for line in result.leaves:
        if rubric.leaves[line.code].mode is Mode.SELF_ASSESSED and line.part in BASE_PARTS:
            shown = LeafLine(
                code=line.code, part=line.part, maximum=line.maximum, self_assessed=line.self_assessed, open=True
            )
            lost = Fraction(line.maximum or 0) - Fraction(line.self_assessed or 0)
            cause = Cause("not-declared" if line.self_assessed is None else "declared-below-maximum", lost)
            found.append(Side(line.code, shown, lost, ZERO, (cause,) if lost else ()))
    return tuple(found)


def _counts(line: LeafLine) -> bool:
    return line.part in BASE_PARTS and not line.not_applicable


def _side(leaf: Leaf, line: LeafLine, weights: Mapping[str, Fraction], judged: Judged, upto: int | None) -> Side:
    achieved = Fraction(line.achieved or 0)
    if line.part is PartName.PENALTY and achieved:
        return Side(
            leaf.code, line, achieved, achieved, (Cause("penalty", achieved, _reason(judged, leaf.code, upto)),)
        )
    if not _counts(line):
        return Side(leaf.code, line, ZERO, ZERO, ())
    lost = Fraction(line.maximum or 0) - achieved
    causes = tuple(cause for cause in _causes(leaf, line, judged, upto) if cause.points)
    return Side(leaf.code, line, lost, lost * weights.get(leaf.code, ZERO), causes)


def _causes(leaf: Leaf, line: LeafLine, judged: Judged, upto: int | None) -> Iterator[Cause]:
    """From the maximum down over what was declared, appraised and fixed by the council to what was achieved."""
    at, declared = Fraction(line.maximum or 0), line.self_assessed is not None
    steps: list[tuple[str, Decimal | None, str | None]] = [
        ("declared-below-maximum", line.self_assessed, None),
        (_of_appraisal(leaf, declared), line.appraised, _reason(judged, leaf.code, upto, council=False)),
        ("council", line.council, _reason(judged, leaf.code, upto)),
    ]
    for code, points, reason in steps:
        if points is not None:
            yield Cause(code, at - Fraction(points), reason)
            at = Fraction(points)
    if line.appraised is not None or line.council is not None:
        yield Cause("rounding", at - Fraction(line.achieved or 0))
    elif leaf.mode is Mode.SELF_ASSESSED and not declared:
        yield Cause("not-declared", at - Fraction(line.achieved or 0))
    else:
        yield Cause("not-appraised", at - Fraction(line.achieved or 0))


def _of_appraisal(leaf: Leaf, declared: bool) -> str:
    """What a loss between the declared (or the maximum) and the appraised points comes from."""
    if leaf.mode is Mode.SURVEY:
        return "survey-share"
    if leaf.mode is Mode.APPRAISED:
        return "below-maximum"
    return "corrected-by-appraiser" if declared else "not-declared"


def _reason(judged: Judged, code: str, upto: int | None, *, council: bool = True) -> str | None:
    """The reason code of the council, else of the appraiser; without `council` that of the appraiser only."""
    for settled in (judged.council.get(code) if council else None, judged.appraised.get(code)):
        if settled is not None:
            return settled.reason_code if upto is None or settled.position < upto else None
    return None


def _rests(result: Card, base: Sequence[PartLine], sides: Sequence[Side]) -> Iterator[Rest]:
    for part in base:
        own = [side for side in sides if side.line.part is part.part]
        points = Fraction(part.maximum or 0) - part.exact - sum((side.of_total for side in own), ZERO)
        if points:
            left = any(side.line.not_applicable for side in own)
            others = any(not other.held for other in base)
            cause = "not-held" if not part.held or others else "not-applicable" if left else "limits"
            yield Rest(part.part, cause, points)


def _weights(rubric: Rubric, result: Card) -> dict[str, Fraction]:
    """What a point of each item is worth in the total, before caps and rounding: read off a card that has one item of
    the group alone at its maximum."""
    exact = rubric.model_copy(update={"rounding": rubric.rounding.model_copy(update={"stage": "total"})})
    not_held = [part.part for part in result.parts if not part.held]
    left = {line.code: LeafValue(not_applicable=True) for line in result.leaves if line.not_applicable}
    lines, weights = {line.code: line for line in result.leaves}, dict[str, Fraction]()
    for group in _groups(rubric):
        for name in BASE_PARTS:
            members = [lines[leaf.code] for leaf in group if leaf.part is name and _counts(lines[leaf.code])]
            one = next((line for line in members if line.maximum), None)
            if one is not None and one.maximum:
                alone = card(exact, {**left, one.code: LeafValue(appraised=one.maximum)}, final=True, not_held=not_held)
                [adds] = [part.exact for part in alone.parts if part.part is name]
                weights |= {line.code: adds / Fraction(one.maximum) for line in members}
    return weights


def _groups(rubric: Rubric) -> list[list[Leaf]]:
    """The items whose points are worth the same, in each part."""
    if rubric.not_applicable is NotApplicable.SCALE_FIELD:
        return [list(field.leaves) for field in rubric.fields]
    if rubric.not_applicable is NotApplicable.SCALE_CRITERION:
        nodes = [node for field in rubric.fields for node in field.criteria]
        return [list(node.items) if isinstance(node, Criterion) else [node] for node in nodes]
    return [list(rubric.leaves.values())]
