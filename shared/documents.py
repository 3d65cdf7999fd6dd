"""Official papers, reports and minutes, from a plain model to DOCX and PDF under the national header.

A paper is what its `Document` says and nothing of the moment it is made: the same document gives the same bytes.
"""

import io
import logging
import re
import unicodedata
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, NamedTuple

import docx
import pymupdf_fonts
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt
from docx.table import _Cell as WordCell
from docx.text.paragraph import Paragraph as WordParagraph
from fpdf import FPDF
from fpdf.fonts import FontFace

DOCX_TYPE: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
"""The media type of what `docx_bytes` makes."""
PDF_TYPE: Final = "application/pdf"
"""The media type of what `pdf_bytes` makes."""
NATION: Final = ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Độc lập - Tự do - Hạnh phúc")
"""The national name and motto, which every paper bears at its head."""

_MADE: Final = datetime(2000, 1, 1, tzinfo=UTC)
_ENTRY_TIME: Final = (2000, 1, 1, 0, 0, 0)
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_MARGIN: Final = 18.0
_SIZE: Final = 10
_SMALL: Final = 8
_LINE: Final = 5.0
_LINES_A_ROW: Final = 40
"""Lines of a cell in a PDF's row; what is longer goes on in a row below, since a row stands on one page."""
_LETTER: Final = 2.5
"""Millimetres that a letter of a table takes at most, on the average of a line."""
_FONT: Final = "Times New Roman"

_FONTS: Final[Mapping[str, Callable[[], bytes]]] = pymupdf_fonts.fontbuffers
_ALIGNED: Final = {
    "left": WD_ALIGN_PARAGRAPH.LEFT,
    "center": WD_ALIGN_PARAGRAPH.CENTER,
    "right": WD_ALIGN_PARAGRAPH.RIGHT,
}

logging.getLogger("fontTools.subset").setLevel(logging.ERROR)  # it warns of a table that no reader needs

Align = Literal["left", "center", "right"]


class Column(NamedTuple):
    """A column of a table: its heading, its share of the width, how its cells are set."""

    heading: str
    width: int = 10
    align: Align = "left"


class Row(NamedTuple):
    """A row of a table; `strong` rows (a field, a total) are bold."""

    cells: Sequence[str]
    strong: bool = False


class Table(NamedTuple):
    """A table whose headings are repeated on each page."""

    columns: Sequence[Column]
    rows: Sequence[Row]


class Heading(NamedTuple):
    """A heading within the paper."""

    text: str


class Paragraph(NamedTuple):
    """A paragraph of running text."""

    text: str
    align: Align = "left"
    strong: bool = False


class Signature(NamedTuple):
    """One signatory's block: the capacity in which one signs, a line below it in italics, and the name if it is known.

    A document sets its blocks side by side, the last one on the right.
    """

    capacity: str
    note: str = ""
    name: str = ""


class Document(NamedTuple):
    """A paper. `issuer`: the lines on the left of the national header, the superior body first, the issuing one last.

    `number` stands below them, `dated` is the line of place and day, `subtitle` the lines below the title.
    """

    title: str
    issuer: Sequence[str]
    body: Sequence[Heading | Paragraph | Table]
    number: str = ""
    dated: str = ""
    subtitle: Sequence[str] = ()
    signatures: Sequence[Signature] = ()


