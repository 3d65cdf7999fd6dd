"""Worked cases of every kind of score rule, with both ends of every range."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rubric import (
    RubricError,
    appraise,
    check_points,
    declare,
    dependents,
    normalise,
    points,
    self_assessed,
)
from tests.shared.rubric.build import leaf, rubric, survey_leaf, tree_leaf


def level(name: str, **gives: str) -> dict[str, Any]:
    return {"id": name, "label": {"vi": name}, **gives}


TIMELY = {
    "kind": "levels",
    "levels": [level("timely", points="1"), level("late", points="0.5"), level("none", points="0")],
}
GRADES = {
    "kind": "share",
    "levels": [level("excellent", share="100"), level("good", share="75"), level("met", share="50")],
}
OVER_90 = {
    "kind": "steps",
    "steps": [
        {"above": "90", "points": "2"},
        {"at_least": "70", "at_most": "90", "points": "1"},
        {"below": "70", "points": "0"},
    ],
}
RISING = {
    "kind": "steps",
    "steps": [
        {"below": "70", "points": "0"},
        {"at_least": "70", "at_most": "90", "points": "1"},
        {"above": "90", "points": "2"},
    ],
}
PEOPLE = {
    "kind": "steps",
    "measure": {"kind": "count"},
    "steps": [
        {"at_least": "100", "points": "4"},
        {"at_least": "50", "below": "100", "points": "3"},
        {"at_least": "1", "below": "50", "points": "2"},
        {"at_most": "0", "points": "0"},
    ],
}
DISBURSED = {
    "kind": "proportional",
    "divisor": "85",
    "floor": {"at_least": "60"},
    "full": {"at_least": "85"},
    "rounding": {"digits": "2", "mode": "half-up"},
}
UP_TO = {
    "kind": "levels",
    "levels": [
        level("pioneering", points="6"),
        {**level("improved", points="3"), "up_to": True},
        level("no", points="0"),
    ],
}
LATE = {"kind": "late-days", "first_days": "2", "first_points": "1", "per_day": "1", "last_day": "20"}
CASES: list[tuple[str, dict[str, Any], str | None, str, str, str]] = [
    # name, rule, maximum, datum as written, canonical datum, points
    ("yes gives the maximum", {"kind": "yes-no"}, "0.5", "yes", "yes", "0.5"),
    ("Có is yes", {"kind": "yes-no"}, "0.5", " Có ", "yes", "0.5"),
    ("Có in decomposed letters is yes", {"kind": "yes-no"}, "0.5", "Co\u0301", "yes", "0.5"),
    ("Không is no", {"kind": "yes-no"}, "0.5", "Không", "no", "0"),
    ("yes with its own points", {"kind": "yes-no", "yes": "0.25", "no": "0.1"}, "0.5", "yes", "yes", "0.25"),
    ("no with its own points", {"kind": "yes-no", "yes": "0.25", "no": "0.1"}, "0.5", "no", "no", "0.1"),
    ("first level", TIMELY, "1", "timely", "timely", "1"),
    ("middle level", TIMELY, "1", " late ", "late", "0.5"),
    ("last level", TIMELY, "1", "none", "none", "0"),
    ("a level above the maximum is cut", TIMELY, "0.8", "timely", "timely", "0.8"),
    ("a level of set points beside one up to some", UP_TO, "6", "pioneering", "pioneering", "6"),
    ("all of up to 3", UP_TO, "6", "improved: 3", "improved:3", "3"),
    ("some of up to 3", UP_TO, "6", "improved: 2,50", "improved:2.5", "2.5"),
    ("none of up to 3", UP_TO, "6", "improved:0", "improved:0", "0"),
    ("share 100 %", GRADES, "2.5", "excellent", "excellent", "2.5"),
    ("share 75 %", GRADES, "2.5", "good", "good", "1.875"),
    ("share 75 % rounded", {**GRADES, "rounding": {"digits": "2"}}, "2.5", "good", "good", "1.88"),
    ("share 50 %", GRADES, "2.5", "met", "met", "1.25"),
    ("just over 90", OVER_90, "2", "90,01%", "90.01", "2"),
    ("exactly 90", OVER_90, "2", "90%", "90", "1"),
    ("exactly 90 as a fraction", OVER_90, "2", "45/50", "45/50", "1"),
    ("a hair over 90 as a fraction", OVER_90, "2", "9001/10000", "9001/10000", "2"),
    ("two thirds is under 70", OVER_90, "2", "2 / 3", "2/3", "0"),
    ("seven tenths is exactly 70", OVER_90, "2", "7/10", "7/10", "1"),
    ("exactly 70", OVER_90, "2", "70", "70", "1"),
    ("just under 70", OVER_90, "2", "69.99", "69.99", "0"),
    ("zero", OVER_90, "2", "0", "0", "0"),
    ("all", OVER_90, "2", "100", "100", "2"),
    ("fraction of decimals", OVER_90, "2", "45,5/50", "45.5/50", "2"),
    ("exactly 70, steps from below", RISING, "2", "70", "70", "1"),
    ("exactly 90, steps from below", RISING, "2", "90", "90", "1"),
    ("just over 90, steps from below", RISING, "2", "90.0001", "90.0001", "2"),
    ("count at 100", PEOPLE, "4", "100", "100", "4"),
    ("count at 99", PEOPLE, "4", "99", "99", "3"),
    ("count at 50", PEOPLE, "4", "50", "50", "3"),
    ("count at 49", PEOPLE, "4", "49", "49", "2"),
    ("count at 1", PEOPLE, "4", "1", "1", "2"),
    ("count at 0", PEOPLE, "4", "0", "0", "0"),
    ("proportional", {"kind": "proportional"}, "2", "92,57%", "92.57", "1.8514"),
    ("proportional without end", {"kind": "proportional"}, "1", "2/3", "2/3", "0.666666666667"),
    ("proportional rounded", {"kind": "proportional", "rounding": {"digits": "2"}}, "1", "2/3", "2/3", "0.67"),
    (
        "proportional truncated",
        {"kind": "proportional", "rounding": {"digits": 2, "mode": "down"}},
        "1",
        "2/3",
        "2/3",
        "0.66",
    ),
    ("proportional with of", {"kind": "proportional", "of": "0.5"}, "1", "80", "80", "0.4"),
    ("at an inclusive floor", {"kind": "proportional", "floor": {"at_least": "60"}}, "1", "60", "60", "0.6"),
    ("under the floor", {"kind": "proportional", "floor": {"at_least": "60"}}, "1", "59,99", "59.99", "0"),
    ("at an exclusive floor", {"kind": "proportional", "floor": {"above": "60"}}, "1", "60", "60", "0"),
    ("over an exclusive floor", {"kind": "proportional", "floor": {"above": "60"}}, "1", "60,01", "60.01", "0.6001"),
    ("under points", {"kind": "proportional", "floor": {"above": "60"}, "under": "0.1"}, "1", "10", "10", "0.1"),
    ("two cut-offs: 60 gives 7,06", DISBURSED, "10", "60", "60", "7.06"),
    ("two cut-offs: under 60", DISBURSED, "10", "59,99", "59.99", "0"),
    ("two cut-offs: just under 85", DISBURSED, "10", "84,99", "84.99", "10"),
    ("two cut-offs: 84,9", DISBURSED, "10", "84,9", "84.9", "9.99"),
    ("two cut-offs: 85", DISBURSED, "10", "85", "85", "10"),
    ("two cut-offs: 100", DISBURSED, "10", "100", "100", "10"),
    ("full above, exactly there", {**DISBURSED, "divisor": "90", "full": {"above": "85"}}, "10", "85", "85", "9.44"),
    ("full above, just over", {**DISBURSED, "divisor": "90", "full": {"above": "85"}}, "10", "85,01", "85.01", "10"),
    ("divisor caps at the maximum", {"kind": "proportional", "divisor": "50"}, "1", "75", "75", "1"),
    ("count times unit", {"kind": "count", "unit": "0.5"}, "2", "3", "3", "1.5"),
    ("count at the maximum", {"kind": "count", "unit": "0.5"}, "2", "4", "4", "2"),
    ("count above the maximum", {"kind": "count", "unit": "0.5"}, "2", "5", "5", "2"),
    ("count under its own cap", {"kind": "count", "unit": "0.5", "cap": "1"}, "2", "5", "5", "1"),
    ("count of nothing", {"kind": "count", "unit": "0.5"}, "2", "0", "0", "0"),
    ("penalty without a maximum", {"kind": "count", "unit": "0.5"}, None, "9", "9", "4.5"),
    ("in time", LATE, None, "0", "0", "0"),
    ("one day late", LATE, None, "1", "1", "1"),
    ("two days late", LATE, None, "2", "2", "1"),
    ("three days late", LATE, None, "3", "3", "2"),
    ("late on the last day", LATE, None, "20", "20", "19"),
    ("late beyond, where stated", {**LATE, "last_day": "4", "beyond": "10"}, None, "5", "5", "10"),
    ("late capped by the maximum", LATE, "5", "20", "20", "5"),
    ("by hand", {"kind": "by-hand"}, "2", "1,25", "1.25", "1.25"),
    ("by hand at the maximum", {"kind": "by-hand"}, "2", "2", "2", "2"),
    ("by hand at zero", {"kind": "by-hand"}, "2", "0", "0", "0"),
]


def settings(maximum: str | None) -> dict[str, Any]:
    return {"part": "penalty"} if maximum is None else {}


@pytest.mark.parametrize(
    ("rule", "maximum", "data", "canonical", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_worked_cases(rule: dict[str, Any], maximum: str | None, data: str, canonical: str, expected: str) -> None:
    item = leaf(rule, maximum, **settings(maximum))
    assert normalise(item, data) == canonical
    assert normalise(item, canonical) == canonical
    assert points(item, data) == points(item, canonical) == Decimal(expected)
    assert str(points(item, data)) == expected


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"kind": "yes-no"}, "maybe", "data-invalid"),
    ({"kind": "yes-no"}, "", "data-invalid"),
    ({"kind": "yes-no"}, "yes" * 50, "data-invalid"),
    (TIMELY, "early", "level-unknown"),
    (TIMELY, "Timely", "level-unknown"),
    (GRADES, "bad", "level-unknown"),
    (UP_TO, "improved", "data-invalid"),
    (UP_TO, "improved:", "data-invalid"),
    (UP_TO, "improved: 3,01", "points-above-maximum"),
    (UP_TO, "improved: 2,25", "points-above-maximum"),  # of the item's own 2
    (UP_TO, "improved: 1,1", "points-off-step"),
    (UP_TO, "improved: -1", "points-negative"),
    (UP_TO, "pioneering: 6", "level-unknown"),
    (OVER_90, "100,01", "data-invalid"),
    (OVER_90, "51/50", "data-invalid"),
    (OVER_90, "1/0", "data-invalid"),
    (OVER_90, "-1", "data-invalid"),
    (OVER_90, "1/2/3", "data-invalid"),
    (OVER_90, "1.000/2.000", "data-invalid"),
    (PEOPLE, "1,5", "data-invalid"),
    (PEOPLE, "45/50", "data-invalid"),
    ({"kind": "count", "unit": "1"}, "2.5", "data-invalid"),
    (LATE, "21", "data-invalid"),
    ({"kind": "by-hand"}, "-0,5", "points-negative"),
    ({"kind": "by-hand"}, "2,25", "points-above-maximum"),
    ({"kind": "by-hand"}, "1,3", "points-off-step"),
    ({"kind": "by-hand"}, "one", "data-invalid"),
]


@pytest.mark.parametrize(("rule", "data", "code"), REFUSED)
def test_a_bad_datum_is_refused_with_the_item_named(rule: dict[str, Any], data: str, code: str) -> None:
    item = leaf(rule, "2", step="0.25")
    with pytest.raises(RubricError) as refused:
        points(item, data)
    assert (refused.value.code, refused.value.field) == (code, "1.1")


def test_a_rate_above_one_hundred_is_taken_where_the_rule_says_so() -> None:
    item = leaf({"kind": "proportional", "measure": {"kind": "rate", "highest": "150"}}, "1")
    assert points(item, "120") == 1
    with pytest.raises(RubricError, match="above 150"):
        points(item, "150,5")


BRANCHED = {
    "kind": "branch",
    "on": "1.1",
    "cases": [
        {
            "when": ["yes"],
            "rule": {**OVER_90, "steps": [{"at_least": "85", "points": "2"}, {"below": "85", "points": "1"}]},
        },
        {
            "when": ["no"],
            "rule": {"kind": "levels", "levels": [level("held", points="0.5"), level("none", points="0")]},
        },
    ],
}


def test_another_items_answer_chooses_the_rule() -> None:
    item = leaf(BRANCHED, "2")
    assert points(item, "85", {"1.1": "yes"}) == 2
    assert points(item, "84,99", {"1.1": "yes"}) == 1
    assert points(item, "held", {"1.1": "no"}) == Decimal("0.5")
    assert normalise(item, "85,0%", {"1.1": "yes"}) == "85"
    with pytest.raises(RubricError) as refused:
        points(item, "held", {"1.1": "yes"})
    assert refused.value.code == "data-invalid"


def test_a_branch_without_its_answer_is_refused() -> None:
    item = leaf(BRANCHED, "2")
    for answers, code in (({}, "answer-missing"), ({"1.1": "perhaps"}, "answer-unknown")):
        with pytest.raises(RubricError) as refused:
            points(item, "85", answers)
        assert refused.value.code == code
    otherwise = leaf({**BRANCHED, "otherwise": {"kind": "yes-no", "yes": "1"}}, "2")
    assert points(otherwise, "yes", {"1.1": "not-applicable"}) == 1


def test_only_items_of_the_rubric_that_the_agency_assesses_are_declared() -> None:
    scheme = rubric(
        {
            "1": [tree_leaf("1.1"), tree_leaf("1.2", mode="appraised"), tree_leaf("1.3", part="bonus")],
            "2": [survey_leaf("2.1")],
        },
        parts={"appraisal": {"label": {"vi": "a"}, "max": "20"}, "survey": {"label": {"vi": "b"}, "max": "10"}},
    )
    assert declare(scheme, "1.1", "2,50") == ("2.5", Decimal("2.5"))
    assert declare(scheme, "1.3", "1") == ("1", Decimal(1))
    for code, expected in (
        ("1.2", "item-not-self-assessed"),
        ("2.1", "item-not-self-assessed"),
        ("9.9", "item-unknown"),
    ):
        with pytest.raises(RubricError) as refused:
            declare(scheme, code, "1")
        assert (refused.value.code, refused.value.field) == (expected, code)
    assert self_assessed(scheme, "1.1").code == "1.1"
    assert appraise(scheme, "1.2", "10") == ("10", Decimal(10))
    with pytest.raises(RubricError) as refused:
        appraise(scheme, "2.1", "10")
    assert refused.value.code == "item-surveyed"


def test_the_items_that_hang_on_another_are_found_through_others() -> None:
    scheme = rubric(
        {
            "1": [
                tree_leaf("1.1", rule={"kind": "yes-no"}),
                tree_leaf(
                    "1.2", rule={"kind": "branch", "on": "1.1", "cases": [{"when": ["yes", "no"], "rule": TIMELY}]}
                ),
                tree_leaf("1.3", rule={"kind": "branch", "on": "1.2", "cases": [{"when": ["late"], "rule": TIMELY}]}),
                tree_leaf("1.4"),
            ]
        }
    )
    assert [item.code for item in dependents(scheme, "1.1")] == ["1.2", "1.3"]
    assert dependents(scheme, "1.4") == ()


def test_imported_points_move_in_the_steps_of_the_survey() -> None:
    scheme = rubric({"1": [survey_leaf("1.1", "35")]})
    item = scheme.leaf("1.1")
    check_points(item, Decimal("31.55"))
    for value, code in (("31.555", "points-off-step"), ("35.01", "points-above-maximum"), ("-0.01", "points-negative")):
        with pytest.raises(RubricError) as refused:
            check_points(item, Decimal(value))
        assert refused.value.code == code


RULES = [case[1] for case in CASES]


@given(
    rule=st.sampled_from(RULES),
    data=st.one_of(st.text(max_size=12), st.from_regex(r"[0-9]{1,4}([.,/][0-9]{1,4})?%?", fullmatch=True)),
)
def test_no_datum_whatever_gives_more_than_the_maximum_or_less_than_nothing(rule: dict[str, Any], data: str) -> None:
    item = leaf(rule, "1.5")
    try:
        canonical = normalise(item, data)
        value = points(item, data)
    except RubricError:
        return  # what refusals look like is stated case by case above
    assert 0 <= value <= Decimal("1.5")
    assert normalise(item, canonical) == canonical
    assert points(item, canonical) == value
