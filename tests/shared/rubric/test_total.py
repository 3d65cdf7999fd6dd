"""From the items' points to the card: parts, not applicable, bonus and penalty, rounding."""

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rubric import Card, LeafValue, PartName, Rubric, RubricError, card, self_assessed_total
from tests.shared.rubric.build import extra, part, rubric, survey_leaf, tree_leaf


def appraised(**points: str) -> dict[str, LeafValue]:
    """Item values by code, written `i1_2="3"` for item 1.2; `na` marks what does not apply."""
    return {
        code[1:].replace("_", "."): LeafValue(not_applicable=True)
        if value == "na"
        else LeafValue(appraised=Decimal(value))
        for code, value in points.items()
    }


def two_parts(**head: Any) -> Rubric:
    """Appraisal 20 (fields 1 and 2) and survey 20 (field 3), items of 10."""
    parts = {"appraisal": part("20"), "survey": part("20")}
    fields = {
        "1": [{"code": "1.1", "label": {"vi": "x"}, "items": [tree_leaf("1.1.1", "4"), tree_leaf("1.1.2", "6")]}],
        "2": [tree_leaf("2.1", "4"), tree_leaf("2.2", "6")],
        "3": [survey_leaf("3.1", "8"), survey_leaf("3.2", "12")],
    }
    return rubric(fields, **{"parts": parts, "total": {"scale": "40"}, **head})


FULL = appraised(i1_1_1="3", i1_1_2="4.5", i2_1="2", i2_2="6", i3_1="7.25", i3_2="9")


def points_of(result: Card) -> dict[str, Decimal]:
    return {line.part.value: line.points for line in result.parts}


def test_the_total_is_the_sum_of_the_parts() -> None:
    result = card(two_parts(), FULL, final=True)
    assert points_of(result) == {"appraisal": Decimal("15.5"), "survey": Decimal("16.25")}
    assert str(result.total) == "31.75"
    assert [result.maximum, result.applicable, result.index] == [40, 40, Decimal("79.38")]


def test_component_indices_are_achieved_over_applicable_maximum() -> None:
    result = card(two_parts(), FULL, final=True)
    fields = {line.code: [line.achieved, line.maximum, line.index] for line in result.fields}
    assert fields == {
        "1": [Decimal("7.5"), 10, Decimal("75")],
        "2": [8, 10, Decimal("80")],
        "3": [Decimal("16.25"), 20, Decimal("81.25")],
    }
    assert {line.code: line.index for line in result.criteria}["1.1"] == 75


def test_the_four_numbers_stay_apart_and_the_council_decides() -> None:
    scheme = two_parts()
    values = {"1.1.1": LeafValue(self_assessed=Decimal(4), appraised=Decimal(2), council=Decimal(3))}
    line = card(scheme, values).leaves[0]
    assert [line.self_assessed, line.appraised, line.council, line.achieved] == [4, 2, 3, 3]
    zero = {"1.1.1": LeafValue(appraised=Decimal(2), council=Decimal(0))}
    assert card(scheme, zero).leaves[0].achieved == 0


def test_a_provisional_card_shows_three_totals_and_the_open_items() -> None:
    scheme = two_parts()
    values = {
        "1.1.1": LeafValue(self_assessed=Decimal(4), appraised=Decimal(3)),
        "1.1.2": LeafValue(self_assessed=Decimal(5)),
        "3.1": LeafValue(appraised=Decimal(7)),
    }
    result = card(scheme, values)
    assert [result.self_assessed, result.appraised, result.survey, result.total] == [9, 3, 7, 10]
    assert (result.appraised_open, result.survey_open, result.final) == (3, 1, False)
    line = next(line for line in result.leaves if line.code == "1.1.2")
    assert (line.open, line.achieved) == (True, None)


