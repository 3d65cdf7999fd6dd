"""How an item's points follow from its declared datum: one class a kind of score rule.

A datum is one string. `read` turns what a person wrote into the one canonical text of it (reading it again changes
nothing), `value` turns the canonical text into exact points. Both raise `RubricError`; neither knows the item's code.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from shared.rubric.measures import Interval, Measure, read_whole
from shared.rubric.values import (
    AboveZero,
    Code,
    FromZero,
    Frozen,
    Id,
    Label,
    LowerEnd,
    Rounding,
    RubricError,
    Whole,
    canonical_number,
    exact_text,
    parse_number,
)


def _exact(figure: Decimal | None, otherwise: Fraction | None) -> Fraction:
    if figure is not None:
        return Fraction(figure)
    if otherwise is None:
        raise RubricError("rubric-invalid", "the item has no maximum for its rule to start from")
    return otherwise


class YesNo(Frozen):
    """Có / Không. `yes` gives the maximum where it states no points. (Không áp dụng is a claim, not a datum.)"""

    kind: Literal["yes-no"] = "yes-no"
    yes: FromZero | None = None
    no: FromZero = Decimal(0)

    def read(self, text: str) -> str:
        answers = {"yes": "yes", "có": "yes", "no": "no", "không": "no"}
        answer = answers.get(text.strip().casefold())
        if answer is None:
            raise RubricError("data-invalid", f"{text.strip()[:40]!r} is neither yes nor no")
        return answer

    def value(self, canonical: str, maximum: Fraction | None) -> Fraction:
        return _exact(self.yes, maximum) if canonical == "yes" else Fraction(self.no)


class Level(Frozen):
    """One level with the points it gives; with `up_to` they are its most, and who scores says how many of them."""

    id: Id
    label: Label
    points: FromZero
    up_to: Literal[True] | None = None


class Share(Frozen):
    """One level with the share of the item's maximum that it gives, in per cent."""

    id: Id
    label: Label
    share: FromZero


def _read_level(text: str, levels: Iterable[Level | Share]) -> str:
    ids = [level.id for level in levels]
    if text.strip() not in ids:
        raise RubricError("level-unknown", f"{text.strip()[:60]!r} is no level of this item; it has {', '.join(ids)}")
    return text.strip()


def _read_points(text: str) -> Decimal:
    if re.match(r"\s*-", text):
        raise RubricError("points-negative", "points are typed from 0 up; a penalty's part subtracts them")
    return parse_number(text)


class Levels(Frozen):
    """Named levels, each with its points. The datum is the level's id; of a level `up_to` some points the id and the
    points that were set (`improved: 2,5`)."""

    kind: Literal["levels"] = "levels"
    levels: Annotated[tuple[Level, ...], Field(min_length=1, max_length=50)]

    def read(self, text: str) -> str:
        name, colon, points = text.partition(":")
        level = next((level for level in self.levels if level.id == name.strip() and level.up_to), None)
        if level is None:
            return _read_level(text, self.levels)
        if not colon:
            most = exact_text(Fraction(level.points))
            raise RubricError(
                "data-invalid", f"{level.id} gives up to {most}: write the points, like {level.id}: {most}"
            )
        value = _read_points(points)
        if value > level.points:
            raise RubricError("points-above-maximum", f"{level.id} gives at most {exact_text(Fraction(level.points))}")
        return f"{level.id}:{canonical_number(value)}"

    def value(self, canonical: str, maximum: Fraction | None) -> Fraction:
        name, colon, points = canonical.partition(":")
        if colon:
            return Fraction(parse_number(points))
        return next(Fraction(level.points) for level in self.levels if level.id == name)


class Shares(Frozen):
    """Named levels, each with a share of the maximum (xuất sắc 100 %, tốt 75 %). The datum is the level's id."""

    kind: Literal["share"] = "share"
    levels: Annotated[tuple[Share, ...], Field(min_length=1, max_length=50)]
    rounding: Rounding | None = None

    def read(self, text: str) -> str:
        return _read_level(text, self.levels)

    def value(self, canonical: str, maximum: Fraction | None) -> Fraction:
        share = next(Fraction(level.share) for level in self.levels if level.id == canonical)
        return _rounded(_exact(None, maximum) * share / 100, self.rounding)


