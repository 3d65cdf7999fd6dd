"""Score rules as lines of a table: what is written is read back, and what cannot be read is refused with its reason."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rubric import RubricError, load_rubric
from shared.rubric.reading import KEPT, read_rule, rule_text
from shared.rubric.rules import Imported, Rule, Survey
from tests.shared.rubric.build import leaf

ROOT = Path(__file__).parents[3]
RUBRICS = [*sorted((ROOT / "deploy" / "rubrics").glob("*.yaml")), *sorted(Path(__file__).parent.glob("*.yaml"))]


def rule(body: dict[str, Any]) -> Rule:
    return leaf(body, "2").rule


def level(name: str, label: str, **gives: Any) -> dict[str, Any]:
    return {"id": name, "label": {"vi": label, "en": name}, **gives}


LEVELS = {
    "kind": "levels",
    "levels": [
        level("timely", "Ban hành kịp thời", points="1"),
        level("late", "Ban hành: không kịp thời", points="0.50"),
        level("new", "Cải tiến", points="3", up_to=True),
        level("none", "Không ban hành", points="0"),
    ],
}
SHARES = {
    "kind": "share",
    "levels": [level("best", "Xuất sắc", share="100"), level("good", "Tốt", share="75")],
    "rounding": {"digits": "2", "mode": "half-even"},
}
LINES: list[tuple[dict[str, Any], str]] = [
    ({"kind": "yes-no"}, "Có: điểm tối đa | Không: 0"),
    ({"kind": "yes-no", "yes": "0.25", "no": "0.1"}, "Có: 0,25 | Không: 0,1"),
    (
        LEVELS,
        "Ban hành kịp thời: 1 | Ban hành: không kịp thời: 0,50 | Cải tiến: tối đa 3 | Không ban hành: 0",
    ),
    (SHARES, "Xuất sắc: 100% | Tốt: 75% | [làm tròn 2 chữ số, nửa về số chẵn]"),
    (
        {"kind": "steps", "steps": [{"above": "90", "points": "2"}, {"at_least": "70", "at_most": "90", "points": "1"},
                                    {"below": "70", "points": "0", "label": {"vi": "Dưới 70%"}}]},
        "> 90%: 2 | ≥ 70% và ≤ 90%: 1 | Dưới 70% [< 70%]: 0",
    ),
    (
        {"kind": "steps", "measure": {"kind": "count", "highest": "9"},
         "steps": [{"at_least": "1", "at_most": "1", "points": "2"}, {"points": "1"}]},
        "= 1: 2 | mọi giá trị: 1 | [đo bằng số lượng] | [cao nhất 9]",
    ),
    (
        {"kind": "steps", "measure": {"kind": "number"}, "steps": [{"at_least": "120/17", "points": "2"},
                                                                   {"below": "120/17", "points": "1"}]},
        "≥ 120/17: 2 | < 120/17: 1 | [đo bằng số]",
    ),
    ({"kind": "proportional"}, "(số đo ÷ 100%) × điểm tối đa"),
    (
        {"kind": "proportional", "divisor": "85", "of": "10", "floor": {"at_least": "60"}, "under": "0.5",
         "full": {"at_least": "85"}, "rounding": {"digits": "2"}},
        "(số đo ÷ 85%) × 10 | < 60%: 0,5 | ≥ 85%: trọn điểm | [làm tròn 2 chữ số]",
    ),
    (
        {"kind": "proportional", "floor": {"above": "60"}, "full": {"above": "85"},
         "measure": {"kind": "rate", "highest": "150"}, "rounding": {"step": "0.25", "mode": "down"}},
        "(số đo ÷ 100%) × điểm tối đa | ≤ 60%: 0 | > 85%: trọn điểm | [cao nhất 150%]"
        " | [làm tròn đến bội của 0,25, cắt bỏ]",
    ),
    ({"kind": "count", "unit": "0.5"}, "0,5 mỗi đơn vị"),
    ({"kind": "count", "unit": "0.5", "cap": "2"}, "0,5 mỗi đơn vị | tối đa 2"),
    (
        {"kind": "late-days", "first_days": "2", "first_points": "1", "per_day": "0.5"},
        "trễ đến 2 ngày: 1 | mỗi ngày tiếp theo: 0,5",
    ),
    (
        {"kind": "late-days", "first_days": "2", "first_points": "1", "per_day": "1", "last_day": "6"},
        "trễ đến 2 ngày: 1 | mỗi ngày tiếp theo: 1 | sau ngày thứ 6: không nhận",
    ),
    (
        {"kind": "late-days", "per_day": "1", "last_day": "6", "beyond": "9"},
        "trễ đến 0 ngày: 0 | mỗi ngày tiếp theo: 1 | sau ngày thứ 6: 9",
    ),
    ({"kind": "by-hand"}, "Chấm trực tiếp"),
    (
        {"kind": "branch", "on": "1.2", "cases": [{"when": ["a", "b"], "rule": {"kind": "yes-no"}}],
         "otherwise": {"kind": "count", "unit": "1"}},
        "Khi 1.2 là a hoặc b → Có: điểm tối đa | Không: 0\nCòn lại → 1 mỗi đơn vị",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "line"), LINES, ids=[line[:40] for _, line in LINES])
def test_a_rule_is_one_line_and_the_line_is_the_rule(body: dict[str, Any], line: str) -> None:
    assert rule_text(rule(body)) == line
    assert read_rule(line, rule(body)) == rule(body)


@pytest.mark.parametrize("path", RUBRICS, ids=lambda path: path.stem)
def test_every_rule_of_every_rubric_is_read_back_but_surveys(path: Path) -> None:
    for item in load_rubric(path.read_text(encoding="utf-8")).leaves.values():
        text = rule_text(item.rule)
        assert text.startswith(KEPT) == isinstance(item.rule, Survey | Imported), item.code
        if not text.startswith(KEPT):
            assert read_rule(text, item.rule) == item.rule


@pytest.mark.parametrize("label", ["Có | không", "Đạt\nyêu cầu", " Đạt", "[Đạt] 1 | [x]"])
def test_a_label_that_a_line_cannot_hold_keeps_its_rule_in_the_file(label: str) -> None:
    before = rule({"kind": "levels", "levels": [level("a", label, points="1"), level("b", "Không", points="0")]})
    text = rule_text(before)
    if text.startswith(KEPT):
        with pytest.raises(RubricError, match="too rich"):
            read_rule(text, before)
    else:
        assert read_rule(text, before) == before


def test_a_changed_line_changes_points_labels_and_levels_and_keeps_their_ids() -> None:
    read = read_rule("Ban hành kịp thời: 2 | Ban hành muộn: 0.5 | Rất muộn: 0,1 | Cải tiến: 1", rule(LEVELS))
    assert read.model_dump(mode="json", exclude_none=True)["levels"] == [
        {"id": "timely", "label": {"vi": "Ban hành kịp thời", "en": "timely"}, "points": "2"},
        {"id": "late", "label": {"vi": "Ban hành muộn", "en": "late"}, "points": "0.5"},
        {"id": "none", "label": {"vi": "Rất muộn", "en": "none"}, "points": "0.1"},
        {"id": "new", "label": {"vi": "Cải tiến", "en": "new"}, "points": "1"},
    ]


def test_a_new_level_has_an_id_of_its_words() -> None:
    read = read_rule("Xuất sắc: 100% | Tốt: 75% | Đạt: 50% | Đạt!: 40%", rule(SHARES))
    assert [each["id"] for each in read.model_dump()["levels"]] == ["best", "good", "dat", "dat-2"]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"kind": "yes-no"}, "Có: 1"),
        ({"kind": "yes-no"}, "Có: 1 | Không: 0 | Không: 0"),
        ({"kind": "yes-no"}, "Có: 1 | Không: 0 | [cao nhất 3]"),
        (LEVELS, "Ban hành kịp thời"),
        (LEVELS, "Ban hành kịp thời: một"),
        (LEVELS, "Ban hành kịp thời: -1"),
        (LEVELS, "Ban hành kịp thời: 1.000"),
        (LEVELS, ""),
        (SHARES, "Xuất sắc: 100"),
        (SHARES, "Xuất sắc: 100% | [làm tròn]"),
        (SHARES, "Xuất sắc: 100% | [làm tròn 1 chữ số] | [làm tròn 2 chữ số]"),
        (LINES[4][0], "trên 90: 1"),
        (LINES[4][0], "≥ 90: 1"),
        (LINES[4][0], "≥ 90% và > 80%: 1"),
        (LINES[4][0], "≥ 90% và ≥ 80%: 1"),
        (LINES[4][0], "≥ 90%: 1 | [đo bằng cân]"),
        (LINES[5][0], "≥ 90%: 1 | [đo bằng số lượng]"),
        ({"kind": "proportional"}, "số đo × điểm tối đa"),
        ({"kind": "proportional"}, "(số đo ÷ 0%) × điểm tối đa"),
        ({"kind": "proportional"}, "(số đo ÷ 100%) × điểm tối đa | < 60%: trọn điểm"),
        ({"kind": "proportional"}, "(số đo ÷ 100%) × điểm tối đa | < 60%: 0 | < 50%: 0"),
        ({"kind": "proportional"}, "(số đo ÷ 100%) × điểm tối đa | ≥ 60% và < 70%: 0"),
        ({"kind": "count", "unit": "1"}, "1 mỗi cái"),
        ({"kind": "count", "unit": "1"}, "0 mỗi đơn vị"),
        (LINES[12][0], "trễ 2 ngày: 1"),
        ({"kind": "by-hand"}, "Chấm tay"),
        (LINES[16][0], "Khi 1.2 là c → Có: 1 | Không: 0\nCòn lại → 1 mỗi đơn vị"),
        (LINES[16][0], "Khi 1.2 là a hoặc b → Có: 1 | Không: 0"),
        ({"kind": "by-hand"}, KEPT + "Chấm trực tiếp"),
    ],
)
def test_a_line_that_says_no_rule_is_refused(body: dict[str, Any], line: str) -> None:
    with pytest.raises(RubricError) as refused:
        read_rule(line, rule(body))
    assert refused.value.code == "rule-unreadable"


def test_a_surveys_rule_is_never_read() -> None:
    before = Imported()
    assert rule_text(before).startswith(KEPT)
    with pytest.raises(RubricError, match="survey"):
        read_rule("Kết quả", before)


@given(
    text=st.text(st.sampled_from("Đạt:|[]()÷×%≥≤<>= và0123456789,.\n→"), max_size=30), at=st.integers(0, len(LINES) - 1)
)
def test_whatever_stands_in_a_cell_is_a_rule_or_a_refusal(text: str, at: int) -> None:
    before, refused = rule(LINES[at][0]), None
    try:
        read = read_rule(text, before)
    except RubricError as error:
        read, refused = before, error.code
    assert refused in {None, "rule-unreadable"}
    assert read.kind == before.kind
    line = rule_text(read)
    assert line.startswith(KEPT) or read_rule(line, read) == read