def test_what_is_still_open_counts_zero_when_final_never_the_self_assessed_points() -> None:
    values = {"1.1.1": LeafValue(self_assessed=Decimal(4)), "3.1": LeafValue(appraised=Decimal(7))}
    result = card(two_parts(), values, final=True)
    assert [result.total, result.appraised_open, result.leaves[0].achieved] == [7, 0, 0]


NOT_APPLICABLE = appraised(i1_1_1="na", i1_1_2="3", i2_1="2", i2_2="3", i3_1="8", i3_2="12")


@pytest.mark.parametrize(
    ("rule", "appraisal", "total", "applicable"),
    [
        # 8 of 16 → 10 of 20
        ("scale-part", "10.00", "30.00", "36"),
        # field 1: 3 of 6 → 5 of 10; field 2: 5 of 10
        ("scale-field", "10.00", "30.00", "36"),
        # criterion 1.1: 3 of 6 → 5 of 10
        ("scale-criterion", "10.00", "30.00", "36"),
        # 8 points stay 8; the maximum is 16
        ("shrink", "8.00", "28.00", "36"),
    ],
)
def test_what_does_not_apply_moves_the_maximum_as_the_rubric_says(
    rule: str, appraisal: str, total: str, applicable: str
) -> None:
    result = card(two_parts(not_applicable=rule), NOT_APPLICABLE, final=True)
    assert str(points_of(result)["appraisal"]) == appraisal
    assert str(result.total) == total
    assert result.applicable == Decimal(applicable)
    assert {line.code: line.index for line in result.criteria}["1.1"] == 50


def test_scaling_differs_by_what_it_scales_within() -> None:
    values = appraised(i1_1_1="na", i1_1_2="6", i2_1="0", i2_2="0", i3_1="0", i3_2="0")
    totals = {
        rule: str(card(two_parts(not_applicable=rule), values, final=True).total)
        for rule in ("scale-part", "scale-field", "scale-criterion", "shrink")
    }
    assert totals == {"scale-part": "7.50", "scale-field": "10.00", "scale-criterion": "10.00", "shrink": "6.00"}


def test_assigned_items_of_a_group_are_counted_as_the_groups_maximum() -> None:
    # Hải Phòng: assigned maxima sum to 4, counted as 10
    scheme = rubric(
        {"1": [tree_leaf("1.1", "4"), tree_leaf("1.2", "6")]},
        parts={"appraisal": part("10")},
        not_applicable="scale-field",
        total={"scale": "10"},
    )
    result = card(scheme, appraised(i1_1="3", i1_2="na"), final=True)
    assert str(result.total) == "7.50"


def test_where_nothing_of_a_field_remains_its_maximum_leaves_the_whole() -> None:
    values = appraised(i1_1_1="na", i1_1_2="na", i2_1="4", i2_2="6", i3_1="8", i3_2="12")
    by_sum = card(two_parts(not_applicable="scale-field"), values, final=True)
    assert [str(by_sum.total), str(by_sum.applicable), str(by_sum.index)] == ["30.00", "30", "100.00"]
    ratio = two_parts(not_applicable="scale-field", total={"rule": "ratio", "scale": "100"})
    assert str(card(ratio, values, final=True).total) == "100.00"


def test_a_total_by_ratio_is_over_the_applicable_maximum() -> None:
    scheme = two_parts(not_applicable="shrink", total={"rule": "ratio", "scale": "100"})
    result = card(scheme, NOT_APPLICABLE, final=True)  # (8 + 20) ÷ 36 × 100
    assert result.exact == Fraction(700, 9)
    assert str(result.total) == "77.78"
    assert sum((line.exact for line in result.parts), Fraction(0)) == result.exact


def test_a_ratio_over_a_scaled_part_is_over_the_whole_part() -> None:
    scheme = two_parts(not_applicable="scale-part", total={"rule": "ratio", "scale": "100"})
    assert str(card(scheme, NOT_APPLICABLE, final=True).total) == "75.00"  # (8 of 16 as 10 of 20, and 20) ÷ 40


