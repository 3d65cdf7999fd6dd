"""Survey items: from counted ballots to points, by hand."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rubric import FormTally, Leaf, RubricError, survey_points
from tests.shared.rubric.build import survey_leaf, tree_leaf

ABCD = {"kind": "option-shares", "shares": {"a": "100", "b": "60", "c": "20", "d": "0"}}
TOP_TWO = {"kind": "top-levels", "top": ["very-good", "good"]}


def ask(group: str, question: str = "q1", weight: str = "1", **more: Any) -> dict[str, Any]:
    return {"group": group, "form": group, "question": question, "weight": weight, **more}


def surveyed(*questions: dict[str, Any], maximum: str = "10", **rule: Any) -> Leaf:
    body = {"kind": "survey", "questions": questions, "aggregation": ABCD, **rule}
    return Leaf.model_validate(tree_leaf("8.1", maximum, part="survey", mode="survey", rule=body))


def tally(ballots: int, **options: int) -> FormTally:
    return FormTally(ballots, {"q1": {option.replace("_", "-"): count for option, count in options.items()}})


def test_option_shares_give_the_points() -> None:
    # 10 × (50·1 + 30·0,6 + 15·0,2 + 5·0) ÷ 100 = 10 × 71 ÷ 100
    result = survey_points(surveyed(ask("citizens")), {"citizens": tally(100, a=50, b=30, c=15, d=5)})
    assert result.points == Decimal("7.1")
    assert result.share == Fraction(71, 100)
    assert [(group.group, group.ballots, group.counted) for group in result.groups] == [("citizens", 100, True)]


def test_top_levels_read_the_best_two_of_five() -> None:
    item = surveyed(ask("citizens"), aggregation=TOP_TWO)
    counts = tally(90, very_good=20, good=41, fair=20, bad=5, very_bad=4)
    assert survey_points(item, {"citizens": counts}).points == Decimal("6.78")  # 61 ÷ 90 × 10 = 6,777…


def test_points_of_a_survey_are_rounded_as_its_rule_says() -> None:
    counts = {"citizens": tally(90, a=61, d=29)}
    half_up = surveyed(ask("citizens"), rounding={"digits": "3"})
    down = surveyed(ask("citizens"), rounding={"digits": "2", "mode": "down"})
    assert survey_points(half_up, counts).points == Decimal("6.778")
    assert survey_points(down, counts).points == Decimal("6.77")


def test_dont_know_and_blank_leave_the_base_where_the_rule_says_so() -> None:
    counts = {"citizens": tally(100, a=60, d=20, dont_know=15)}  # 5 left it blank
    both = surveyed(ask("citizens"), outside=["dont-know", "blank"])
    assert survey_points(both, counts).points == Decimal("7.5")  # 60 ÷ 80
    only_blank = surveyed(ask("citizens"), outside=["blank"])
    assert survey_points(only_blank, counts).points == Decimal("6.32")  # 60 ÷ 95 = 0,6315…
    neither = surveyed(ask("citizens"))
    assert survey_points(neither, counts).points == Decimal("6")  # 60 ÷ 100


def test_blank_may_be_counted_or_left_to_the_ballots() -> None:
    item = surveyed(ask("citizens"), outside=["blank"])
    counted = survey_points(item, {"citizens": tally(10, a=6, d=2, blank=2)})
    assert counted == survey_points(item, {"citizens": tally(10, a=6, d=2)})
    assert counted.points == Decimal("7.5")


def test_questions_of_a_group_are_averaged_by_weight() -> None:
    item = surveyed(ask("citizens", "q1", "70"), ask("citizens", "q2", "30"))
    both = FormTally(10, {"q1": {"a": 10}, "q2": {"b": 10}})
    assert survey_points(item, {"citizens": both}).points == Decimal("8.8")  # 0,7 · 1 + 0,3 · 0,6


def test_a_question_that_nobody_answered_is_left_out() -> None:
    item = surveyed(ask("citizens", "q1", "70"), ask("citizens", "q2", "30"), outside=["blank"])
    assert survey_points(item, {"citizens": FormTally(10, {"q1": {"b": 10}, "q2": {}})}).points == Decimal("6")


def test_a_question_may_have_its_own_aggregation() -> None:
    item = surveyed(ask("citizens", "q1"), ask("citizens", "q2", aggregation={"kind": "top-levels", "top": ["b"]}))
    both = FormTally(10, {"q1": {"b": 10}, "q2": {"b": 10}})
    assert survey_points(item, {"citizens": both}).points == Decimal("8")  # (0,6 + 1) ÷ 2


WEIGHTS = [{"group": "citizens", "weight": "60"}, {"group": "businesses", "weight": "40"}]
UNEQUAL = {"citizens": tally(200, a=200), "businesses": tally(10, d=10)}


def test_groups_are_averaged_by_their_weight_however_many_answered() -> None:
    item = surveyed(ask("citizens"), ask("businesses"), weights=WEIGHTS)
    assert survey_points(item, UNEQUAL).points == Decimal("6")
    without_weights = surveyed(ask("citizens"), ask("businesses"))
    assert survey_points(without_weights, UNEQUAL).points == Decimal("5")


def test_pooled_groups_count_every_answer_alike() -> None:
    item = surveyed(ask("citizens"), ask("businesses"), combine="pooled")
    result = survey_points(item, UNEQUAL)
    assert result.points == Decimal("9.52")  # 200 ÷ 210 × 10 = 9,523…
    assert result.share == Fraction(200, 210)


def test_pooled_questions_are_pooled_one_by_one_and_then_averaged() -> None:
    item = surveyed(ask("citizens", "q1"), ask("businesses", "q1"), ask("citizens", "q2"), combine="pooled")
    counts = {
        "citizens": FormTally(10, {"q1": {"a": 10}, "q2": {"d": 10}}),
        "businesses": FormTally(30, {"q1": {"d": 30}}),
    }
    assert survey_points(item, counts).points == Decimal("1.25")  # (10 ÷ 40 + 0) ÷ 2


def test_below_the_least_number_a_group_is_left_out_and_the_others_are_scaled_up() -> None:
    item = surveyed(ask("citizens"), ask("businesses"), weights=WEIGHTS, least="30")
    counts = {"citizens": tally(30, b=30), "businesses": tally(29, a=29)}
    result = survey_points(item, counts)
    assert result.points == Decimal("6")
    assert [(group.group, group.counted) for group in result.groups] == [("citizens", True), ("businesses", False)]
    enough = survey_points(item, {**counts, "businesses": tally(30, a=30)})
    assert enough.points == Decimal("7.6")


def test_below_the_least_number_the_item_may_leave_the_maximum() -> None:
    item = surveyed(ask("citizens"), ask("businesses"), least="30", too_few="not-applicable")
    result = survey_points(item, {"citizens": tally(30, b=30), "businesses": tally(29, a=29)})
    assert (result.points, result.applicable, result.officer) == (None, False, False)


def test_below_the_least_number_an_officer_may_have_to_decide() -> None:
    item = surveyed(ask("citizens"), ask("businesses"), least="30", too_few="officer")
    result = survey_points(item, {"citizens": tally(30, b=30), "businesses": tally(29, a=29)})
    assert (result.points, result.applicable, result.officer) == (None, True, True)


@pytest.mark.parametrize("least", ["0", "1", "5"])
def test_fewer_than_five_ballots_are_always_too_few(least: str) -> None:
    item = surveyed(ask("citizens"), ask("businesses"), least=least)
    counts = {"citizens": tally(5, b=5), "businesses": FormTally(4, {})}
    assert survey_points(item, counts).points == Decimal("6")
    pooled = surveyed(ask("citizens"), ask("businesses"), least=least, combine="pooled")
    assert survey_points(pooled, {"citizens": tally(5, b=5), "businesses": tally(4, a=4)}).points == Decimal("6")


def test_a_pool_under_the_least_number_is_too_few() -> None:
    item = surveyed(ask("citizens"), ask("businesses"), least="30", combine="pooled")
    under = survey_points(item, {"citizens": tally(20, b=20), "businesses": tally(9, a=9)})
    assert (under.points, under.applicable) == (None, False)
    enough = survey_points(item, {"citizens": tally(20, b=20), "businesses": tally(10, a=10)})
    assert enough.points == Decimal("7.33")  # (12 + 10) ÷ 30


def test_with_no_group_left_the_item_leaves_the_maximum() -> None:
    item = surveyed(ask("citizens"))
    for counts in ({}, {"citizens": tally(4, a=4)}):
        result = survey_points(item, counts)
        assert (result.points, result.applicable) == (None, False)
    nothing_known = surveyed(ask("citizens"), outside=["dont-know"])
    assert survey_points(nothing_known, {"citizens": tally(9, dont_know=9)}).applicable is False


def test_counts_that_do_not_fit_the_ballots_are_refused() -> None:
    for counts in (tally(9, a=10), tally(10, a=6, b=-1)):
        with pytest.raises(RubricError) as refused:
            survey_points(surveyed(ask("citizens")), {"citizens": counts})
        assert (refused.value.code, refused.value.field) == ("counts-invalid", "8.1")


def test_an_existing_study_stands_instead_of_ballots() -> None:
    result = survey_points(surveyed(ask("citizens")), {}, imported=Decimal("8.25"))
    assert (result.points, result.imported) == (Decimal("8.25"), True)
    only_imported = Leaf.model_validate(survey_leaf("9.1", "35"))
    assert survey_points(only_imported, {}, imported=Decimal("31.55")).points == Decimal("31.55")
    assert survey_points(only_imported, {}).officer is True
    with pytest.raises(RubricError) as refused:
        survey_points(only_imported, {}, imported=Decimal("35.01"))
    assert refused.value.code == "points-above-maximum"


def test_an_item_of_another_mode_has_no_survey() -> None:
    with pytest.raises(RubricError) as refused:
        survey_points(Leaf.model_validate(tree_leaf("1.1")), {})
    assert refused.value.code == "item-not-surveyed"


COUNTS = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "dont-know"]), st.integers(0, 500))


@given(citizens=COUNTS, businesses=COUNTS, blanks=st.integers(0, 20), combine=st.sampled_from(["groups", "pooled"]))
def test_no_ballots_give_more_than_the_maximum(
    citizens: dict[str, int], businesses: dict[str, int], blanks: int, combine: str
) -> None:
    item = surveyed(ask("citizens"), ask("businesses"), combine=combine, outside=["dont-know", "blank"], maximum="5")
    counts = {
        "citizens": FormTally(sum(citizens.values()) + blanks, {"q1": citizens}),
        "businesses": FormTally(sum(businesses.values()), {"q1": dict(reversed(businesses.items()))}),
    }
    result = survey_points(item, counts)
    if result.points is None:
        assert not result.applicable
    else:
        assert 0 <= result.points <= 5
        assert result == survey_points(item, dict(reversed(counts.items())))
