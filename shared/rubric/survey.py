"""The points of a survey item from counted ballots; no ballot of a person is ever seen here."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from shared.rubric.model import Leaf
from shared.rubric.points import check_points
from shared.rubric.rules import Imported, Survey, SurveyQuestion
from shared.rubric.values import Exact, Frozen, Id, Points, RubricError, recorded

FEWEST: Final = 5
"""Ballots below which a group says nothing, whatever the rubric says: its counts are not in the log."""
BLANK: Final = "blank"
"""The word for an unanswered question among options."""


class FormTally(NamedTuple):
    """The ballots of one form, and for each question the ballots for each option (`blank`: unanswered; may be left out,
    since blank is what the options do not account for)."""

    ballots: int
    counts: Mapping[str, Mapping[str, int]]


class GroupResult(Frozen):
    """A respondent group: its ballots, whether it counts, and its share (0 to 1) where it does."""

    group: Id
    ballots: int
    counted: bool
    share: Exact | None = None


class SurveyResult(Frozen):
    """A survey item's points, or why it has none: it leaves the maximum (`applicable` false) or `officer` decides.

    `share` is the exact share of the maximum before rounding; `imported` marks points of an existing study.
    """

    points: Points | None = None
    applicable: bool = True
    officer: bool = False
    imported: bool = False
    share: Exact | None = None
    groups: tuple[GroupResult, ...] = ()


class _Base(NamedTuple):
    """Answers inside the base of the share, and the sum of their options' shares."""

    answers: int
    achieved: Fraction

    @property
    def share(self) -> Fraction:
        return self.achieved / self.answers


def survey_points(leaf: Leaf, tallies: Mapping[str, FormTally], imported: Decimal | None = None) -> SurveyResult:
    """The item's result from the tallies of one agency (form id → tally), or from an existing study's points.

    Raises `RubricError`: `item-not-surveyed`, `counts-invalid`, and those of `check_points` for imported points.
    """
    rule = leaf.rule
    if not isinstance(rule, Survey | Imported) or leaf.max is None:
        raise RubricError("item-not-surveyed", "no survey scores this item", leaf.code)
    if imported is not None:
        check_points(leaf, imported)
        return SurveyResult(points=imported, imported=True)
    if isinstance(rule, Imported):
        return SurveyResult(officer=True)
    ballots = _ballots(rule, tallies)
    groups, share = (
        _pooled(leaf, rule, tallies, ballots) if rule.combine == "pooled" else _averaged(leaf, rule, tallies, ballots)
    )
    if share is not None:
        points = rule.rounding.of(share * Fraction(leaf.max))
        return SurveyResult(points=recorded(Fraction(points)), share=share, groups=groups)
    if rule.too_few == "officer":
        return SurveyResult(officer=True, groups=groups)
    return SurveyResult(applicable=False, groups=groups)


def _ballots(rule: Survey, tallies: Mapping[str, FormTally]) -> dict[str, int]:
    """The ballots of each group over the forms that the item reads, in the order of the rule."""
    forms = {(question.group, question.form) for question in rule.questions}
    order = [weight.group for weight in rule.weights] or [question.group for question in rule.questions]
    return {
        group: sum(tallies[form].ballots for owner, form in forms if owner == group and form in tallies)
        for group in dict.fromkeys(order)
    }


def _averaged(
    leaf: Leaf, rule: Survey, tallies: Mapping[str, FormTally], ballots: Mapping[str, int]
) -> tuple[tuple[GroupResult, ...], Fraction | None]:
    weights = {weight.group: Fraction(weight.weight) for weight in rule.weights}
    results = []
    for group, count in ballots.items():
        share = None
        if count >= max(FEWEST, rule.least):
            share = _weighted(
                (question.weight, _base(leaf, rule, question, tallies))
                for question in rule.questions
                if question.group == group
            )
        results.append(GroupResult(group=group, ballots=count, counted=share is not None, share=share))
    groups = tuple(results)
    if rule.too_few != "leave-out" and not all(group.counted for group in groups):
        return groups, None
    total = sum((weights.get(group.group, Fraction(1)) for group in groups if group.counted), Fraction(0))
    if not total:
        return groups, None
    achieved = sum(
        (weights.get(group.group, Fraction(1)) * group.share for group in groups if group.share is not None),
        Fraction(0),
    )
    return groups, achieved / total


def _pooled(
    leaf: Leaf, rule: Survey, tallies: Mapping[str, FormTally], ballots: Mapping[str, int]
) -> tuple[tuple[GroupResult, ...], Fraction | None]:
    counted = {group for group, count in ballots.items() if count >= FEWEST}
    groups = tuple(
        GroupResult(group=group, ballots=count, counted=group in counted) for group, count in ballots.items()
    )
    if sum(ballots[group] for group in counted) < max(FEWEST, rule.least):
        return groups, None
    pool: dict[str, tuple[Decimal, _Base]] = {}
    for question in rule.questions:
        if question.group in counted:
            base = _base(leaf, rule, question, tallies)
            weight, before = pool.get(question.question, (question.weight, _Base(0, Fraction(0))))
            pool[question.question] = (
                weight,
                _Base(before.answers + base.answers, before.achieved + base.achieved),
            )
    return groups, _weighted(pool.values())


def _weighted(questions: Iterable[tuple[Decimal, _Base]]) -> Fraction | None:
    """The weighted mean of the questions' shares; a question without an answer in its base is left out."""
    answered = [(Fraction(weight), base.share) for weight, base in questions if base.answers]
    if not answered:
        return None
    return sum((weight * share for weight, share in answered), Fraction(0)) / sum(weight for weight, _ in answered)


def _base(leaf: Leaf, rule: Survey, question: SurveyQuestion, tallies: Mapping[str, FormTally]) -> _Base:
    if question.form not in tallies:
        return _Base(0, Fraction(0))
    tally = tallies[question.form]
    counts = {option: n for option, n in tally.counts.get(question.question, {}).items() if option != BLANK}
    counts[BLANK] = tally.ballots - sum(counts.values())
    if min(counts.values()) < 0:
        place = f"form {question.form}, question {question.question}"
        raise RubricError("counts-invalid", f"{place}: the counts do not fit {tally.ballots} ballots", leaf.code)
    aggregation = question.aggregation or rule.aggregation
    inside = {option: n for option, n in counts.items() if option not in rule.outside}
    achieved = sum((n * aggregation.share(option) for option, n in inside.items()), Fraction(0))
    return _Base(sum(inside.values()), achieved)