class Step(Interval):
    """One step: a range of the measured value and the points it gives."""

    points: FromZero
    label: Label | None = None


class Steps(Frozen):
    """Steps over a rate, count or number, each with stated ends ("từ 70% đến 90%: 1")."""

    kind: Literal["steps"] = "steps"
    measure: Measure = Measure()
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=50)]

    def read(self, text: str) -> str:
        return self.measure.read(text)

    def value(self, canonical: str, maximum: Fraction | None) -> Fraction:
        measured = self.measure.value(canonical)
        for step in self.steps:
            if step.holds(measured):
                return Fraction(step.points)
        raise RubricError("data-invalid", f"no step of this item covers {canonical}")


class Proportional(Frozen):
    """(value ÷ `divisor`) × `of`, at most `of`; `of` is the maximum where it is not stated.

    `floor` is the lower end of the range where the proportion holds: under it the item gives `under` points.
    `full` is the end from which the item gives `of` whole. `rounding` is this rule's own.
    """

    kind: Literal["proportional"] = "proportional"
    measure: Measure = Measure()
    divisor: AboveZero = Decimal(100)
    of: FromZero | None = None
    floor: LowerEnd | None = None
    under: FromZero = Decimal(0)
    full: LowerEnd | None = None
    rounding: Rounding | None = None

    def read(self, text: str) -> str:
        return self.measure.read(text)

    def value(self, canonical: str, maximum: Fraction | None) -> Fraction:
        measured, whole = self.measure.value(canonical), _exact(self.of, maximum)
        if self.floor is not None and not self.floor.holds(measured):
            return Fraction(self.under)
        if self.full is not None and self.full.holds(measured):
            return whole
        return _rounded(min(whole, measured / Fraction(self.divisor) * whole), self.rounding)


class Count(Frozen):
    """count × `unit`, at most `cap` or else the maximum ("mỗi quy chế đạt yêu cầu: 0,5, tối đa 2")."""

    kind: Literal["count"] = "count"
    unit: AboveZero
    cap: FromZero | None = None

    def read(self, text: str) -> str:
        return str(read_whole(text))

    def value(self, canonical: str, maximum: Fraction | None) -> Fraction:
        points = Fraction(self.unit) * int(canonical)
        limits = [limit for limit in (maximum, None if self.cap is None else Fraction(self.cap)) if limit is not None]
        return min([points, *limits])


class LateDays(Frozen):
    """Points by the day late: `first_points` for up to `first_days`, then `per_day` more for each further day.

    After `last_day` nothing is taken any more: a greater number is refused, or gives `beyond` where that is stated.
    """

    kind: Literal["late-days"] = "late-days"
    first_days: Whole = 0
    first_points: FromZero = Decimal(0)
    per_day: FromZero = Decimal(0)
    last_day: Whole | None = None
    beyond: FromZero | None = None

    def read(self, text: str) -> str:
        days = read_whole(text)
        if self.last_day is not None and self.beyond is None and days > self.last_day:
            raise RubricError("data-invalid", f"nothing is taken after day {self.last_day}")
        return str(days)

    def value(self, canonical: str, maximum: Fraction | None) -> Fraction:
        days = int(canonical)
        if days == 0:
            return Fraction(0)
        if self.last_day is not None and self.beyond is not None and days > self.last_day:
            return Fraction(self.beyond)
        return Fraction(self.first_points) + max(0, days - self.first_days) * Fraction(self.per_day)


class ByHand(Frozen):
    """Points set by hand within the maximum, in the item's steps. The datum is the points themselves."""

    kind: Literal["by-hand"] = "by-hand"

    def read(self, text: str) -> str:
        return canonical_number(_read_points(text))

    def value(self, canonical: str, maximum: Fraction | None) -> Fraction:
        return Fraction(parse_number(canonical))


PlainRule = Annotated[
    YesNo | Levels | Shares | Steps | Proportional | Count | LateDays | ByHand, Field(discriminator="kind")
]
"""A rule whose points follow from the item's own datum."""


