"""A rubric in a workbook and back: an untouched table changes nothing, a changed cell changes just what it says."""

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from deploy.rubric_book import COLUMNS, BookFaults, exported, imported
from shared.rubric import Leaf, load_rubric
from shared.rubric.reading import KEPT
from shared.sheet import Column, Sheet, read, write

ROOT = Path(__file__).parents[2]
PATHS = [*sorted((ROOT / "deploy/rubrics").glob("*.yaml")), ROOT / "tests/shared/rubric/khanh-hoa-commune-2026.yaml"]
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in PATHS}
HEADINGS = [column.heading for column in COLUMNS]
CODE, LABEL, MAXIMUM, RULE, GUIDANCE, EVIDENCE, MONITOR, PART, MODE, ENGLISH = range(len(HEADINGS))


@cache
def shipped(name: str) -> bytes:
    return exported(load_rubric(TEXTS[name]))


def table(name: str) -> list[list[str]]:
    return read(shipped(name))


def book(rows: list[list[str]]) -> bytes:
    return write([Sheet("Bộ tiêu chí", [Column(heading) for heading in rows[0]], rows[1:])])


def changed(name: str, code: str, **cells: str) -> bytes:
    """The table with other cells in the row of `code`: `RULE="…"`."""
    rows = table(name)
    row = next(row for row in rows if row[CODE] == code)
    for column, text in cells.items():
        row[globals()[column]] = text
    return book(rows)


@pytest.mark.parametrize("name", TEXTS)
def test_an_untouched_workbook_gives_the_same_file_to_the_byte(name: str) -> None:
    taken = imported(shipped(name), TEXTS[name])
    assert (taken.text, taken.changes, taken.notes) == (TEXTS[name], [], [])


@pytest.mark.parametrize("name", TEXTS)
def test_a_workbook_that_was_saved_by_a_spreadsheet_gives_the_same_file(name: str) -> None:
    saved = io.BytesIO()
    load_workbook(io.BytesIO(shipped(name))).save(saved)
    assert imported(saved.getvalue(), TEXTS[name]).text == TEXTS[name]


def test_the_table_says_what_an_officer_looks_for() -> None:
    rows = {row[CODE]: row for row in table("khanh-hoa-commune-2026")}
    assert rows["Mã"] == HEADINGS
    assert rows["I"][:4] == ["I", "Về chỉ đạo, điều hành", "10", ""]
    assert rows["II.6"][LABEL].startswith("Thực hiện giải ngân")
    assert rows["II.6"][MAXIMUM:RULE + 1] == [
        "10", "(số đo ÷ 85%) × điểm tối đa | < 60%: 0 | ≥ 85%: trọn điểm | [làm tròn 2 chữ số]"
    ]  # fmt: skip
    assert rows["II.6"][EVIDENCE] == "Báo cáo giải ngân, Quyết định cấp kinh phí"
    assert rows["IV.3.1"][PART:ENGLISH] == ["Điểm thưởng", "Tự đánh giá, thẩm định"]
    assert rows["V.1"][PART:ENGLISH] == ["Điểm trừ", "Chỉ thẩm định"]
    about = load_workbook(io.BytesIO(shipped("khanh-hoa-commune-2026"))).worksheets[1]
    assert ["Văn bản", "11-QĐ/TU"] in [[cell.value for cell in row] for row in about.iter_rows()]


def leaf(text: str, code: str) -> Leaf:
    return load_rubric(text).leaf(code)


def test_changed_cells_change_the_item_and_nothing_else_in_the_file() -> None:
    base = TEXTS["hanoi-illustrative"]
    taken = imported(
        changed(
            "hanoi-illustrative",
            "1.1.1",
            RULE="Ban hành kịp thời: 1 | Ban hành không kịp thời: 0,75 | Không ban hành: 0",
            GUIDANCE="Trước ngày 15 tháng 01",
            MONITOR="Sở Nội vụ",
            ENGLISH="The plan",
        ),
        base,
    )
    item = leaf(taken.text, "1.1.1")
    assert [level["points"] for level in item.rule.model_dump(mode="json")["levels"]] == ["1", "0.75", "0"]
    assert (item.guidance, item.monitor, item.label.en) == ("Trước ngày 15 tháng 01", "Sở Nội vụ", "The plan")
    assert [change.column for change in taken.changes] == [HEADINGS[c] for c in (RULE, GUIDANCE, MONITOR, ENGLISH)]
    lines = set(base.splitlines())
    assert len([line for line in taken.text.splitlines() if line not in lines]) == 4
    assert [line for line in taken.text.splitlines() if "#" in line] == [
        line for line in base.splitlines() if "#" in line
    ]
    same = load_rubric(base).leaves
    assert all(other == same[code] for code, other in load_rubric(taken.text).leaves.items() if code != "1.1.1")


