"""Bands, what else they need, gates, and ranks."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rubric import Card, LeafValue, Ranking, Rubric, card, ranking
from tests.shared.rubric.build import part, rubric, survey_leaf, tree_leaf


def band(name: str, lower: dict[str, str] | None = None, *requires: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "label": {"vi": name}, "lower": lower, "requires": requires}


def scheme(*bands: dict[str, Any], **head: Any) -> Rubric:
    """Appraisal 60 (1.1 of 50, 2.1 of 10), survey 40, and a penalty item P."""
    penalty = tree_leaf("P", "5", part="penalty", mode="appraised")
    parts = {"appraisal": part("60"), "survey": part("40"), "penalty": {"label": {"vi": "Phạt"}}}
    fields = {"1": [tree_leaf("1.1", "50")], "2": [tree_leaf("2.1", "10"), penalty], "3": [survey_leaf("3.1", "40")]}
    return rubric(fields, parts=parts, bands=list(bands), **head)


def result(rules: Rubric, first: str, second: str = "10", survey: str = "40", penalty: str = "0") -> Card:
    points = {"1.1": first, "2.1": second, "3.1": survey, "P": penalty}
    return card(rules, {code: LeafValue(appraised=Decimal(value)) for code, value in points.items()}, final=True)


@pytest.mark.parametrize(
    ("first", "expected"),
    [("50", "a"), ("40", "a"), ("39.995", "a"), ("39.99", "b"), ("30.01", "b"), ("30", "c"), ("0", "c")],
)
def test_lower_ends_are_inclusive_or_exclusive_as_written(first: str, expected: str) -> None:
    rules = scheme(band("a", {"at_least": "90"}), band("b", {"above": "80"}), band("c"))
    assert result(rules, first).band == expected


def test_a_total_under_every_band_has_none() -> None:
    rules = scheme(band("a", {"at_least": "90"}))
    assert result(rules, "10").band is None
    assert result(scheme(), "50").band is None


@pytest.mark.parametrize(("level", "expected"), [("item", "b"), ("criterion", "b"), ("field", "b")])
def test_the_best_band_may_forbid_a_zero(level: str, expected: str) -> None:
    rules = scheme(band("a", {"at_least": "90"}, {"kind": "no-zero", "level": level}), band("b"))
    assert result(rules, "50", "0").band == expected
    assert result(rules, "50", "0.01").band == "a"


def test_a_zero_that_does_not_apply_is_none() -> None:
    rules = scheme(band("a", {"at_least": "90"}, {"kind": "no-zero", "level": "criterion"}), band("b"))
    values = {
        "1.1": LeafValue(appraised=Decimal(50)),
        "2.1": LeafValue(not_applicable=True),
        "3.1": LeafValue(appraised=Decimal(40)),
    }
    assert card(rules, values, final=True).band == "a"


@pytest.mark.parametrize(
    ("need", "survey", "expected"),
    [
        ({"part": "survey", "share": {"at_least": "75"}}, "30", "a"),
        ({"part": "survey", "share": {"at_least": "75"}}, "29.99", "b"),
        ({"part": "survey", "share": {"above": "75"}}, "30", "b"),
        ({"code": "3", "share": {"at_least": "75"}}, "30", "a"),
        ({"code": "3.1", "share": {"at_least": "75"}}, "29", "b"),
        ({"code": "P", "share": {"at_least": "1"}}, "40", "b"),
    ],
)
def test_a_band_may_need_a_least_share(need: dict[str, Any], survey: str, expected: str) -> None:
    rules = scheme(band("a", {"at_least": "80"}, {"kind": "least-share", **need}), band("b"))
    assert result(rules, "50", survey=survey).band == expected


def test_a_disciplinary_case_caps_the_band() -> None:
    gate = {"id": "discipline", "label": {"vi": "Kỷ luật"}, "code": "P", "best_band": "b"}
    bands = (band("a", {"at_least": "90"}), band("b", {"at_least": "70"}), band("c"))
    rules = scheme(*bands, gates=[gate])
    assert result(rules, "50").band == "a"
    assert result(rules, "50", penalty="0.5").band == "b"
    assert result(rules, "10", penalty="0.5").band == "c"
    tolerant = scheme(*bands, gates=[{**gate, "when": {"above": "0.5"}}])
    assert result(tolerant, "50", penalty="0.5").band == "a"


def ranks(rule: dict[str, Any], **totals: str) -> list[tuple[int, str]]:
    rules = scheme(ranking=rule)
    return ranking(
        {agency: result(rules, total, "0", "0") for agency, total in totals.items()}, Ranking.model_validate(rule)
    )


def test_shared_ranks_skip_the_next_ones_or_not() -> None:
    totals = {"d": "20", "b": "30", "c": "30", "a": "40"}
    assert ranks({"skip": True}, **totals) == [(1, "a"), (2, "b"), (2, "c"), (4, "d")]
    assert ranks({"skip": False}, **totals) == [(1, "a"), (2, "b"), (2, "c"), (3, "d")]


def test_which_decimals_count_for_the_rank_is_part_of_the_rule() -> None:
    totals = {"a": "30.123", "b": "30.124", "c": "30.126"}
    assert ranks({"decimals": "2"}, **totals) == [(1, "c"), (2, "a"), (2, "b")]
    assert ranks({}, **totals) == [(1, "c"), (2, "b"), (3, "a")]
    assert ranks({"decimals": "2", "mode": "down"}, **totals) == [(1, "a"), (1, "b"), (1, "c")]
    assert ranks({"decimals": "0"}, **totals) == [(1, "a"), (1, "b"), (1, "c")]


def test_a_rank_of_nobody() -> None:
    assert ranking({}, Ranking()) == []


@given(totals=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5).map(str), min_size=1), skip=st.booleans())
def test_ranks_do_not_depend_on_the_order_of_the_cards(totals: dict[str, str], skip: bool) -> None:
    found = ranks({"skip": skip}, **totals)
    assert found == ranks({"skip": skip}, **dict(reversed(totals.items())))
    for rank, agency in found:
        better = [other for other in totals.values() if int(other) > int(totals[agency])]
        assert rank == 1 + (len(better) if skip else len(set(better)))
