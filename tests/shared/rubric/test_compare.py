"""What differs between two rubrics is told once, each with its place; nothing is told of rubrics that are equal."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rubric import Leaf, Rubric
from shared.rubric.compare import ASPECTS, Difference, differences
from tests.shared.rubric.build import extra, part, raw_rubric, tree_leaf

LEVELS: dict[str, Any] = {
    "kind": "levels",
    "levels": [
        {"id": "met", "label": {"vi": "Đạt", "en": "Met"}, "points": "10"},
        {"id": "unmet", "label": {"vi": "Không đạt"}, "points": "0"},
    ],
}
BANDS = [{"id": "a", "label": {"vi": "A"}, "lower": {"at_least": "90"}}, {"id": "b", "label": {"vi": "B"}}]


def raw(**changes: Any) -> dict[str, Any]:
    body = raw_rubric({"1": [tree_leaf("1.1", rule=LEVELS), tree_leaf("1.2")], "2": [tree_leaf("2.1")]}, bands=BANDS)
    return {**body, **changes}


def item(number: int, **changes: Any) -> dict[str, Any]:
    """The rubric with another item at that place of field 1."""
    body = raw()
    nodes = list(body["fields"][0]["criteria"])
    nodes[number] = {**nodes[number], **changes}
    return {**body, "fields": [{**body["fields"][0], "criteria": nodes}, body["fields"][1]]}


def nodes(*fields: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return raw(
        fields=[{"code": code, "label": {"vi": f"Lĩnh vực {code}"}, "criteria": criteria} for code, criteria in fields]
    )


ONE, TWO, THREE = tree_leaf("1.1", rule=LEVELS), tree_leaf("1.2"), tree_leaf("2.1")
CHANGED: list[tuple[str, dict[str, Any], list[tuple[str, str, str, str, str]]]] = [
    ("nothing", raw(), []),
    ("label", item(0, label={"vi": "Mới"}), [("changed", "1.1", "label", "Nội dung 1.1", "Mới")]),
    ("English", item(0, label={"vi": "Nội dung 1.1", "en": "New"}), [("changed", "1.1", "label.en", "", "New")]),
    ("maximum", item(1, max="9.5"), [("changed", "1.2", "max", "10", "9,5")]),
    ("rule", item(1, rule={"kind": "count", "unit": "0.5"}),
     [("changed", "1.2", "rule", "Chấm trực tiếp", "0,5 mỗi đơn vị")]),
    ("points of a level",
     item(0, rule={**LEVELS, "levels": [{**LEVELS["levels"][0], "points": "9"}, LEVELS["levels"][1]]}),
     [("changed", "1.1", "rule", "Đạt: 10 | Không đạt: 0", "Đạt: 9 | Không đạt: 0")]),
    ("mode", item(1, mode="appraised"), [("changed", "1.2", "mode", "self-assessed", "appraised")]),
    ("may not apply", item(1, may_not_apply=False), [("changed", "1.2", "may_not_apply", "true", "false")]),
    ("guidance, evidence, monitor, step", item(1, guidance="g", evidence="e", monitor="m", step="0.5"),
     [("changed", "1.2", "step", "", "0,5"), ("changed", "1.2", "guidance", "", "g"),
      ("changed", "1.2", "evidence", "", "e"), ("changed", "1.2", "monitor", "", "m")]),
    ("added", nodes(("1", [ONE, TWO, tree_leaf("1.3", "2")]), ("2", [THREE])),
     [("added", "1.3", "item", "", "Nội dung 1.3 (2)")]),
    ("removed", nodes(("1", [ONE]), ("2", [THREE])), [("removed", "1.2", "item", "Nội dung 1.2 (10)", "")]),
    ("moved to another field", nodes(("1", [ONE]), ("2", [TWO, THREE])),
     [("changed", "fields.(thứ tự)", "head", "1, 1.1, 1.2, 2, 2.1", "1, 1.1, 2, 1.2, 2.1"),
      ("changed", "1.2", "place", "1", "2")]),
    ("another order", nodes(("1", [TWO, ONE]), ("2", [THREE])),
     [("changed", "fields.(thứ tự)", "head", "1, 1.1, 1.2, 2, 2.1", "1, 1.2, 1.1, 2, 2.1")]),
    ("total", raw(total={"rule": "ratio"}), [("changed", "total.rule", "head", "sum", "ratio")]),
    ("scale of a part", raw(parts={"appraisal": part("50"), "survey": part("40")}),
     [("changed", "parts.survey.max", "head", "50", "40")]),
    ("a bonus part", raw(parts={"appraisal": part("50"), "survey": part("50"), "bonus": extra("3")}),
     [("added", "parts.bonus.label.vi", "head", "", "Thêm"), ("added", "parts.bonus.label.en", "head", "", ""),
      ("added", "parts.bonus.cap", "head", "", "3"), ("added", "parts.bonus.placement", "head", "", "outside"),
      ("added", "parts.bonus.into", "head", "", "appraisal")]),
    ("end of a band", raw(bands=[{**BANDS[0], "lower": {"above": "90"}}, BANDS[1]]),
     [("removed", "bands.a.lower.at_least", "head", "90", ""), ("added", "bands.a.lower.above", "head", "", "90")]),
    ("not applicable", raw(not_applicable="shrink"), [("changed", "not_applicable", "head", "scale-part", "shrink")]),
]  # fmt: skip


@pytest.mark.parametrize(("after", "expected"), [each[1:] for each in CHANGED], ids=[each[0] for each in CHANGED])
def test_each_difference_is_told_with_its_place(
    after: dict[str, Any], expected: list[tuple[str, str, str, str, str]]
) -> None:
    old, new = Rubric.model_validate(raw()), Rubric.model_validate(after)
    found = differences(old, new)
    assert [tuple(each) for each in found] == expected
    back = {(each.place, each.aspect, each.after, each.before) for each in differences(new, old)}
    assert back == {(each.place, each.aspect, each.before, each.after) for each in found}


def test_what_a_rules_line_does_not_show_is_told_too() -> None:
    level = {"id": "met", "label": {"vi": "Đạt", "en": "Passed"}, "points": "10"}
    after = item(0, rule={**LEVELS, "levels": [level, LEVELS["levels"][1]]})
    (found,) = differences(Rubric.model_validate(raw()), Rubric.model_validate(after))
    assert (found.place, found.aspect, "Met" in found.before, "Passed" in found.after) == ("1.1", "rule", True, True)


@given(first=st.sampled_from(CHANGED), second=st.sampled_from(CHANGED))
def test_two_rubrics_are_equal_exactly_when_nothing_differs(first: Any, second: Any) -> None:
    old, new = Rubric.model_validate(first[1]), Rubric.model_validate(second[1])
    found = differences(old, new)
    assert (not found) == (old == new)
    assert all(isinstance(each, Difference) and each.aspect in ASPECTS for each in found)


def test_no_field_of_an_item_is_forgotten() -> None:
    assert set(Leaf.model_fields) - {"code"} <= set(ASPECTS)