def clean(text: str) -> str:
    """The text as papers hold it: NFC, its line breaks as `\\n`, U+FFFD for what neither format can write."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return _UNPRINTABLE.sub("\ufffd", unicodedata.normalize("NFC", plain))


def docx_bytes(document: Document) -> bytes:
    """The paper as DOCX, A4 upright, to be edited and signed."""
    paper = docx.Document()
    section = paper.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Mm(_MARGIN)
    style: Any = paper.styles["Normal"]
    style.font.name, style.font.size = _FONT, Pt(_SIZE + 2)
    style.element.rPr.rFonts.set(qn("w:eastAsia"), _FONT)
    left, right = paper.add_table(rows=1, cols=2).rows[0].cells
    _lines(left, [*((line, line == document.issuer[-1]) for line in document.issuer), (document.number, False)])
    _lines(right, [(NATION[0], True), (NATION[1], True), (document.dated, False)])
    for text in ("", document.title, *document.subtitle):
        strong = text == document.title
        _run(paper.add_paragraph(), text, strong=strong, align="center", size=_SIZE + 4 if strong else None)
    for part in document.body:
        match part:
            case Heading(text):
                _run(paper.add_paragraph(), text, strong=True)
            case Paragraph(text, align, strong):
                _run(paper.add_paragraph(), text, align=align, strong=strong)
            case Table():
                _word_table(paper, part)
    if document.signatures:
        paper.add_paragraph()
        cells = paper.add_table(rows=1, cols=len(document.signatures)).rows[0].cells
        for cell, each in zip(cells, document.signatures, strict=True):
            _lines(cell, [(each.capacity, True), (each.note, False), *[("", False)] * 3, (each.name, True)], keep=True)
    properties = paper.core_properties
    properties.author, properties.title, properties.comments = "parindex", clean(document.title)[:255], ""
    properties.created = properties.modified = _MADE
    properties.language = "vi-VN"
    packed = io.BytesIO()
    paper.save(packed)
    return _repacked(packed.getvalue())


def pdf_bytes(document: Document) -> bytes:
    """The paper as PDF, A4 upright, its pages numbered, its letters embedded."""
    paper = _Pages()
    paper.set_creation_date(_MADE)
    paper.set_title(clean(document.title))
    paper.set_lang("vi-VN")
    paper.set_creator("parindex")
    with TemporaryDirectory(prefix="parindex-fonts-") as folder:  # the library reads fonts from files only
        for style, name in (("", "notos"), ("B", "notosbo")):
            file = Path(folder, f"{name}.ttf")
            file.write_bytes(_FONTS[name]())
            paper.add_font("Noto", style, file)
        _fill(paper, document)
        return bytes(paper.output())


def _fill(paper: FPDF, document: Document) -> None:
    paper.set_margins(_MARGIN, _MARGIN)
    paper.set_auto_page_break(True, _MARGIN)
    paper.add_page()
    left = [*((line, line == document.issuer[-1]) for line in document.issuer), (document.number, False)]
    right = [(NATION[0], True), (NATION[1], True), (document.dated, False)]
    _beside(paper, [left, right])
    paper.ln(_LINE)
    _print(paper, document.title, "B", _SIZE + 4, "C")
    for line in document.subtitle:
        _print(paper, line, "", _SIZE, "C")
    paper.ln(_LINE)
    for part in document.body:
        match part:
            case Heading(text):
                paper.ln(2)
                _print(paper, text, "B", _SIZE + 1)
            case Paragraph(text, align, strong):
                _print(paper, text, "B" if strong else "", _SIZE, align[0].upper())
            case Table():
                _pdf_table(paper, part)
    if document.signatures:
        paper.ln(_LINE)
        if paper.will_page_break(_LINE * 8):
            paper.add_page()
        blank = ("", False)
        blocks = [
            [(each.capacity, True), (each.note, False), blank, blank, blank, (each.name, True)]
            for each in document.signatures
        ]
        _beside(paper, blocks)


class _Pages(FPDF):
    """Pages of A4 whose foot bears their number."""

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("Noto", "", _SMALL)
        self.cell(0, 5, f"{self.page_no()}", align="C")


def _print(paper: FPDF, text: str, style: str, size: int, align: str = "L") -> None:
    paper.set_font("Noto", style, size)
    paper.multi_cell(0, _LINE, clean(text), align=align, new_x="LMARGIN", new_y="NEXT")


def _beside(paper: FPDF, blocks: Sequence[Sequence[tuple[str, bool]]]) -> None:
    """Blocks of centred lines beside one another; the cursor is then below the longest."""
    top, width, bottom = paper.get_y(), paper.epw / len(blocks), paper.get_y()
    for number, lines in enumerate(blocks):
        paper.set_y(top)
        for text, strong in lines:
            paper.set_x(paper.l_margin + number * width)
            paper.set_font("Noto", "B" if strong else "", _SIZE - 1)
            paper.multi_cell(width, _LINE, clean(text) or " ", align="C", new_x="LEFT", new_y="NEXT")
        bottom = max(bottom, paper.get_y())
    paper.set_y(bottom)


def _pdf_table(paper: FPDF, table: Table) -> None:
    paper.set_font("Noto", "", _SMALL)
    whole = sum(column.width for column in table.columns)
    widths = [paper.epw * column.width / whole for column in table.columns]
    headings = FontFace(emphasis="BOLD", fill_color=(232, 234, 237))
    with paper.table(
        col_widths=tuple(column.width for column in table.columns),
        text_align=tuple(column.align.upper() for column in table.columns),
        headings_style=headings,
        line_height=4,
        padding=0.8,
    ) as grid:
        grid.row([clean(column.heading) for column in table.columns])
        for row in table.rows:
            style = FontFace(emphasis="BOLD") if row.strong else None
            for cells in _pieces(row, widths):
                grid.row(cells, style=style)


def _pieces(row: Row, widths: Sequence[float]) -> list[list[str]]:
    """A row's cells as one or more rows, each of which fits a page in columns of these widths."""
    columns = [_parts(clean(cell), width) for cell, width in zip(row.cells, widths, strict=True)]
    return [list(cells) for cells in zip_longest(*columns, fillvalue="")]


