"""Tickets to print and cut: for each ballot token a QR code of its form's address, the token, and what it asks."""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pymupdf_fonts
import segno
from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, XPos, YPos

from deploy.fault import Fault

MOST: Final = 10_000
"""Tickets in one file."""
HANOI: Final = ZoneInfo("Asia/Ho_Chi_Minh")
FONT: Final = "notos"
COLUMNS: Final = 2
ROWS: Final = 4
MARGIN: Final = 10.0
WIDTH: Final = (210 - 2 * MARGIN) / COLUMNS
HEIGHT: Final = (297 - 2 * MARGIN) / ROWS
CODE: Final = 34.0
"""Millimetres: margins of the A4 page, a ticket's size, a QR code's side without its quiet zone."""
PADDING: Final = 4.0

FONTS: Final[Mapping[str, Callable[[], bytes]]] = pymupdf_fonts.fontbuffers

Both = tuple[str, str]
"""A text in Vietnamese and English."""


class Ticket(NamedTuple):
    """One invitation: its token, and which form about which agency it opens."""

    token: str
    agency: str
    form: str


class Asked(NamedTuple):
    """What the tickets of a campaign say: names of agencies, titles of forms and their respondent groups, the end."""

    agencies: Mapping[str, Both]
    forms: Mapping[str, Both]
    groups: Mapping[str, Both]
    closes: datetime


def grouped(token: str) -> str:
    """The token as people read it off paper, in groups of five."""
    return "-".join(token[at : at + 5] for at in range(0, len(token), 5))


def address(url: str, token: str) -> str:
    """What a ticket's QR code opens; Fault for an address that no telephone could open."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment)
    except ValueError:
        whole = False
    if not whole or not url.isascii() or " " in url or len(url) > 100:
        raise Fault("--url is where respondents reach the survey: https://name, at most 100 characters, no query")
    return f"{url.rstrip('/')}/b/{token}"


def tickets(wanted: Sequence[Ticket], asked: Asked, url: str) -> bytes:
    """The PDF, eight tickets a page. Fault for an agency or form that is not in the campaign, or too many tickets."""
    if len(wanted) > MOST:
        raise Fault(f"{len(wanted)} tickets are too many for one file; at most {MOST}")
    for ticket in wanted:
        if ticket.agency not in asked.agencies or ticket.form not in asked.forms:
            raise Fault(f"form {ticket.form} about agency {ticket.agency} is not in this campaign; see its file")
    with tempfile.TemporaryDirectory() as folder:
        paper = _Paper(asked, url, Path(folder))
        for number, ticket in enumerate(wanted):
            paper.draw(ticket, number % (COLUMNS * ROWS))
        return bytes(paper.pdf.output())


class _Paper:
    """The pages as they are drawn; how a text breaks into lines is found once, for it stands on many tickets."""

    def __init__(self, asked: Asked, url: str, fonts: Path) -> None:
        self.pdf = FPDF(format="A4")
        self._asked, self._url = asked, url
        self._split: dict[tuple[str, str, float, float], list[str]] = {}
        self._until = asked.closes.astimezone(HANOI).strftime("%H:%M %d/%m/%Y")
        self.pdf.set_auto_page_break(False)
        self.pdf.set_title("Phiếu mời khảo sát / Survey invitations")
        logging.getLogger("fontTools.subset").setLevel(logging.ERROR)  # it tells of tables that print nothing
        for style, name in (("", FONT), ("B", f"{FONT}bo")):
            file = fonts / f"{name}.ttf"
            file.write_bytes(FONTS[name]())
            self.pdf.add_font(FONT, style, file)

    def draw(self, ticket: Ticket, place: int) -> None:
        """One ticket, on a new page where it is the first there."""
        if not place:
            self.pdf.add_page()
        left, top = MARGIN + place % COLUMNS * WIDTH, MARGIN + place // COLUMNS * HEIGHT
        self.pdf.set_draw_color(150)
        self.pdf.set_dash_pattern(1, 1)
        self.pdf.rect(left, top, WIDTH, HEIGHT)
        self.pdf.set_dash_pattern()
        self._code(address(self._url, ticket.token), left + PADDING, top + PADDING)
        self.pdf.set_xy(left + CODE + 2 * PADDING, top + PADDING)
        wide = WIDTH - CODE - 3 * PADDING
        titles = ("PHIẾU MỜI KHẢO SÁT", "Survey invitation")
        self._both(titles, wide, 9)
        self._both(self._asked.forms[ticket.form], wide, 8)
        self._both(self._asked.agencies[ticket.agency], wide, 8)
        self._both(self._asked.groups[ticket.form], wide, 8, most=1)
        wide = WIDTH - 2 * PADDING
        self.pdf.set_xy(left + PADDING, top + HEIGHT - 22)
        self.pdf.set_font(FONT, "B", 10)
        self.pdf.cell(wide, 5, grouped(ticket.token), align=Align.C)
        self.pdf.set_xy(left + PADDING, top + HEIGHT - 16)
        for told in (
            f"Quét mã QR hoặc mở {self._url.rstrip('/')}/b/ rồi viết tiếp mã trên. "
            f"Không ghi tên; dùng một lần, trước {self._until}.",
            f"Scan the QR code, or open that address with the code after it. No name; once, before {self._until}.",
        ):
            self._text(told, "", wide, 6.5)

    def _both(self, both: Both, wide: float, size: float, most: int = 2) -> None:
        """A text in both languages, the English smaller; each on so many lines at most."""
        vietnamese, english = both
        self._text(vietnamese, "B", wide, size, most)
        if english not in ("", vietnamese):
            self._text(english, "", wide, size - 1.5, most)
        self.pdf.set_xy(self.pdf.get_x(), self.pdf.get_y() + 0.5)

    def _text(self, text: str, style: str, wide: float, size: float, most: int = 2) -> None:
        self.pdf.set_font(FONT, style, size)
        lines = self._lines(text, style, wide, size)
        shown = lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1][:-1]}…"]
        for line in shown:
            self.pdf.cell(wide, size * 0.45, line, new_x=XPos.LEFT, new_y=YPos.NEXT)

    def _lines(self, text: str, style: str, wide: float, size: float) -> list[str]:
        key = (text, style, wide, size)
        if key not in self._split:
            split = self.pdf.multi_cell(wide, size, text, dry_run=True, output=MethodReturnValue.LINES)
            assert isinstance(split, list)  # it is what was asked for
            self._split[key] = split
        return self._split[key]

    def _code(self, text: str, left: float, top: float) -> None:
        """The QR code as black bars, so that it prints sharp at any size."""
        rows = [bytes(row) for row in segno.make(text, error="m", micro=False).matrix]
        module = CODE / len(rows)
        self.pdf.set_fill_color(0)
        for number, row in enumerate(rows):
            start = 0
            while (start := row.find(1, start)) >= 0:
                end = row.find(0, start)
                end = len(row) if end < 0 else end
                self.pdf.rect(left + start * module, top + number * module, (end - start) * module, module, style="F")
                start = end
