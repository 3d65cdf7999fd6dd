"""A real instrument of another province, whole: its words are kept, and its rules give what is computed by hand."""

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import jsonschema
import pytest

from shared.rubric import Card, Criterion, LeafValue, RubricError, card, check, load_rubric, points, rubric_schema
from shared.rubric.files import parse_yaml
from shared.rubric.model import Leaf, PartName
from shared.rubric.rules import Branch, Levels, PlainRule, Steps

HERE = Path(__file__).parent
TEXT = (HERE / "khanh-hoa-commune-2026.yaml").read_text(encoding="utf-8")
SCHEME = load_rubric(TEXT)
LINES = [
    line
    for line in (HERE / "khanh-hoa-commune-2026.csv").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
ROWS = {row["code"]: row for row in csv.DictReader(LINES)}
GROUPS = {code: row for code, row in ROWS.items() if "group" in row["kind"]}
ITEMS = {code: row for code, row in ROWS.items() if code not in GROUPS}


def test_the_rubric_has_no_fault_and_fits_the_schema() -> None:
    assert check(SCHEME) == []
    jsonschema.validate(parse_yaml(TEXT), rubric_schema())


def test_every_row_is_there_in_its_order_and_under_its_group() -> None:
    assert list(SCHEME.leaves) == list(ITEMS)
    assert [field.code for field in SCHEME.fields] == list(GROUPS)
    for field in SCHEME.fields:
        row = GROUPS[field.code]
        assert (field.label.vi, "" if field.max is None else str(field.max)) == (row["label_vi"], row["max"])
        assert not any(isinstance(node, Criterion) for node in field.criteria)
        assert {ITEMS[leaf.code]["parent"] for leaf in field.leaves} == {field.code}
    assert len(ROWS) == 32


def stated(rule: PlainRule) -> Iterator[tuple[str, Decimal]]:
    match rule:
        case Levels():
            yield from ((level.label.vi, level.points) for level in rule.levels)
        case Steps():
            yield from (("" if step.label is None else step.label.vi, step.points) for step in rule.steps)


def said(leaf: Leaf) -> list[tuple[str, Decimal]]:
    """The labels of the item's levels with their points, of both branches where it has two."""
    if not isinstance(leaf.rule, Branch):
        return [] if leaf.rule.kind in {"survey", "imported"} else list(stated(leaf.rule))  # type: ignore[arg-type]
    names = {"no-plan": "[không xây dựng Kế hoạch] ", "plan": "[có Kế hoạch] "}
    return [(names[case.when[0]] + label, value) for case in leaf.rule.cases for label, value in stated(case.rule)]


@pytest.mark.parametrize("code", ITEMS)
def test_an_item_says_what_its_row_says_word_for_word(code: str) -> None:
    leaf, row = SCHEME.leaf(code), ITEMS[code]
    assert leaf.label.vi == row["label_vi"]
    assert ("" if leaf.max is None else str(leaf.max)) == row["max"]
    assert leaf.evidence == row["evidence"]
    assert leaf.guidance.endswith(row["rule_or_guide"])
    levels, labels = row["levels(label: points)"], said(leaf)
    if not labels:
        assert leaf.guidance.startswith(levels)
        return
    for each in levels.split(" | "):
        label, _, value = each.rpartition(": ")
        assert (label, Decimal(value.removeprefix("tối đa ").replace(",", "."))) in labels
    ours = [label for label, value in labels if f"{label}: " not in levels]
    assert all(dict(labels)[label] == 0 for label in ours)


@pytest.mark.parametrize("code", ["I.2.1", "II.2", "II.6"])
def test_only_what_the_source_lets_go_may_not_apply(code: str) -> None:
    assert "giảm trừ điểm tối đa" in SCHEME.leaf(code).guidance
    assert SCHEME.leaf(code).may_not_apply
    assert sum(leaf.may_not_apply for leaf in SCHEME.leaves.values()) == 3


WORKED: list[tuple[str, str, str]] = [
    ("I.1", "timely", "3"),
    ("I.1", "late", "1.5"),
    ("I.1", "unmet", "0"),
    ("I.2.1", "30", "1"),
    ("I.2.1", "29,99", "0.5"),
    ("I.2.1", "25", "0.5"),
    ("I.2.1", "1/4", "0.5"),
    ("I.2.1", "24,99", "0.25"),
    ("I.2.1", "0,01", "0.25"),
    ("I.2.1", "0", "0"),
    ("I.4", "3", "2"),
    ("I.4", "2", "2"),
    ("I.4", "1", "1"),
    ("I.4", "0", "0"),
    ("II.1.1", "100", "10"),
    ("II.1.1", "99,99", "8"),
    ("II.1.1", "90", "8"),
    ("II.1.1", "89,99", "6"),
    ("II.1.1", "80", "6"),
    ("II.1.2", "79,99", "4"),
    ("II.1.2", "70", "4"),
    ("II.1.2", "69,99", "0"),
    ("II.5.1", "100", "4"),
    ("II.5.1", "99", "3"),
    ("II.5.1", "50", "3"),
    ("II.5.1", "49", "2"),
    ("II.5.1", "1", "2"),
    ("II.5.1", "0", "0"),
    ("II.6", "59,99", "0"),
    ("II.6", "60", "7.06"),
    ("II.6", "72", "8.47"),
    ("II.6", "84,99", "10"),
    ("II.6", "84,9", "9.99"),
    ("II.6", "85", "10"),
    ("II.6", "100", "10"),
    ("IV.1", "2", "2"),
    ("IV.1", "1", "1"),
    ("IV.3.1", "pioneering", "6"),
    ("IV.3.1", "improved: 2,5", "2.5"),
    ("IV.3.2", "5", "3"),
    ("IV.3.2", "4", "1.5"),
    ("IV.3.2", "2", "1.5"),
    ("IV.3.2", "1", "0"),
    ("IV.3.3", "three-stars", "0.5"),
    ("V.1", "0", "0"),
    ("V.1", "1", "1"),
    ("V.1", "2", "1"),
    ("V.1", "3", "2"),
    ("V.1", "6", "5"),
    ("V.3", "2", "1"),
]


@pytest.mark.parametrize(("code", "data", "expected"), WORKED)
def test_worked_cases(code: str, data: str, expected: str) -> None:
    assert str(points(SCHEME.leaf(code), data)) == expected


def test_after_the_last_day_nothing_is_taken() -> None:
    with pytest.raises(RubricError, match="nothing is taken after day 6"):
        points(SCHEME.leaf("V.1"), "7")


@pytest.mark.parametrize(
    ("plan", "data", "expected"),
    [
        ("no-plan", "held", "2"),
        ("no-plan", "none", "0"),
        ("plan", "110", "5"),
        ("plan", "100", "5"),
        ("plan", "99,99", "4"),
        ("plan", "85", "4"),
        ("plan", "84,99", "3"),
        ("plan", "60", "3"),
        ("plan", "59,99", "2"),
        ("plan", "0", "0"),
    ],
)
def test_the_plan_chooses_how_its_courses_are_scored(plan: str, data: str, expected: str) -> None:
    assert str(points(SCHEME.leaf("II.4.2"), data, {"II.4.1": plan})) == expected


def result(**changes: str | None) -> Card:
    """The card of a commune with every maximum of I and II, no bonus, no penalty, and these changes (None: not
    applicable); dots of codes are written as underscores."""
    values = {
        code: LeafValue(appraised=leaf.max if leaf.part is PartName.APPRAISAL else Decimal(0))
        for code, leaf in SCHEME.leaves.items()
    }
    for name, value in changes.items():
        code = name.replace("_", ".")
        values[code] = LeafValue(not_applicable=True) if value is None else LeafValue(appraised=Decimal(value))
    return card(SCHEME, values, final=True)


ALL_BONUS: dict[str, str | None] = {
    "IV_1": "2",
    "IV_2": "1",
    "IV_3_1": "6",
    "IV_3_2": "3",
    "IV_3_3": "1",
    "IV_3_4": "1",
    "IV_3_5": "1",
}
TOTALS: list[tuple[str, dict[str, str | None], str, str]] = [
    ("I + II whole, no bonus: 85", {}, "85.00", "b"),
    ("85 + 15", ALL_BONUS, "100.00", "a"),
    ("85 + 15 - 1 (two days late)", {**ALL_BONUS, "V_1": "1"}, "99.00", "a"),
    ("85 + 6 - 1 is 90: still A", {"IV_3_1": "6", "V_2": "1"}, "90.00", "a"),
    ("85 + 6 - 1,01 is no A", {"IV_3_1": "6", "V_2": "1", "II_6": "9.99"}, "89.99", "b"),
    ("85 - 10 is 75: still B", {"V_4": "10"}, "75.00", "b"),
    ("85 - 10 - 0,01 is C", {"V_4": "10", "II_6": "9.99"}, "74.99", "c"),
    ("85 - 35 is 50: still C", {"V_4": "35"}, "50.00", "c"),
    ("85 - 35 - 0,01 is D", {"V_4": "35", "II_6": "9.99"}, "49.99", "d"),
    ("penalties have no end of their own: 85 - 100", {"V_4": "100"}, "-15.00", "d"),
    ("disbursed 60 %: 85 - 10 + 7,06", {"II_6": "7.06"}, "82.06", "b"),
    ("no money of its own to disburse: 85 - 10", {"II_6": None}, "75.00", "b"),
    ("nothing to check, no text to comment on, no money: 85 - 1 - 8 - 10", {"I_2_1": None, "II_2": None, "II_6": None},
     "66.00", "c"),
    ("bonus is not shrunk: 75 + 15", {**ALL_BONUS, "II_6": None}, "90.00", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "total", "band"), [case[1:] for case in TOTALS], ids=[case[0] for case in TOTALS])
def test_totals_by_hand(changes: dict[str, str | None], total: str, band: str) -> None:
    found = result(**changes)
    assert (str(found.total), found.band) == (total, band)
    assert sum(part.exact for part in found.parts) == found.exact


def test_what_does_not_apply_leaves_the_maximum() -> None:
    found = result(II_6=None, I_2_1=None)
    assert (str(found.maximum), str(found.applicable)) == ("85", "74")
    assert found.index == 100