def test_a_parts_maximum_caps_what_its_items_sum_to() -> None:
    scheme = rubric({"1": [tree_leaf("1.1", "10"), tree_leaf("1.2", "10")]}, parts={"appraisal": part("15")})
    assert str(card(scheme, appraised(i1_1="10", i1_2="9"), final=True).total) == "15.00"
    assert str(card(scheme, appraised(i1_1="10", i1_2="4"), final=True).total) == "14.00"


def test_a_claim_that_nobody_accepted_moves_no_maximum() -> None:
    result = card(two_parts(), {"1.1.1": LeafValue()})
    assert [result.maximum, result.applicable] == [40, 40]


@pytest.mark.parametrize(
    ("stands_in", "rule", "total"),
    [
        ("rescale", "sum", "32.00"),  # 16 of 20 scaled to 40
        ("zero", "sum", "16.00"),
        ("drop", "sum", "16.00"),
        ("rescale", "ratio", "80.00"),
        ("zero", "ratio", "40.00"),
        ("drop", "ratio", "80.00"),
    ],
)
def test_a_part_that_is_not_held_is_stood_in_for(stands_in: str, rule: str, total: str) -> None:
    scheme = two_parts(
        parts={"appraisal": part("20"), "survey": part("20", if_not_held=stands_in)},
        total={"rule": rule, "scale": "40" if rule == "sum" else "100"},
    )
    values = appraised(i1_1_1="4", i1_1_2="6", i2_1="3", i2_2="3")
    result = card(scheme, values, final=True, not_held=[PartName.SURVEY])
    assert str(result.total) == total
    assert [line.held for line in result.parts] == [True, False]
    assert card(scheme, values, not_held=[PartName.SURVEY]).survey_open == 0


def test_a_part_of_which_nothing_applies_counts_as_not_held() -> None:
    values = appraised(i1_1_1="4", i1_1_2="6", i2_1="3", i2_2="3", i3_1="na", i3_2="na")
    assert str(card(two_parts(), values, final=True).total) == "32.00"


def with_extras(bonus: dict[str, Any], penalty: dict[str, Any], **head: Any) -> Rubric:
    return rubric(
        {
            "1": [tree_leaf("1.1", "85")],
            "2": [tree_leaf("2.1", "20", part="bonus"), tree_leaf("2.2", None, part="penalty", mode="appraised")],
        },
        parts={"appraisal": part("85"), "bonus": bonus, "penalty": penalty},
        **head,
    )


@pytest.mark.parametrize(
    ("bonus", "penalty", "values", "total"),
    [
        # Khánh Hòa: min(85, I + II) + min(15, bonus) − |penalty|, penalties without a cap
        (extra("15"), extra(), ("80", "20", "7"), "88.00"),
        (extra("15"), extra(), ("85", "20", "0"), "100.00"),
        # Cần Thơ: both outside, each at most 3
        (extra("3"), extra("3"), ("85", "5", "0"), "88.00"),
        (extra("3"), extra("3"), ("85", "0", "5"), "82.00"),
        # bonus inside the part
        (extra("15", placement="inside"), extra(), ("80", "10", "0"), "85.00"),
        (extra("15", placement="inside"), extra(), ("80", "10", "2"), "83.00"),
        (extra("15", placement="inside"), extra(placement="inside"), ("80", "10", "2"), "83.00"),
        (extra(), extra(placement="inside"), ("1", "0", "5"), "0.00"),
        (extra(), extra(placement="outside"), ("1", "0", "5"), "-4.00"),
        # capped at the scale of 100, and not below 0
        (extra(placement="capped"), extra(), ("85", "20", "0"), "100.00"),
        (extra(placement="capped"), extra(), ("85", "20", "1"), "99.00"),
        (extra(), extra(placement="capped"), ("1", "0", "5"), "0.00"),
    ],
)
def test_bonus_and_penalty_sit_where_the_rubric_says(
    bonus: dict[str, Any], penalty: dict[str, Any], values: tuple[str, str, str], total: str
) -> None:
    result = card(with_extras(bonus, penalty), appraised(i1_1=values[0], i2_1=values[1], i2_2=values[2]), final=True)
    assert str(result.total) == total
    assert sum((line.exact for line in result.parts), Fraction(0)) == result.exact