RULES: list[tuple[str, str]] = [
    ("1.1.2", "≥ 95%: 1,5 | ≥ 70% và < 95%: 0,5 | < 70%: 0"),
    ("2.2.3",
     "(số đo ÷ 90%) × điểm tối đa | < 50%: 0,1 | ≥ 90%: trọn điểm | [làm tròn 1 chữ số, cắt bỏ]"),
    ("1.1.3", "Có: 1 | Không: 0,25"),
    ("3.1.3",
     "Khi 3.1.2 là yes → 0,5 mỗi đơn vị | tối đa 1\nKhi 3.1.2 là no → Có đề xuất ngoài kế hoạch: 0,5 | Không: 0"),
    ("9.2.1", "trễ đến 3 ngày: 0,5 | mỗi ngày tiếp theo: 0,25"),
    ("1.2.2", "Hoàn thành xuất sắc: 100% | Hoàn thành: 50% | Không: 0%"),
]  # fmt: skip


def test_a_rule_of_every_kind_may_be_changed_in_its_cell() -> None:
    name = "hanoi-illustrative"
    rows = table(name)
    for code, line in RULES:
        rows[row_of(rows, code)][RULE] = line
    taken = imported(book(rows), TEXTS[name])
    again = {row[CODE]: row[RULE] for row in read(exported(load_rubric(taken.text)))}
    assert {code: again[code] for code, _ in RULES} == dict(RULES)
    assert len(taken.changes) == len(RULES)


def test_points_are_read_with_a_comma_or_a_point() -> None:
    name = "khanh-hoa-commune-2026"
    for written in ("3,5", "3.5", "3,50"):
        taken = imported(changed(name, "I.1", MAXIMUM=written), TEXTS[name])
        assert str(leaf(taken.text, "I.1").max) == "3.5"
    assert imported(changed(name, "I.1", MAXIMUM="3,00"), TEXTS[name]).changes == []


def test_a_comment_that_goes_and_an_english_label_that_stays_are_told() -> None:
    base = TEXTS["ca-mau-2013"].replace("              levels:\n", "              levels:  # kept?\n", 1)
    taken = imported(changed("ca-mau-2013", "1.1.1", RULE="Có: 1 | Không: 0"), base)
    assert taken.notes == []  # the comment stands before the list
    base = TEXTS["ca-mau-2013"].replace(
        "                - {id: late", "                # late\n                - {id: late", 1
    )
    taken = imported(changed("ca-mau-2013", "1.1.1", RULE="Có: 1 | Không: 0"), base)
    assert [note for note in taken.notes if "comment" in note] == ["line 48: a comment inside what was changed is gone"]
    taken = imported(changed("hanoi-illustrative", "1.1.1", LABEL="Kế hoạch"), TEXTS["hanoi-illustrative"])
    assert taken.notes == [
        '1.1.1: the Vietnamese label changed, the English one is still "The year\'s reform plan is issued"'
    ]


def edit(name: str, change: Callable[[list[list[str]]], object]) -> bytes:
    rows = table(name)
    change(rows)
    return book(rows)


def row_of(rows: list[list[str]], code: str) -> int:
    return next(number for number, row in enumerate(rows) if row[CODE] == code)


def put(code: str, column: int, text: str) -> Callable[[list[list[str]]], object]:
    def change(rows: list[list[str]]) -> None:
        rows[row_of(rows, code)][column] = text

    return change


