"""Official papers: what is written is read again, whole and in Vietnamese; the same paper is the same bytes."""

import hashlib
import io
import re
import subprocess
import sys
import zlib
from pathlib import Path

import docx
import pytest

from shared.documents import (
    NATION,
    Column,
    Document,
    Heading,
    Paragraph,
    Row,
    Signature,
    Table,
    clean,
    docx_bytes,
    pdf_bytes,
)

LETTERS = "ăâđêôơư ĂÂĐÊÔƠƯ ằẳẵặầẩẫậềểễệồổỗộờởỡợừửữự ỳỷỹỵ"
PAPER = Document(
    title="BÁO CÁO",
    issuer=("UBND THÀNH PHỐ HÀ NỘI", "BẢO HIỂM XÃ HỘI"),
    number="Số: 45/BC-BHXH",
    dated="Hà Nội, ngày 20 tháng 11 năm 2024",
    subtitle=("Kết quả tự đánh giá năm 2024", LETTERS),
    body=(
        Heading("I. Kết quả"),
        Paragraph("Đã kê khai đầy đủ.", align="right"),
        Table(
            (Column("STT", 2, "center"), Column("Tiêu chí", 10), Column("Điểm", 3, "right")),
            (Row(("1", "Chỉ đạo điều hành", "7,5"), strong=True), Row(("1.1", "=SUM(A1)", "2,25"))),
        ),
    ),
    signatures=(Signature("NGƯỜI LẬP"), Signature("THỦ TRƯỞNG", "(Ký, đóng dấu)", "Nguyễn Văn A")),
)


def pdf_text(data: bytes) -> str:
    """The text of a PDF, read by its fonts' own maps from glyphs to letters; a line for each piece that is set."""
    objects = {int(number): body for number, body in re.findall(rb"\n(\d+) 0 obj\n(.*?)\nendobj", data, re.DOTALL)}
    named = re.search(rb"/Font <<(.*?)>>", data, re.DOTALL)
    assert named is not None
    fonts = {font: _letters(objects, int(at)) for font, at in re.findall(rb"/(F\d+) (\d+) 0 R", named[1])}
    lines = []
    for body in objects.values():
        content = _unpacked(body)
        letters: dict[int, str] = {}
        for font, text in re.findall(rb"/(F\d+) [\d.]+ Tf|\(((?:[^\\()]|\\.)*)\) Tj", content, re.DOTALL):
            if font:
                letters = fonts[font]
                continue
            raw = re.sub(
                rb"\\(.)", lambda found: {b"r": b"\r", b"n": b"\n"}.get(found[1], found[1]), text, flags=re.DOTALL
            )
            lines.append("".join(letters[int.from_bytes(raw[at : at + 2])] for at in range(0, len(raw), 2)))
    return "\n".join(lines)


def _unpacked(body: bytes) -> bytes:
    found = re.search(rb"stream\n(.*)\nendstream", body, re.DOTALL)
    return b"" if found is None or b"/FlateDecode" not in body else zlib.decompress(found[1])


def _letters(objects: dict[int, bytes], font: int) -> dict[int, str]:
    found = re.search(rb"/ToUnicode (\d+) 0 R", objects[font])
    assert found is not None
    text = objects[int(found[1])]
    pairs = re.findall(rb"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]+)>\n", _unpacked(text) or text)
    return {int(glyph, 16): bytes.fromhex(letter.decode()).decode("utf-16-be") for glyph, letter in pairs}


def words(data: bytes) -> list[str]:
    """Every text of a DOCX: paragraphs and cells, in no order that matters."""
    paper = docx.Document(io.BytesIO(data))
    cells = [cell.text for table in paper.tables for row in table.rows for cell in row.cells]
    return [*(paragraph.text for paragraph in paper.paragraphs), *cells]


def test_a_docx_holds_the_national_header_the_table_and_the_signatures() -> None:
    read = words(docx_bytes(PAPER))
    whole = "\n".join(read)
    for text in (*NATION, *PAPER.issuer, PAPER.number, PAPER.dated, PAPER.title, LETTERS, "=SUM(A1)", "Nguyễn Văn A"):
        assert text in whole
    table = docx.Document(io.BytesIO(docx_bytes(PAPER))).tables[1]
    assert [[cell.text for cell in row.cells] for row in table.rows] == [
        ["STT", "Tiêu chí", "Điểm"],
        ["1", "Chỉ đạo điều hành", "7,5"],
        ["1.1", "=SUM(A1)", "2,25"],
    ]


def test_a_pdf_holds_the_same_in_vietnamese_letters() -> None:
    text = pdf_text(pdf_bytes(PAPER))
    for each in (*PAPER.issuer, PAPER.number, PAPER.title, "Chỉ đạo điều hành", "=SUM(A1)", "2,25", "Nguyễn Văn A"):
        assert each in text
    assert set(LETTERS) <= set(text)
    assert NATION[1] in text


def test_the_same_paper_is_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib; from shared.documents import docx_bytes, pdf_bytes;"
        "from tests.shared.test_documents import PAPER;"
        "print(hashlib.sha256(docx_bytes(PAPER) + pdf_bytes(PAPER)).hexdigest())"
    )
    root = Path(__file__).parents[2]
    other = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(docx_bytes(PAPER) + pdf_bytes(PAPER)).hexdigest()


@pytest.mark.parametrize("text", ["Dài lắm " * 500, "W" * 4000, "\n" * 3000, "x\n" * 2000, "😀漢\x01"])
@pytest.mark.parametrize("width", [1, 10])
def test_a_long_or_odd_text_is_written_whole_over_pages(text: str, width: int) -> None:
    table = Table((Column("A", width), Column("B", 10 - width + 2)), (Row((text, "cuối")),))
    paper = PAPER._replace(body=(table,))
    assert "cuối" in pdf_text(pdf_bytes(paper))
    assert clean(text).strip() in "\n".join(words(docx_bytes(paper)))


def test_nothing_of_a_long_cell_is_lost_in_the_pdf() -> None:
    sentence = [f"từ{number}" for number in range(900)]
    table = Table((Column("A"), Column("B")), (Row((" ".join(sentence), "")),))
    shown = pdf_text(pdf_bytes(PAPER._replace(body=(table,)))).split()
    assert [word for word in shown if word.startswith("từ")] == sentence


def test_a_table_over_many_pages_repeats_its_headings() -> None:
    rows = tuple(Row((str(number), "Tiêu chí", "1")) for number in range(200))
    table = PAPER.body[2]
    assert isinstance(table, Table)
    assert pdf_text(pdf_bytes(PAPER._replace(body=(table._replace(rows=rows),)))).count("STT") > 2


def test_breaks_and_tabs_become_plain_ones() -> None:
    assert clean("Ha\u0300 No\u0302\u0323i\r\nA\tB") == "Hà Nội\nA B"