class Case(Frozen):
    """The rule that holds while the other item's datum is one of `when`."""

    when: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]
    rule: PlainRule


class Branch(Frozen):
    """The datum of another item (`on`) chooses which rule holds; `otherwise` holds for every other datum of it."""

    kind: Literal["branch"] = "branch"
    on: Code
    cases: Annotated[tuple[Case, ...], Field(min_length=1, max_length=20)]
    otherwise: PlainRule | None = None

    def chosen(self, answers: Mapping[str, str]) -> PlainRule:
        """The rule that holds under these answers (item code → canonical datum)."""
        answer = answers.get(self.on)
        if answer is None:
            raise RubricError("answer-missing", f"item {self.on} decides which rule holds: declare it first")
        for case in self.cases:
            if answer in case.when:
                return case.rule
        if self.otherwise is None:
            raise RubricError("answer-unknown", f"no rule of this item holds while item {self.on} is {answer!r}")
        return self.otherwise


class OptionShares(Frozen):
    """Each option carries a share of the question's points in per cent (A 100, B 60, C 20, D 0)."""

    kind: Literal["option-shares"] = "option-shares"
    shares: Annotated[dict[Id, FromZero], Field(min_length=1, max_length=20)]

    def share(self, option: str) -> Fraction:
        """The option's share, 0 to 1; an option that is not listed has none."""
        return Fraction(self.shares.get(option, Decimal(0))) / 100


class TopLevels(Frozen):
    """The share of the answers in the top levels of a scale (SIPAS: the best two of five)."""

    kind: Literal["top-levels"] = "top-levels"
    top: Annotated[tuple[Id, ...], Field(min_length=1, max_length=20)]

    def share(self, option: str) -> Fraction:
        """1 for a top level, else 0."""
        return Fraction(option in self.top)


Aggregation = Annotated[OptionShares | TopLevels, Field(discriminator="kind")]


class SurveyQuestion(Frozen):
    """A question of the item: who is asked, on which form, and its weight among the questions of its group."""

    group: Id
    form: Id
    question: Id
    weight: AboveZero = Decimal(1)
    aggregation: Aggregation | None = None


class GroupWeight(Frozen):
    """A respondent group's weight in the item."""

    group: Id
    weight: AboveZero


class Survey(Frozen):
    """The item's points are maximum × share, read from ballots.

    `combine`: `groups` averages the groups' shares by `weights`; `pooled` adds up the answers of all groups to the same
    question id first. `outside`: options that leave the base of the share; the word `blank` stands for unanswered.
    `least`: ballots of a group (pooled: of all groups together) below which `too_few` applies: the group is left out
    and the other weights are scaled up (`leave-out`), the item leaves the maximum (`not-applicable`), or an officer
    decides with a reason (`officer`). A group with fewer than five ballots is always too few. With nothing left to
    read, `leave-out` means that the item leaves the maximum.
    """

    kind: Literal["survey"] = "survey"
    questions: Annotated[tuple[SurveyQuestion, ...], Field(min_length=1, max_length=200)]
    aggregation: Aggregation
    combine: Literal["groups", "pooled"] = "groups"
    weights: Annotated[tuple[GroupWeight, ...], Field(max_length=20)] = ()
    outside: Annotated[tuple[Id, ...], Field(max_length=20)] = ()
    least: Whole = 5
    too_few: Literal["leave-out", "not-applicable", "officer"] = "leave-out"
    rounding: Rounding = Rounding()


class Imported(Frozen):
    """The item has no ballots here: its points come from an existing study, entered with document and source."""

    kind: Literal["imported"] = "imported"
    rounding: Rounding = Rounding()


Rule = Annotated[
    YesNo | Levels | Shares | Steps | Proportional | Count | LateDays | ByHand | Branch | Survey | Imported,
    Field(discriminator="kind"),
]
"""Every score rule."""


def _rounded(value: Fraction, rounding: Rounding | None) -> Fraction:
    return value if rounding is None else Fraction(rounding.of(value))