FAULTS: list[tuple[str, Callable[[list[list[str]]], object], str, str | None]] = [
    ("points that are none", put("I.1", MAXIMUM, "ba"), "data-invalid", "C3"),
    ("points in two ways", put("I.1", MAXIMUM, "3.000"), "data-invalid", "C3"),
    ("points below zero", put("I.1", MAXIMUM, "-3"), "data-invalid", "C3"),
    ("no maximum", put("I.1", MAXIMUM, ""), "cell-empty", "C3"),
    ("no label", put("I", LABEL, " "), "cell-empty", "B2"),
    ("a rule that is none", put("I.1", RULE, "Đạt"), "rule-unreadable", "D3"),
    ("a rule of a field", put("I", RULE, "Có: 1 | Không: 0"), "cell-fixed", "D2"),
    ("guidance of a field", put("I", GUIDANCE, "x"), "cell-fixed", "E2"),
    ("another part", put("I.1", PART, "Điểm thưởng"), "cell-fixed", "H3"),
    ("another mode", put("I.1", MODE, "Chỉ thẩm định"), "cell-fixed", "I3"),
    ("too long", put("I.1", EVIDENCE, "x" * 4001), "cell-too-long", "F3"),
    ("another code", put("I.1", CODE, "I.9"), "item-unknown", "A3"),
    ("a code twice", put("I.1", CODE, "I"), "item-unknown", "A3"),
    ("a row too few", lambda rows: rows.pop(), "item-missing", None),
    ("a column too few", lambda rows: [row.pop() for row in rows], "column-missing", "A1"),
    ("a column too many", lambda rows: rows[0].append("x"), "column-unknown", "K1"),
    ("a gap in the steps", put("II.1.1", RULE, "≥ 90%: 10 | < 80%: 0"), "rubric-invalid", "A9"),
    ("an answer of a branch gone", put("II.4.1", RULE, "Có xây dựng Kế hoạch: 3"), "rubric-invalid", "A16"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "cell"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_a_fault_is_named_by_its_cell_and_nothing_is_taken(
    change: Callable[[list[list[str]]], object], code: str, cell: str | None
) -> None:
    name = "khanh-hoa-commune-2026"
    with pytest.raises(BookFaults) as refused:
        imported(edit(name, change), TEXTS[name])
    assert (code, cell) in [(fault.code, fault.cell) for fault in refused.value.faults]


def test_every_fault_of_a_workbook_is_named() -> None:
    def three(rows: list[list[str]]) -> None:
        for change in (put("I.1", MAXIMUM, "x"), put("I.3", RULE, "x"), put("II.2", PART, "x")):
            change(rows)

    with pytest.raises(BookFaults, match=r"C3.*and 2 more") as refused:
        imported(edit("khanh-hoa-commune-2026", three), TEXTS["khanh-hoa-commune-2026"])
    assert [fault.cell for fault in refused.value.faults] == ["C3", "D6", "H12"]


def test_a_survey_rule_is_described_and_cannot_be_changed_in_a_cell() -> None:
    row = next(row for row in table("hanoi-illustrative") if row[CODE] == "1.6")
    assert row[RULE] == KEPT + "Điều tra xã hội học: 2 câu hỏi, phiếu officials"
    with pytest.raises(BookFaults, match="too rich"):
        imported(changed("hanoi-illustrative", "1.6", RULE="Chấm trực tiếp"), TEXTS["hanoi-illustrative"])


def test_a_formula_or_no_workbook_is_refused() -> None:
    opened = load_workbook(io.BytesIO(shipped("ca-mau-2013")))
    opened.worksheets[0]["C2"] = "=1+1"
    out = io.BytesIO()
    opened.save(out)
    for data, cell in ((out.getvalue(), "C2"), (b"x", None)):
        with pytest.raises(BookFaults) as refused:
            imported(data, TEXTS["ca-mau-2013"])
        assert refused.value.faults[0].cell == cell


@settings(max_examples=20, deadline=None)
@given(data=st.data(), name=st.sampled_from(["ca-mau-2013", "vinh-phuc-2019"]))
def test_whatever_text_is_written_comes_back_word_for_word(data: st.DataObject, name: str) -> None:
    letters = st.text(st.sampled_from("Đạt yêu cầu:=+-@#'\"{}[]|\\\n1,5%"), min_size=1, max_size=30).map(str.strip)
    codes = sorted(load_rubric(TEXTS[name]).leaves)
    code, text = data.draw(st.sampled_from(codes)), data.draw(letters.filter(bool))
    taken = imported(
        changed(name, code, LABEL=text, GUIDANCE=text, EVIDENCE=text, MONITOR=text, ENGLISH=text), TEXTS[name]
    )
    item = leaf(taken.text, code)
    assert {item.label.vi, item.label.en, item.guidance, item.evidence, item.monitor} == {text}
    assert item.rule == leaf(TEXTS[name], code).rule
