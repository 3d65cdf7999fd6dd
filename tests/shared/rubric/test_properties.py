"""What holds of every score rule and every total, whatever its figures: bounds, order, and sums that are exact."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rubric import Card, Leaf, LeafValue, PartName, RubricError, canonical_number, card, check, points
from shared.rubric.model import Rubric
from shared.rubric.values import decimal_text
from tests.shared.rubric.build import extra, leaf, part, rubric, survey_leaf, tree_leaf

FIGURES = st.decimals(min_value=0, max_value=20, places=2).map(decimal_text)
ABOVE = st.decimals(min_value=Decimal("0.01"), max_value=20, places=2).map(decimal_text)
WHOLE = st.integers(0, 20).map(str)
RATES = st.decimals(min_value=0, max_value=100, places=2)
ROUNDINGS: st.SearchStrategy[dict[str, Any] | None] = st.none() | st.fixed_dictionaries(
    {"digits": st.integers(0, 4), "mode": st.sampled_from(["half-up", "half-even", "down"])}
)


def without_none(rule: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in rule.items() if value is not None}


@st.composite
def ladders(draw: st.DrawFn) -> dict[str, Any]:
    """Steps over a rate from 0 to 100 without gap or overlap, each end on one side or the other, points rising."""
    cuts = sorted(draw(st.sets(st.integers(1, 99), min_size=1, max_size=6)))
    given_points = sorted(draw(st.lists(FIGURES, min_size=len(cuts) + 1, max_size=len(cuts) + 1)), key=Decimal)
    steps: list[dict[str, str]] = [{"points": each} for each in given_points]
    for number, cut in enumerate(cuts):
        below, above = draw(st.sampled_from([("below", "at_least"), ("at_most", "above")]))
        steps[number][below] = steps[number + 1][above] = str(cut)
    return {"kind": "steps", "steps": draw(st.permutations(steps))}


@st.composite
def proportions(draw: st.DrawFn) -> dict[str, Any]:
    """A proportion that gives no less over its floor than under it."""
    floor = draw(st.none() | st.integers(1, 99))
    full = draw(st.none() | st.integers(floor or 1, 100))
    end = st.sampled_from(["at_least", "above"])
    rounding = draw(ROUNDINGS)
    most = WHOLE if rounding is not None and rounding["digits"] < 2 else FIGURES  # what `check` does not warn of
    return without_none(
        {
            "kind": "proportional",
            "divisor": str(draw(st.integers(1, 120))),
            "of": draw(st.none() | most),
            "floor": None if floor is None else {draw(end): str(floor)},
            "full": None if full is None else {draw(end): str(full)},
            "rounding": rounding,
        }
    )


@st.composite
def delays(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "kind": "late-days",
        "first_days": draw(st.integers(0, 9)),
        "first_points": draw(FIGURES),
        "per_day": draw(FIGURES),
    }


COUNTS = st.fixed_dictionaries({"kind": st.just("count"), "unit": ABOVE, "cap": st.none() | FIGURES}).map(without_none)


def levels(key: str) -> st.SearchStrategy[dict[str, Any]]:
    rows = st.lists(FIGURES, min_size=1, max_size=6).map(
        lambda given: [
            {"id": f"l{number}", "label": {"vi": f"Mức {number}"}, key: each} for number, each in enumerate(given)
        ]
    )
    return st.builds(lambda made: {"kind": "levels" if key == "points" else "share", "levels": made}, rows)


BY_RATE = ladders() | proportions()
BY_COUNT = COUNTS | delays()
BY_LEVEL = levels("points") | levels("share")
MAXIMA = ABOVE


def item(rule: dict[str, Any], maximum: str) -> Leaf:
    return leaf(rule, maximum)


@given(rule=BY_RATE, maximum=MAXIMA, rates=st.lists(RATES, min_size=2, max_size=12))
def test_more_of_a_rate_never_gives_less_and_never_more_than_the_maximum(
    rule: dict[str, Any], maximum: str, rates: list[Decimal]
) -> None:
    given_points = [points(item(rule, maximum), canonical_number(rate)) for rate in sorted(rates)]
    assert all(low <= high for low, high in pairwise(given_points))
    assert 0 <= given_points[0] <= given_points[-1] <= Decimal(maximum)


@given(rule=BY_COUNT, maximum=MAXIMA, counts=st.lists(st.integers(0, 60), min_size=2, max_size=12))
def test_more_of_a_count_never_gives_less_and_never_more_than_the_maximum(
    rule: dict[str, Any], maximum: str, counts: list[int]
) -> None:
    given_points = [points(item(rule, maximum), str(count)) for count in sorted(counts)]
    assert all(low <= high for low, high in pairwise(given_points))
    assert 0 <= given_points[0] <= given_points[-1] <= Decimal(maximum)


@given(rule=BY_LEVEL, maximum=MAXIMA, order=st.randoms(use_true_random=False))
def test_the_order_in_which_levels_are_written_never_matters(rule: dict[str, Any], maximum: str, order: Random) -> None:
    shuffled = {**rule, "levels": order.sample(rule["levels"], len(rule["levels"]))}
    for level in rule["levels"]:
        value = points(item(rule, maximum), level["id"])
        assert value == points(item(shuffled, maximum), level["id"])
        assert 0 <= value <= Decimal(maximum)


@given(rule=ladders(), maximum=MAXIMA, rate=RATES, order=st.randoms(use_true_random=False))
def test_every_rate_is_in_exactly_one_step_however_they_are_ordered(
    rule: dict[str, Any], maximum: str, rate: Decimal, order: Random
) -> None:
    scheme = rubric({"1": [tree_leaf("1.1", maximum, rule=rule)]}, parts={"appraisal": part(maximum)})
    assert [finding for finding in check(scheme) if finding.severity == "error"] == []
    shuffled = {**rule, "steps": order.sample(rule["steps"], len(rule["steps"]))}
    assert points(item(rule, maximum), canonical_number(rate)) == points(
        item(shuffled, maximum), canonical_number(rate)
    )


@given(maximum=MAXIMA, typed=st.decimals(min_value=0, max_value=30, places=2))
def test_typed_points_are_taken_as_they_are_or_refused(maximum: str, typed: Decimal) -> None:
    hand = item({"kind": "by-hand"}, maximum)
    if typed <= Decimal(maximum):
        assert points(hand, canonical_number(typed)) == typed
        return
    with pytest.raises(RubricError) as refused:
        points(hand, canonical_number(typed))
    assert refused.value.code == "points-above-maximum"


@given(answer=st.sampled_from(["yes", "no"]), rules=st.tuples(BY_RATE, BY_RATE), maximum=MAXIMA, rate=RATES)
def test_a_branch_gives_what_the_chosen_rule_alone_gives(
    answer: str, rules: tuple[dict[str, Any], dict[str, Any]], maximum: str, rate: Decimal
) -> None:
    cases = [{"when": [name], "rule": rule} for name, rule in zip(("yes", "no"), rules, strict=True)]
    branch = item({"kind": "branch", "on": "1.0", "cases": cases}, maximum)
    alone = item(rules[0] if answer == "yes" else rules[1], maximum)
    assert points(branch, canonical_number(rate), {"1.0": answer}) == points(alone, canonical_number(rate))


CODES = ("1.1", "1.2", "1.3", "2.1", "2.2", "B.1", "P.1")
VALUES = st.fixed_dictionaries(
    {
        code: st.none()
        | st.just(LeafValue(not_applicable=True))
        | st.decimals(min_value=0, max_value=10, places=2).map(lambda value: LeafValue(appraised=value))
        for code in CODES
    }
)


@st.composite
def schemes(draw: st.DrawFn) -> Rubric:
    """Two parts, a bonus and a penalty, under every rule of totals."""
    placed = st.sampled_from(["inside", "outside", "capped"])
    stage = draw(st.sampled_from(["leaf", "part", "total"]))
    return rubric(
        {
            "1": [tree_leaf("1.1"), tree_leaf("1.2"), tree_leaf("1.3")],
            "2": [survey_leaf("2.1"), survey_leaf("2.2")],
            "3": [tree_leaf("B.1", part="bonus"), tree_leaf("P.1", None, part="penalty", mode="appraised")],
        },
        parts={
            "appraisal": part("30", if_not_held=draw(st.sampled_from(["rescale", "zero", "drop"]))),
            "survey": part("20", if_not_held=draw(st.sampled_from(["rescale", "zero", "drop"]))),
            "bonus": extra(draw(st.none() | st.just("3")), placement=draw(placed)),
            "penalty": extra(draw(st.none() | st.just("3")), placement=draw(placed)),
        },
        not_applicable=draw(st.sampled_from(["shrink", "scale-part", "scale-field", "scale-criterion"])),
        total={"rule": draw(st.sampled_from(["sum", "ratio"])), "scale": "50"},
        rounding={"digits": draw(st.integers(0, 3)), "mode": draw(st.sampled_from(["half-up", "half-even", "down"])),
                  "stage": stage},
    )  # fmt: skip


def scored(scheme: Rubric, values: dict[str, LeafValue | None], not_held: tuple[PartName, ...] = ()) -> Card:
    said = {code: value for code, value in values.items() if value is not None}
    return card(scheme, said, final=True, not_held=not_held)


NOT_HELD = st.sampled_from([(), (PartName.SURVEY,)])


@given(scheme=schemes(), values=VALUES, not_held=NOT_HELD, order=st.randoms(use_true_random=False))
def test_the_order_of_values_changes_nothing_and_the_parts_sum_to_the_whole(
    scheme: Rubric, values: dict[str, LeafValue | None], not_held: tuple[PartName, ...], order: Random
) -> None:
    found = scored(scheme, values, not_held)
    shuffled = dict(order.sample(sorted(values.items(), key=str), len(values)))
    assert scored(scheme, shuffled, not_held) == found
    assert sum((line.exact for line in found.parts), Fraction(0)) == found.exact
    lines = {line.code: line for line in found.leaves}
    for field, total in zip(scheme.fields, found.fields, strict=True):
        base = [lines[each.code] for each in field.leaves if each.part in {PartName.APPRAISAL, PartName.SURVEY}]
        assert total.achieved == sum((line.achieved or Decimal(0) for line in base), Decimal(0))


@given(scheme=schemes(), values=VALUES, not_held=NOT_HELD)
def test_no_part_of_the_scale_is_above_what_it_may_reach(
    scheme: Rubric, values: dict[str, LeafValue | None], not_held: tuple[PartName, ...]
) -> None:
    found = {line.part: line for line in scored(scheme, values, not_held).parts}
    whole = sum((found[name].exact for name in (PartName.APPRAISAL, PartName.SURVEY)), Fraction(0))
    assert 0 <= whole <= Fraction(50) + Fraction(1)  # at most the scale; parts rounded to whole points may add one
    assert found[PartName.BONUS].exact >= 0
    assert found[PartName.PENALTY].exact <= 0


@given(scheme=schemes(), values=VALUES, code=st.sampled_from(CODES[:6]), more=st.decimals(0, 10, places=2))
def test_more_points_of_an_item_never_give_a_smaller_total(
    scheme: Rubric, values: dict[str, LeafValue | None], code: str, more: Decimal
) -> None:
    less = min(more, Decimal("3.33"))
    low, high = (scored(scheme, {**values, code: LeafValue(appraised=value)}) for value in (less, more))
    assert low.exact <= high.exact


@given(scheme=schemes(), values=VALUES, more=st.decimals(0, 10, places=2))
def test_a_greater_penalty_never_gives_a_greater_total(
    scheme: Rubric, values: dict[str, LeafValue | None], more: Decimal
) -> None:
    less = min(more, Decimal("1.11"))
    low, high = (scored(scheme, {**values, "P.1": LeafValue(appraised=value)}) for value in (less, more))
    assert low.exact >= high.exact
