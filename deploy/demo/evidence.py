"""The documents of the demonstration: an agency's self-assessment as it lies in a folder, its evidence PDF files."""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fpdf import FPDF

from deploy.assessment import COLUMNS
from deploy.demo.data import Line, lines
from shared.rubric import Agency, Rubric

SHEAVES: Final = (("1", "2"), ("3",), ("4", "5", "6"), ("7", "8", "9"))
"""The fields that one document serves together."""
CREATED: Final = datetime(2024, 11, 4, 1, tzinfo=UTC)
"""The date inside each document, so that its bytes are the same in every run."""


def write(rubric: Rubric, agency: Agency, folder: Path, shift: int = 0, created: datetime = CREATED) -> Path:
    """Write the agency's documents and its self-assessment as a CSV file, as `parindex assess import` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    said = list(lines(rubric, agency.id, shift))
    served: dict[str, str] = {}
    for fields in SHEAVES:
        own = [
            line for line in said if line.code.partition(".")[0] in fields and not line.claim and not line.explanation
        ]
        name = f"Tài liệu kiểm chứng nội dung {', '.join(fields)}.pdf"
        (folder / name).write_bytes(document(rubric, agency, own, created))
        served |= {line.code: name for line in own}
    file = folder / "tu-danh-gia.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for line in said:
            data = "không áp dụng" if line.claim else line.data
            table.writerow((line.code, data, served.get(line.code, ""), line.claim or line.explanation))
    return file


def document(rubric: Rubric, agency: Agency, said: Sequence[Line], created: datetime = CREATED) -> bytes:
    """A PDF that states the agency's data for these items. It is in English: the fonts that every reader of PDF files
    has lack the letters of Vietnamese."""
    pdf = FPDF(format="A4")
    pdf.set_creation_date(created)
    pdf.set_title(f"Verification document of {agency.name.en}")
    pdf.add_page()
    pdf.set_font("Helvetica", "B", 14)
    pdf.multi_cell(0, 8, agency.name.en, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", "", 10)
    pdf.multi_cell(
        0, 6, f"Verification document for the administrative reform index of {created.year}. Made for a demonstration.",
        new_x="LMARGIN", new_y="NEXT",
    )  # fmt: skip
    pdf.ln(4)
    _rows(pdf, rubric, said)
    return bytes(pdf.output())


def _rows(pdf: FPDF, rubric: Rubric, said: Iterable[Line]) -> None:
    answers = {"Có": "yes", "Không": "no"}
    with pdf.table(col_widths=(12, 68, 20), text_align=("LEFT", "LEFT", "RIGHT")) as table:
        table.row(("Item", "Criterion", "Data"))
        for line in said:
            label = rubric.leaf(line.code).label
            table.row((line.code, label.en or line.code, answers.get(line.data, line.data)))