def test_the_total_has_bounds_of_its_own() -> None:
    scheme = with_extras(extra(), extra(), total={"lowest": "0", "highest": "90"})
    assert card(scheme, appraised(i1_1="1", i2_2="5"), final=True).total == 0
    assert card(scheme, appraised(i1_1="85", i2_1="20"), final=True).total == 90


def test_bonus_that_does_not_apply_changes_nothing_else() -> None:
    result = card(with_extras(extra("3"), extra("3")), appraised(i1_1="80", i2_1="na", i2_2="na"), final=True)
    assert str(result.total) == "80.00"


def test_bonus_is_added_after_a_ratio() -> None:
    scheme = with_extras(extra("3"), extra("3"), total={"rule": "ratio", "scale": "100"})
    assert str(card(scheme, appraised(i1_1="68", i2_1="5", i2_2="1"), final=True).total) == "82.00"


def thirds(**rounding: str) -> Rubric:
    """Two parts of 10 that scale 2 of 3 and 1 of 3 up."""
    return rubric(
        {
            "1": [tree_leaf("1.1", "3"), tree_leaf("1.2", "7")],
            "2": [survey_leaf("2.1", "3"), survey_leaf("2.2", "7")],
        },
        parts={"appraisal": part("10"), "survey": part("10")},
        rounding={"digits": "1", **rounding},
        total={"scale": "20"},
    )


@pytest.mark.parametrize(
    ("stage", "mode", "parts", "total"),
    [
        ("total", "half-up", ["6.7", "6.7"], "13.3"),  # 13,33…; the printed parts alone do not add up
        ("part", "half-up", ["6.7", "6.7"], "13.4"),
        ("leaf", "half-up", ["6.7", "6.7"], "13.4"),
        ("total", "down", ["6.6", "6.6"], "13.3"),
        ("part", "down", ["6.6", "6.6"], "13.2"),
    ],
)
def test_rounding_happens_at_the_stated_stage(stage: str, mode: str, parts: list[str], total: str) -> None:
    values = appraised(i1_1="2", i1_2="na", i2_1="2", i2_2="na")
    result = card(thirds(stage=stage, mode=mode), values, final=True)
    assert [str(line.points) for line in result.parts] == parts
    assert str(result.total) == total


def test_rounding_from_the_item_on_rounds_each_item() -> None:
    values = appraised(i1_1="1.25", i1_2="1.25", i2_1="0", i2_2="0")
    assert str(card(thirds(stage="leaf"), values, final=True).total) == "2.6"
    assert str(card(thirds(stage="total"), values, final=True).total) == "2.5"
    assert str(card(thirds(stage="leaf", mode="half-even"), values, final=True).total) == "2.4"


def test_a_total_may_be_truncated() -> None:
    scheme = rubric(
        {"1": [tree_leaf("1.1", "50")]},
        parts={"appraisal": part("50")},
        rounding={"digits": "1", "mode": "down"},
    )
    assert str(card(scheme, appraised(i1_1="43.7747"), final=True).total) == "43.7"