def _parts(text: str, width: float) -> list[str]:
    """The text in pieces of at most `_LINES_A_ROW` lines of a column."""
    letters, parts, room = max(1, int((width - 2) / _LETTER)), list[str](), 0
    for line in text.split("\n"):
        for number, piece in enumerate(_cut(line, letters * _LINES_A_ROW)):
            needed = max(1, -(-len(piece) // letters))
            if parts and needed <= room and number == 0:
                parts[-1] += f"\n{piece}"
                room -= needed
            else:
                parts.append(piece)
                room = _LINES_A_ROW - needed
    return parts


def _cut(line: str, longest: int) -> list[str]:
    """The line in pieces of at most that many characters, between words where there is a space."""
    pieces = []
    while len(line) > longest:
        at = line.rfind(" ", 1, longest) + 1 or longest
        pieces.append(line[:at])
        line = line[at:]
    return [*pieces, line]


def _run(
    paragraph: WordParagraph, text: str, *, strong: bool = False, align: Align = "left", size: int | None = None
) -> None:
    run = paragraph.add_run(clean(text))
    run.bold = strong
    if size is not None:
        run.font.size = Pt(size)
    paragraph.alignment = _ALIGNED[align]
    paragraph.paragraph_format.space_after = Pt(3)


def _lines(cell: WordCell, lines: Sequence[tuple[str, bool]], *, keep: bool = False) -> None:
    """Centred lines in a cell; `keep` holds them on one page."""
    for number, (text, strong) in enumerate(lines):
        paragraph = cell.paragraphs[0] if number == 0 else cell.add_paragraph()
        _run(paragraph, text, strong=strong, align="center", size=_SIZE + 1)
        paragraph.paragraph_format.keep_with_next = keep
        paragraph.paragraph_format.space_after = Pt(0)


def _word_table(paper: Any, table: Table) -> None:
    grid = paper.add_table(rows=1 + len(table.rows), cols=len(table.columns))
    grid.style = "Table Grid"
    grid.autofit = False
    whole = sum(column.width for column in table.columns)
    widths = [Mm((210 - 2 * _MARGIN) * column.width / whole) for column in table.columns]
    heading = Row([column.heading for column in table.columns], strong=True)
    for word_row, row in zip(grid.rows, [heading, *table.rows], strict=True):
        for cell, text, column, width in zip(word_row.cells, row.cells, table.columns, widths, strict=True):
            cell.width = width
            align: Align = "center" if row is heading else column.align
            _run(cell.paragraphs[0], text, strong=row.strong, align=align, size=_SIZE)
    repeated = OxmlElement("w:tblHeader")
    repeated.set(qn("w:val"), "true")
    grid.rows[0]._tr.get_or_add_trPr().append(repeated)
    paper.add_paragraph()


def _repacked(packed: bytes) -> bytes:
    """The file with its parts under one fixed date."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = zipfile.ZipInfo(name, _ENTRY_TIME)
            part.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(part, old.read(name))
    return out.getvalue()
