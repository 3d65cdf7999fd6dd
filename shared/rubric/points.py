"""From a declared datum to an item's points."""

import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from shared.rubric.model import Leaf, Mode, Rubric
from shared.rubric.rules import Branch, ByHand, Imported, Levels, PlainRule, Survey
from shared.rubric.values import RubricError, canonical_number, exact_text, recorded

NO_ANSWERS: Final[Mapping[str, str]] = MappingProxyType({})
MAX_DATA: Final = 100
"""Longest declared datum, in characters."""


def normalise(leaf: Leaf, data: str, answers: Mapping[str, str] = NO_ANSWERS) -> str:
    """The one canonical text of what was written for the item; normalising it again changes nothing.

    `answers` (item code → canonical datum) is read by branch rules only. Raises `RubricError` with the item as field.
    """
    try:
        return _read(_rule(leaf, answers), data)
    except RubricError as error:
        raise error.at(leaf.code) from None


def points(leaf: Leaf, data: str, answers: Mapping[str, str] = NO_ANSWERS) -> Decimal:
    """The points that the datum gives: exact, never above the maximum, without trailing zeros.

    A quotient whose decimals have no end is cut to `RECORDED_DIGITS` unless its rule rounds it.
    """
    try:
        rule = _rule(leaf, answers)
        maximum = None if leaf.max is None else Fraction(leaf.max)
        canonical = _read(rule, data)
        value = rule.value(canonical, maximum)
    except RubricError as error:
        raise error.at(leaf.code) from None
    if isinstance(rule, ByHand) or (isinstance(rule, Levels) and ":" in canonical):
        check_points(leaf, recorded(value))
    return recorded(value if maximum is None else min(value, maximum))


def check_points(leaf: Leaf, value: Decimal) -> None:
    """Refuse typed points: `points-negative`, `points-above-maximum`, `points-off-step`."""
    if value < 0:
        raise RubricError("points-negative", "points are typed from 0 up; a penalty's part subtracts them", leaf.code)
    if leaf.max is not None and value > leaf.max:
        maximum = exact_text(Fraction(leaf.max))
        raise RubricError("points-above-maximum", f"{canonical_number(value)} is above {maximum}", leaf.code)
    step = leaf.step
    if isinstance(leaf.rule, Survey | Imported) and step is None:
        rounding = leaf.rule.rounding
        step = rounding.step or Decimal((0, (1,), -rounding.digits))
    if step is not None and Fraction(value) % Fraction(step) != 0:
        message = f"{canonical_number(value)} is not a multiple of {exact_text(Fraction(step))}"
        raise RubricError("points-off-step", message, leaf.code)


def declare(rubric: Rubric, code: str, data: str, answers: Mapping[str, str] = NO_ANSWERS) -> tuple[str, Decimal]:
    """An agency's declaration of an item: canonical datum and points; `item-not-self-assessed` for other modes."""
    return _judge(self_assessed(rubric, code), data, answers)


def appraise(rubric: Rubric, code: str, data: str, answers: Mapping[str, str] = NO_ANSWERS) -> tuple[str, Decimal]:
    """A datum set by appraiser or council: canonical datum and points; `item-surveyed` where ballots decide."""
    leaf = rubric.leaf(code)
    if leaf.mode is Mode.SURVEY:
        raise RubricError("item-surveyed", "a survey scores this item: it has no datum", code)
    return _judge(leaf, data, answers)


def self_assessed(rubric: Rubric, code: str) -> Leaf:
    """The item, if the agency declares it; `item-unknown`, `item-not-self-assessed` otherwise."""
    leaf = rubric.leaf(code)
    if leaf.mode is not Mode.SELF_ASSESSED:
        raise RubricError("item-not-self-assessed", f"this item is {leaf.mode}: an agency declares nothing on it", code)
    return leaf


def dependents(rubric: Rubric, code: str) -> tuple[Leaf, ...]:
    """The items whose rule the datum of item `code` chooses, directly or through others: to be scored again with it."""
    found: dict[str, Leaf] = {}
    waiting = [code]
    while waiting:
        on = waiting.pop()
        for leaf in rubric.leaves.values():
            if isinstance(leaf.rule, Branch) and leaf.rule.on == on and leaf.code not in found and leaf.code != code:
                found[leaf.code] = leaf
                waiting.append(leaf.code)
    return tuple(leaf for leaf in rubric.leaves.values() if leaf.code in found)


def _judge(leaf: Leaf, data: str, answers: Mapping[str, str]) -> tuple[str, Decimal]:
    canonical = normalise(leaf, data, answers)
    return canonical, points(leaf, canonical, answers)


def _rule(leaf: Leaf, answers: Mapping[str, str]) -> PlainRule:
    match leaf.rule:
        case Survey() | Imported():
            raise RubricError("item-surveyed", "a survey scores this item: it has no datum")
        case Branch() as branch:
            return branch.chosen(answers)
        case plain:
            return plain


def _read(rule: PlainRule, data: str) -> str:
    if not data.strip():
        raise RubricError("data-invalid", "nothing is declared")
    if len(data) > MAX_DATA:
        raise RubricError("data-invalid", f"a datum has at most {MAX_DATA} characters")
    return rule.read(unicodedata.normalize("NFC", data))
