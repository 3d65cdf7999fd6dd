"""Workbooks and CSV: nothing written runs, nothing read is computed, and the same table gives the same bytes."""

import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from shared.sheet import Cell, Column, Sheet, SheetFault, csv_text, place, read, read_csv, write

DANGEROUS = ["=1+1", "+84 24 3825", "-1", "@SUM(A1)", "\t=1", "\n=1", " =1", "'=1", "＝1", '=HYPERLINK("x";"y")']


def sheet(*rows: Sequence[Cell], headings: tuple[str, ...] = ("Mã", "Nội dung")) -> Sheet:
    return Sheet("Bảng", [Column(heading, 20) for heading in headings], rows)


def book(value: str | float) -> bytes:
    made = Workbook()
    page = made.worksheets[0]
    page["A1"] = "Mã"
    page["B2"] = value
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def test_what_is_written_is_read_again_as_text() -> None:
    data = write(
        [sheet(["1.1", 'Kế hoạch; "quý", năm\nhai dòng'], [None, Decimal("36525.50")], ["d", date(2024, 12, 31)])]
    )
    assert read(data) == [
        ["Mã", "Nội dung"],
        ["1.1", 'Kế hoạch; "quý", năm\nhai dòng'],
        ["", "36525.5"],
        ["d", "2024-12-31"],
    ]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_text_that_looks_like_a_formula_is_stored_as_harmless_text(text: str) -> None:
    data = write([sheet([text, "x"], headings=(text, "b"))])
    page = load_workbook(io.BytesIO(data)).worksheets[0]
    for cell in (page["A1"], page["A2"]):
        assert (cell.data_type, cell.value, cell.quotePrefix) == ("s", text, True)
    assert read(data)[1][0] == text


@pytest.mark.parametrize("text", DANGEROUS)
def test_csv_marks_it_with_an_apostrophe_and_takes_it_away_again(text: str) -> None:
    written = csv_text(sheet([text, "x"]))
    assert f'"\'{text.replace(chr(34), chr(34) * 2)}"' in written
    assert read_csv(written.encode())[1] == [text, "x"]


def test_an_error_word_is_text_too() -> None:
    assert read(write([sheet(["#N/A", "TRUE"])]))[1] == ["#N/A", "TRUE"]


def test_headings_are_bold_and_stay_in_sight_and_numbers_are_numbers() -> None:
    data = write([sheet(["a", Decimal("90.05")], ["b", 36525]), Sheet("Bảng", [Column("Một")], [])])
    opened = load_workbook(io.BytesIO(data))
    page = opened.worksheets[0]
    assert page.freeze_panes == "A2"
    assert page["A1"].font.b
    assert page.column_dimensions["A"].width == 20
    assert (page["B2"].value, page["B2"].number_format) == (90.05, "#,##0.00")
    assert (page["B3"].value, page["B3"].number_format) == (36525, "#,##0")
    assert len(set(opened.sheetnames)) == 2


def test_a_number_longer_than_a_spreadsheet_keeps_is_written_as_text() -> None:
    assert read(write([sheet(["a", Decimal("1234567890.1234567")])]))[1] == ["a", "1.234.567.890,1234567"]


def test_the_same_table_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = write([sheet(["1", "hai"])])
    monkeypatch.setattr("time.localtime", lambda *_: (2031, 5, 6, 7, 8, 9, 0, 0, 0))
    assert write([sheet(["1", "hai"])]) == first
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        assert {part.date_time for part in packed.infolist()} == {(2000, 1, 1, 0, 0, 0)}
        assert b"2000-01-01" in packed.read("docProps/core.xml")


def test_a_text_longer_than_a_cell_is_refused_with_its_cell() -> None:
    with pytest.raises(SheetFault, match="B2") as refused:
        write([sheet(["a", "x" * 32_768])])
    assert refused.value.code == "cell-too-long"


def test_a_character_that_no_workbook_holds_is_shown_as_missing() -> None:
    assert read(write([sheet(["a\x0bb", "c\r\nd"])]))[1] == ["a\ufffdb", "c\nd"]


