"""Tables that officers take home and bring back: workbooks (XLSX) and CSV, from rows to bytes and back.

What is written never runs: a text that a spreadsheet would take for a formula (`=`, `+`, `-`, `@`, a tab or a line
break in front) is stored as text in a workbook, and has an apostrophe in front in CSV, which `read_csv` takes away
again. What is read is never computed: a cell with a formula is refused. The same tables give the same bytes.
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import Cell as WorkbookCell
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet
from openpyxl.xml.functions import tostring

from shared.rubric import vietnamese

WORKBOOK_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""The media type of what `write` makes."""
CSV_TYPE: Final = "text/csv; charset=utf-8"
"""The media type of what `csv_text` makes."""

LONGEST: Final = 32_767
"""Characters that a cell of a workbook holds."""
MAX_BYTES: Final = 8 * 1024 * 1024
"""The largest file that is read, unless the caller says otherwise."""
MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 200
_UNPACKED: Final = 64 * 1024 * 1024
"""Bytes that a workbook may unpack to."""
_EXACT_DIGITS: Final = 15
"""Significant digits that a spreadsheet keeps of a number; a longer one is written as text."""
_MADE: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - a fixed property of every workbook, not a moment
_ENTRY_TIME: Final = (2000, 1, 1, 0, 0, 0)
_ACTIVE = re.compile(r"'*(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
_QUOTED = re.compile(r"'+(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_UNDER_TITLE = re.compile(r"[\[\]:*?/\\]")

Cell = str | int | Decimal | date | None
"""What stands in a cell. A number is a number there; a year or a code that must not be grouped is a text."""


class SheetFault(ValueError):
    """A table that cannot be read or written: a stable `code`, the reason, and the `cell` (`B7`) where there is one."""

    def __init__(self, code: str, message: str, cell: str | None = None) -> None:
        super().__init__(f"{cell}: {message}" if cell else message)
        self.code = code
        self.message = message
        self.cell = cell


class Column(NamedTuple):
    """A column's heading and its width in characters."""

    heading: str
    width: int = 16


class Sheet(NamedTuple):
    """One table: a title of at most 31 characters, the columns, and the rows under their headings."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def place(row: int, column: int) -> str:
    """The name of a cell, both counted from 0: `place(6, 1)` is `B7`."""
    return f"{get_column_letter(column + 1)}{row + 1}"


def write(sheets: Sequence[Sheet]) -> bytes:
    """A workbook of these tables: the headings bold and kept in sight, texts wrapped, numbers as numbers.

    Raises `SheetFault` `cell-too-long` for a text that a cell would cut. A character that no workbook can hold is
    written as U+FFFD; a title that two sheets share, or that a sheet cannot have, is numbered or cleaned.
    """
    book = Workbook()
    book.remove(book.worksheets[0])
    for number, sheet in enumerate(sheets, start=1):
        title = _UNDER_TITLE.sub(" ", sheet.title).strip("' ")[:31] or f"{number}"
        _fill(book.create_sheet(title), sheet)
    book.properties.creator = "parindex"
    book.properties.created = _MADE
    packed = io.BytesIO()
    book.save(packed)
    book.properties.modified = _MADE
    return _repacked(packed.getvalue(), tostring(book.properties.to_tree()))


def read(data: bytes, *, limit: int = MAX_BYTES) -> list[list[str]]:
    """The rows of a workbook's first sheet as texts, headings and all; rows that are empty at the end are left away.

    Numbers come as `12.5`, dates as `2024-12-31`. Raises `SheetFault`: `sheet-too-large`, `sheet-unreadable` (no XLSX,
    or damaged), `sheet-formula` (a cell that would have to be computed), `sheet-error` (`#N/A`).
    """
    if len(data) > limit:
        raise SheetFault("sheet-too-large", f"the file has {len(data)} bytes; at most {limit} are read")
    _look_inside(data)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
        rows = list(_rows(sheet))
        book.close()
    except SheetFault:
        raise
    except Exception as error:  # a foreign file can break the reader in any way; nothing is half read
        raise SheetFault(
            "sheet-unreadable", f"this is no workbook that can be read ({type(error).__name__})"
        ) from error
    return _trimmed(rows)


def csv_text(sheet: Sheet) -> str:
    """The table as CSV in RFC 4180's form, begun by a byte order mark, its cells in quotes and parted by semicolons.

    Spreadsheets set to Vietnamese read it as it is: decimal commas without group marks, dates as `31/12/2024`.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([_harmless(column.heading) for column in sheet.columns])
    for row in sheet.rows:
        writer.writerow([_csv_cell(cell) for cell in row])
    return "\ufeff" + out.getvalue()


def read_csv(data: bytes, *, limit: int = MAX_BYTES) -> list[list[str]]:
    """The rows of a CSV file as texts, headings and all: UTF-8 with or without a mark, parted by `;`, `,` or tabs.

    The separator is the one that its first line has most of outside quotes. Raises `SheetFault`: `sheet-too-large`,
    `sheet-unreadable`.
    """
    if len(data) > limit:
        raise SheetFault("sheet-too-large", f"the file has {len(data)} bytes; at most {limit} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SheetFault("sheet-unreadable", f"byte {error.start} is not UTF-8: save the file as CSV UTF-8") from None
    if "\0" in text:
        raise SheetFault("sheet-unreadable", "this is no text: save the file as CSV UTF-8")
    rows = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    try:
        for number, row in enumerate(reader):
            if number >= MAX_ROWS or len(row) > MAX_COLUMNS:
                raise SheetFault("sheet-too-large", f"at most {MAX_ROWS} rows and {MAX_COLUMNS} columns are read")
            rows.append([cell[1:] if _QUOTED.match(cell) else cell for cell in row])
    except csv.Error as error:
        raise SheetFault("sheet-unreadable", f"line {reader.line_num}: {error}") from None
    return _trimmed(rows)


def _fill(page: Worksheet, sheet: Sheet) -> None:
    thin = Side(style="thin", color="FF9AA0A6")
    frame = Border(left=thin, right=thin, top=thin, bottom=thin)
    for column, heading in enumerate(sheet.columns):
        cell = _cell(page, 0, column)
        _put(cell, heading.heading, 0, column)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="FFE8EAED")
        cell.alignment = Alignment(wrap_text=True, vertical="center", horizontal="center")
        cell.border = frame
        page.column_dimensions[get_column_letter(column + 1)].width = heading.width
    for row, values in enumerate(sheet.rows, start=1):
        for column, value in enumerate(values):
            cell = _cell(page, row, column)
            _put(cell, value, row, column)
            cell.alignment = Alignment(wrap_text=isinstance(value, str), vertical="top")
            cell.border = frame
    page.freeze_panes = "A2"
    page.print_title_rows = "1:1"
    page.page_setup.orientation = "landscape"
    page.page_setup.fitToHeight = 0
    page.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)


def _cell(page: Worksheet, row: int, column: int) -> WorkbookCell:
    cell = page.cell(row + 1, column + 1)
    assert isinstance(cell, WorkbookCell)  # nothing is merged here
    return cell


def _put(cell: WorkbookCell, value: Cell, row: int, column: int) -> None:
    match value:
        case None:
            return
        case bool() | datetime():
            raise TypeError(f"{place(row, column)}: a cell is a text, a number or a date, not {type(value).__name__}")
        case int():
            cell.value = value
            cell.number_format = "#,##0"
        case Decimal():
            _put_decimal(cell, value, row, column)
        case date():
            cell.value = value
            cell.number_format = "dd/mm/yyyy"
        case str():
            _put_text(cell, value, row, column)


def _put_decimal(cell: WorkbookCell, value: Decimal, row: int, column: int) -> None:
    if not value.is_finite():
        raise ValueError(f"{place(row, column)}: {value} is no number of a table")
    _, digits, exponent = value.as_tuple()
    if len(digits) > _EXACT_DIGITS:
        _put_text(cell, vietnamese(value), row, column)
        return
    decimals = max(0, -int(exponent))
    cell.value = value
    cell.number_format = "#,##0" + ("." + "0" * decimals if decimals else "")


def _put_text(cell: WorkbookCell, value: str, row: int, column: int) -> None:
    text = _UNPRINTABLE.sub("\ufffd", value.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text.encode("utf-16-le")) // 2 > LONGEST:
        raise SheetFault("cell-too-long", f"{len(text)} characters; a cell holds {LONGEST}", place(row, column))
    cell.value = text
    cell.data_type = "s"
    if _ACTIVE.match(text):
        cell.quotePrefix = True


def _repacked(packed: bytes, properties: bytes) -> bytes:
    """The workbook with nothing of the moment in it: its parts under one fixed date, its properties as given."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = zipfile.ZipInfo(name, _ENTRY_TIME)
            part.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(part, properties if name == "docProps/core.xml" else old.read(name))
    return out.getvalue()


def _look_inside(data: bytes) -> None:
    """Refuse what is no workbook, or unpacks to more than is read, before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = packed.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:  # the last: a way of packing it lacks
        raise SheetFault("sheet-unreadable", "this is no XLSX workbook: save it as .xlsx") from error
    if "xl/workbook.xml" not in {part.filename for part in parts}:
        raise SheetFault("sheet-unreadable", "this is no XLSX workbook: save it as .xlsx")
    if any(part.flag_bits & 1 for part in parts):
        raise SheetFault("sheet-unreadable", "the workbook is locked by a password")
    if len(parts) > 1000 or sum(part.file_size for part in parts) > _UNPACKED:
        raise SheetFault("sheet-too-large", f"the workbook unpacks to more than {_UNPACKED} bytes")


def _rows(sheet: Any) -> Iterator[list[str]]:
    for row, cells in enumerate(sheet.iter_rows()):
        if row >= MAX_ROWS or len(cells) > MAX_COLUMNS:
            raise SheetFault("sheet-too-large", f"at most {MAX_ROWS} rows and {MAX_COLUMNS} columns are read")
        yield [_text_of(cell, row, column) for column, cell in enumerate(cells)]


def _text_of(cell: Any, row: int, column: int) -> str:
    value = cell.value
    if cell.data_type == "f":
        raise SheetFault("sheet-formula", "a formula is not read: paste its value", place(row, column))
    if cell.data_type == "e":
        raise SheetFault("sheet-error", f"the cell holds the error {value}", place(row, column))
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            text = format(Decimal(repr(value)), "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        case datetime():
            return value.date().isoformat() if value.time() == _MADE.time() else value.isoformat()
        case _:
            return str(value)


def _trimmed(rows: list[list[str]]) -> list[list[str]]:
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    return rows


def _harmless(text: str) -> str:
    return f"'{text}" if _ACTIVE.match(text) else text


def _csv_cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case bool() | datetime():
            raise TypeError(f"a cell is a text, a number or a date, not {type(value).__name__}")
        case Decimal() | int():
            return vietnamese(Decimal(value), grouped=False)
        case date():
            return value.strftime("%d/%m/%Y")
        case str():
            return _harmless(value)


def _separator(text: str) -> str:
    outside = "".join(re.split(r'"(?:[^"]|"")*"', text[:65_536])).splitlines()
    first = outside[0] if outside else ""
    return max(";,\t", key=first.count)