@pytest.mark.parametrize(
    ("meaning", "total", "band"),
    [("appraise", "10.00", "good"), ("zero", "6.00", "weak"), ("lowest-band", "10.00", "weak")],
)
def test_a_missing_self_assessment_means_what_the_rubric_says(meaning: str, total: str, band: str) -> None:
    scheme = rubric(
        {"1": [tree_leaf("1.1", "4"), tree_leaf("1.2", "6", mode="appraised")]},
        parts={"appraisal": part("10")},
        missing_self_assessment=meaning,
        bands=[
            {"id": "good", "label": {"vi": "Tốt"}, "lower": {"at_least": "8"}},
            {"id": "weak", "label": {"vi": "Yếu"}},
        ],
    )
    values = appraised(i1_1="4", i1_2="6")
    result = card(scheme, values, final=True, self_assessment=False)
    assert (str(result.total), result.band) == (total, band)
    assert card(scheme, values, final=True).band == "good"


def test_the_council_may_still_give_points_without_a_self_assessment() -> None:
    scheme = rubric({"1": [tree_leaf("1.1", "4")]}, parts={"appraisal": part("4")}, missing_self_assessment="zero")
    values = {"1.1": LeafValue(appraised=Decimal(4), council=Decimal(3))}
    assert card(scheme, values, final=True, self_assessment=False).total == 3


def test_the_self_assessed_total_caps_parts_and_subtracts_penalties() -> None:
    scheme = with_extras(extra("15"), extra("3"))
    declared = {"1.1": Decimal("60.25"), "2.1": Decimal(20), "2.2": Decimal(1)}
    assert self_assessed_total(scheme, declared) == Decimal("74.25")
    assert self_assessed_total(scheme, {}) == 0


def test_values_that_no_rule_gives_are_refused() -> None:
    for code, value, expected in (
        ("9.9", LeafValue(), "item-unknown"),
        ("2.1", LeafValue(appraised=Decimal("4.01")), "points-above-maximum"),
        ("2.1", LeafValue(council=Decimal("-1")), "points-negative"),
    ):
        with pytest.raises(RubricError) as refused:
            card(two_parts(), {code: value})
        assert (refused.value.code, refused.value.field) == (expected, code)


def test_a_card_survives_its_json() -> None:
    scheme = two_parts(total={"rule": "ratio"}, not_applicable="shrink")
    result = card(scheme, NOT_APPLICABLE, final=True)
    assert '"ranked_by":"700/9"' in result.model_dump_json(exclude_none=True)
    assert Card.model_validate_json(result.model_dump_json(exclude_none=True)) == result


CODES = {"1.1.1": 4, "1.1.2": 6, "2.1": 4, "2.2": 6, "3.1": 8, "3.2": 12}
VALUES = st.fixed_dictionaries(
    {
        code: st.one_of(
            st.none(),
            st.just(LeafValue(not_applicable=True)),
            st.decimals(0, top, places=2).map(lambda points: LeafValue(appraised=points)),
        )
        for code, top in CODES.items()
    }
)


@given(
    values=VALUES,
    rule=st.sampled_from(["sum", "ratio"]),
    applies=st.sampled_from(["shrink", "scale-part", "scale-field", "scale-criterion"]),
    stage=st.sampled_from(["leaf", "part", "total"]),
    seed=st.integers(0, 99),
)
def test_the_order_of_values_never_matters_and_the_parts_sum_to_the_total(
    values: dict[str, LeafValue | None], rule: str, applies: str, stage: str, seed: int
) -> None:
    scheme = two_parts(
        total={"rule": rule, "scale": "40"}, not_applicable=applies, rounding={"digits": "2", "stage": stage}
    )
    given_values = {code: value for code, value in values.items() if value is not None}
    shuffled = list(given_values.items())
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - an order, not a secret
    result = card(scheme, given_values, final=True)
    assert result == card(scheme, dict(shuffled), final=True)
    assert sum((line.exact for line in result.parts), Fraction(0)) == result.exact
    assert 0 <= result.total <= 40
    if stage != "total":
        assert sum(line.points for line in result.parts) == result.total
    for node in (*result.fields, *result.criteria):
        assert node.achieved <= node.applicable <= node.maximum
        assert node.index is None or 0 <= node.index <= 100