@pytest.mark.parametrize("value", [True, Decimal("NaN"), datetime(2024, 1, 1, tzinfo=UTC)])
def test_what_is_no_value_of_a_table_is_not_written(value: Cell) -> None:
    with pytest.raises((TypeError, ValueError)):
        write([sheet(["a", value])])


def test_a_formula_is_refused_by_its_cell() -> None:
    with pytest.raises(SheetFault) as refused:
        read(book("=1+1"))
    assert (refused.value.code, refused.value.cell) == ("sheet-formula", "B2")


def test_an_error_cell_is_refused_by_its_cell() -> None:
    with pytest.raises(SheetFault) as refused:
        read(book("#DIV/0!"))
    assert (refused.value.code, refused.value.cell) == ("sheet-error", "B2")


def test_a_float_of_a_spreadsheet_is_read_without_its_binary_tail() -> None:
    assert read(book(0.1))[1] == ["", "0.1"]
    assert read(book(100.0))[1] == ["", "100"]
    assert read(book(1e-07))[1] == ["", "0.0000001"]


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", b"<x/>")
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * 70_000_000)
    return out.getvalue()


def damaged() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("xl/workbook.xml", b"<x")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "sheet-unreadable"),
        (b"M\xc3\xa3;N", "sheet-unreadable"),
        (b"PK\x03\x04 not a zip", "sheet-unreadable"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "sheet-unreadable"),
        (damaged(), "sheet-unreadable"),
        (bomb(), "sheet-too-large"),
        (b"0" * (8 * 1024 * 1024 + 1), "sheet-too-large"),
    ],
    ids=["empty", "csv", "half a zip", "old xls", "damaged", "bomb", "too large"],
)
def test_a_file_that_is_no_sound_workbook_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(SheetFault) as refused:
        read(data)
    assert refused.value.code == code


def test_a_smaller_limit_holds() -> None:
    with pytest.raises(SheetFault):
        read(write([sheet()]), limit=100)
    with pytest.raises(SheetFault):
        read_csv(b"a;b", limit=2)


def test_csv_writes_numbers_and_dates_as_people_here_do() -> None:
    written = csv_text(sheet(["a", Decimal("36525.50")], [-3, date(2024, 2, 1)]))
    assert written == '\ufeff"Mã";"Nội dung"\r\n"a";"36525,50"\r\n"-3";"01/02/2024"\r\n'


@pytest.mark.parametrize(
    "text",
    [
        'Mã;Nội dung\n1;"a;b"\n\n',
        "\ufeffMã,Nội dung\r\n1,a;b\r\n",
        "Mã\tNội dung\n1\ta;b",
        '"Mã";"Nội dung"\n1;"a;b"\n;\n',
    ],
)
def test_csv_is_read_whatever_parts_it(text: str) -> None:
    assert read_csv(text.encode()) == [["Mã", "Nội dung"], ["1", "a;b"]]


@pytest.mark.parametrize("data", [b"M\xe3;a", b'a;"b\n', b"a\0b", "Mã".encode("utf-16"), b'a;"b"c\n'])
def test_csv_that_cannot_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(SheetFault) as refused:
        read_csv(data)
    assert refused.value.code == "sheet-unreadable"


def test_a_cell_has_the_name_that_a_spreadsheet_shows() -> None:
    assert (place(0, 0), place(6, 1), place(1, 26)) == ("A1", "B7", "AA2")


CELL = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12
) | st.sampled_from(DANGEROUS)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5))
def test_every_text_comes_back_as_it_was(rows: list[tuple[str, str]]) -> None:
    table = sheet(*[[f"x{a}", b] for a, b in rows], *[[a, f"x{b}"] for a, b in rows])
    expected = [["Mã", "Nội dung"], *[[f"x{a}", b] for a, b in rows], *[[a, f"x{b}"] for a, b in rows]]
    assert read(write([table])) == expected
    assert read_csv(csv_text(table).encode()) == expected
