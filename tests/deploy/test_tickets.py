"""Tickets to print: a QR code that leads to the form, a token to type, and no ticket for what is not asked."""

import re
import zlib
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import segno
from fontTools.ttLib import TTFont

from deploy.commands.survey import asked, read_tokens
from deploy.fault import Fault
from deploy.tickets import CODE, FONT, FONTS, MOST, Asked, Ticket, address, grouped, tickets

TOKEN = "ABCDE23456FGHJK7890MNPQRST"
URL = "https://khaosat.example.vn"
ASKED = Asked(
    {"a-01": ("Cục Thuế thành phố Hà Nội", "Hanoi Tax Department"), "a-02": ("Kho bạc Nhà nước", "")},
    {"citizen-form": ("Phiếu người dân", "Citizens' form")},
    {"citizen-form": ("Người dân, tổ chức", "Citizens")},
    datetime.fromisoformat("2024-10-01T00:00+07:00"),
)
SHOWN: dict[str, Any] = {
    "closes": "2024-09-30T17:00:00.000000Z",
    "respondents": [{"id": "citizens", "label": {"vi": "Người dân"}}],
    "forms": [{"id": "citizen-form", "group": "citizens", "title": {"vi": "Phiếu người dân", "en": "Citizens' form"}}],
    "agencies": [{"agency": "a-01", "name_vi": "Cục Thuế", "name_en": ""}],
}


def pages(pdf: bytes) -> list[str]:
    """What each page draws."""
    streams = [zlib.decompress(found) for found in re.findall(rb"stream\r?\n(x.*?)\r?\nendstream", pdf, re.DOTALL)]
    return [stream.decode("latin-1") for stream in streams if b" re" in stream[:100_000]]


def bars(page: str) -> list[tuple[float, ...]]:
    """Left, top, width and height of all that is filled on a page, in points from the top left of the first bar."""
    found = [
        tuple(map(float, numbers)) for numbers in re.findall(r"([\d.]+) ([\d.]+) ([\d.]+) (-?[\d.]+) re f\b", page)
    ]
    left, top = min(bar[0] for bar in found), max(bar[1] for bar in found)
    return [(x - left, top - y, width, abs(height)) for x, y, width, height in found]


@pytest.mark.parametrize("token", [TOKEN, "0" * 26])
def test_the_code_on_a_ticket_is_that_of_its_forms_address(token: str) -> None:
    (page,) = pages(tickets([Ticket(token, "a-01", "citizen-form")], ASKED, f"{URL}/"))
    expected = [list(row) for row in segno.make(f"{URL}/b/{token}", error="m", micro=False).matrix]
    module = CODE / 25.4 * 72 / len(expected)
    drawn = [[0] * len(expected) for _ in expected]
    for x, y, width, _ in bars(page):
        for dark in range(round(width / module)):
            drawn[round(y / module)][round(x / module) + dark] = 1
    assert drawn == expected


@pytest.mark.parametrize(("count", "sheets"), [(1, 1), (8, 1), (9, 2)])
def test_eight_tickets_stand_on_a_page(count: int, sheets: int) -> None:
    pdf = tickets([Ticket(TOKEN, "a-02", "citizen-form")] * count, ASKED, URL)
    assert pdf.startswith(b"%PDF-")
    assert len(pages(pdf)) == sheets
    assert pdf.count(b"/Type /Page\n") == sheets


@pytest.mark.parametrize("name", [FONT, f"{FONT}bo"])
def test_the_fonts_have_every_vietnamese_letter(name: str) -> None:
    vowels = "aàảãáạăằẳẵắặâầẩẫấậeèẻẽéẹêềểễếệiìỉĩíịoòỏõóọôồổỗốộơờởỡớợuùủũúụưừửữứựyỳỷỹýỵđ"
    known = TTFont(BytesIO(FONTS[name]())).getBestCmap() or {}
    assert {ord(letter) for letter in vowels + vowels.upper() + "…"} <= known.keys()


def test_a_token_is_printed_in_groups_of_five() -> None:
    assert grouped(TOKEN) == "ABCDE-23456-FGHJK-7890M-NPQRS-T"


@pytest.mark.parametrize(
    "url", ["khaosat.example.vn", "ftp://x.vn", "https://", "https://x.vn/?a=1", "https://x.vn/#a", "https://khảosát.vn",
            "https://x .vn", "https://[", "https://" + "x" * 100]
)  # fmt: skip
def test_an_address_that_no_telephone_opens_is_refused(url: str) -> None:
    with pytest.raises(Fault, match="--url"):
        address(url, TOKEN)


def test_a_ticket_for_what_the_campaign_does_not_ask_is_refused_and_so_are_too_many() -> None:
    for ticket in (Ticket(TOKEN, "nobody", "citizen-form"), Ticket(TOKEN, "a-01", "no-form")):
        with pytest.raises(Fault, match="not in this campaign") as fault:
            tickets([ticket], ASKED, URL)
        assert TOKEN not in str(fault.value)
    with pytest.raises(Fault, match="at most 10000"):
        tickets([Ticket(TOKEN, "a-01", "citizen-form")] * (MOST + 1), ASKED, URL)


@pytest.mark.parametrize(
    "written",
    [
        "token,agency,form\n{0},a-01,citizen-form\n{0},a-02,citizen-form\n",
        "\ufefftoken,agency,form\r\n{0} , a-01,citizen-form\r\n{0},a-02,citizen-form\r\n",
    ],
)
def test_tokens_come_from_a_table(tmp_path: Path, written: str) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text(written.format(TOKEN), encoding="utf-8")
    assert read_tokens(file) == [Ticket(TOKEN, agency, "citizen-form") for agency in ("a-01", "a-02")]


def test_tokens_come_from_the_answer_that_issued_them(tmp_path: Path) -> None:
    file = tmp_path / "answer.json"
    file.write_text(f'{{"log": "survey/2024-year", "agency": "a-01", "form": "citizen-form", "tokens": ["{TOKEN}"]}}')
    assert read_tokens(file) == [Ticket(TOKEN, "a-01", "citizen-form")]


@pytest.mark.parametrize(
    "written",
    ["", "token,agency,form\n", f"{TOKEN}\n{TOKEN}\n", f"token,agency\n{TOKEN},a-01\n", "{", '{"tokens": []}',
     f"token,agency,form\n{TOKEN},a-01\n", '{"tokens": [], "agency": "a", "form": "f"}'],
)  # fmt: skip
def test_a_file_that_holds_no_tokens_is_refused_without_telling_what_it_holds(tmp_path: Path, written: str) -> None:
    file = tmp_path / "tokens"
    file.write_text(written)
    with pytest.raises(Fault, match="token") as fault:
        read_tokens(file)
    assert TOKEN not in str(fault.value)


def test_a_campaigns_answer_says_what_its_tickets_say() -> None:
    assert asked(SHOWN) == Asked(
        {"a-01": ("Cục Thuế", "")},
        {"citizen-form": ("Phiếu người dân", "Citizens' form")},
        {"citizen-form": ("Người dân", "")},
        ASKED.closes,
    )
