"""A session's minutes: what they say as data, and the paper that is signed."""

import io
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import docx
import pytest

from services.appraisal.minutes import Minutes, minutes, paper
from services.appraisal.views import Filed
from shared.decider import Rejected
from shared.documents import NATION, docx_bytes, pdf_bytes
from shared.events import Event
from shared.events.appraisal import (
    AdjustmentProposed,
    AdjustmentReasoned,
    CouncilAdjusted,
    CouncilDecided,
    CouncilSeated,
    ProposalRejected,
    SeatsNamed,
    SessionClosed,
    SessionOpened,
    SessionWorded,
    Tally,
    VoteCast,
)
from tests.services.appraisal.test_appraisal import appraised
from tests.services.appraisal.test_council import the_period
from tests.services.appraisal.test_views import seen

MEMBERS = tuple(f"{number:032x}" for number in range(10))
DAY = date(2024, 12, 20)
WON = Tally(members=10, in_favour=6, against=3, abstained=1, in_writing=2)
LOST = Tally(members=10, in_favour=5, against=0, abstained=0)


def proposed(item: str, position: int, data: str | None) -> AdjustmentProposed:
    return AdjustmentProposed(
        agency="agency-01",
        item=item,
        proposal=position,
        session="first",
        data=data,
        not_applicable=data is None,
        reason_code="as-declared",
    )


SITTING: tuple[Event, ...] = (
    CouncilSeated(chair=MEMBERS[0], members=MEMBERS, deputy=MEMBERS[1]),
    SeatsNamed(of=0, names={MEMBERS[0]: "Trần Thị Ánh, Phó Chủ tịch UBND"}),
    appraised("1.1", "yes", "2", 10),
    SessionOpened(session="first", held_on=DAY, in_writing=False),
    SessionWorded(session="first", of=3, place="Phòng họp số 2"),
    proposed("1.1", 5, "no"),
    proposed("1.2", 6, "small"),
    proposed("2.2", 7, None),
    VoteCast(agency="agency-01", proposal=5, member=MEMBERS[4], choice="against", in_writing=False),
    CouncilAdjusted(
        agency="agency-01",
        item="1.1",
        data="no",
        points=Decimal("0.25"),
        resolution="12/NQ-HĐTĐ",
        tally=WON,
        reason_code="as-declared",
        proposal=5,
    ),
    AdjustmentReasoned(agency="agency-01", item="1.1", of=9, reason="Thiếu quyết định ban hành"),
    ProposalRejected(agency="agency-01", item="1.2", proposal=6, resolution="12/NQ-HĐTĐ", tally=LOST),
)
ENDED: tuple[Event, ...] = (
    CouncilDecided(session="first", resolution="15/NQ-HĐTĐ", dated=DAY, tally=WON),
    SessionClosed(session="first", resolution="12/NQ-HĐTĐ", present=MEMBERS[:8]),
)


def told(*events: Event) -> Minutes:
    period = the_period()
    named = period.agencies["a-01"].model_copy(update={"agency": "agency-01"})
    return minutes(Filed(replace(period, agencies={"agency-01": named})), seen(*events), "first")


def text(of: Minutes) -> list[str]:
    """Every paragraph and every cell of the paper, read again."""
    read = docx.Document(io.BytesIO(docx_bytes(paper(of))))
    cells = [cell.text for table in read.tables for row in table.rows for cell in row.cells]
    return [*(paragraph.text for paragraph in read.paragraphs), *cells]


def row_of(of: Minutes, item: str, column: int) -> list[str]:
    """The row of a table with that many columns that tells of the item."""
    read: Any = docx.Document(io.BytesIO(docx_bytes(paper(of))))
    rows = [[cell.text for cell in row.cells] for table in read.tables for row in table.rows]
    [found] = [row for row in rows if len(row) == column and row[2].startswith(f"{item} ")]
    return found


def test_the_minutes_tell_seats_proposals_and_adjusted_points() -> None:
    of = told(*SITTING, *ENDED)
    body = of.json()
    assert (body["closed"], body["resolution"], body["members"]) == (True, "12/NQ-HĐTĐ", 10)
    assert [seat["seat"] for seat in body["seats"][:3]] == ["chair", "deputy", "member"]
    assert [seat["present"] for seat in body["seats"]] == [True] * 8 + [False] * 2
    assert [(each["item"], each["outcome"]) for each in body["proposals"]] == [
        ("1.1", "carried"),
        ("1.2", "rejected"),
        ("2.2", "open"),
    ]
    [adjusted] = body["adjusted"]
    assert (adjusted["before"], adjusted["points"], adjusted["reason"]) == ("2", "0.25", "Thiếu quyết định ban hành")
    assert (adjusted["resolution"], adjusted["tally"]) == ("12/NQ-HĐTĐ", WON.model_dump())
    assert body["decision"]["resolution"] == "15/NQ-HĐTĐ"


def test_nobodys_vote_is_in_the_minutes() -> None:
    of = told(*SITTING, *ENDED)
    told_of_votes = json.dumps(of.json()["proposals"])
    assert MEMBERS[4] not in told_of_votes
    assert "choice" not in told_of_votes
    assert not [line for line in text(of) if MEMBERS[4] in line]


def test_the_paper_bears_the_national_header_the_tallies_and_the_chairs_name() -> None:
    of = told(*SITTING, *ENDED)
    lines = "\n".join(text(of))
    named = ("BIÊN BẢN HỌP HỘI ĐỒNG THẨM ĐỊNH", "CHỦ TỊCH HỘI ĐỒNG", "Trần Thị Ánh", "Ngày 20 tháng 12 năm 2024")
    for said in (*NATION, *named, "Nghị quyết số: 12/NQ-HĐTĐ", "thông qua 1 đề nghị", "6/10 thành viên"):
        assert said in lines
    assert "DỰ THẢO" not in lines
    assert row_of(of, "1.1", 9)[3:] == ["Không", "6", "3", "1", "2", "Thông qua"]
    assert row_of(of, "1.2", 9)[4:] == ["5", "0", "0", "0", "Không thông qua"]
    assert row_of(of, "2.2", 9)[3:] == ["Không áp dụng", "", "", "", "", "Chưa quyết định"]
    assert row_of(of, "1.1", 7)[3:5] == ["2", "0,25"]


def test_the_minutes_of_an_open_session_are_a_draft() -> None:
    of = told(*SITTING)
    assert not of.closed
    assert "BIÊN BẢN HỌP HỘI ĐỒNG THẨM ĐỊNH (DỰ THẢO)" in text(of)


def test_later_seats_change_nothing_in_the_minutes_of_a_session_that_ended() -> None:
    renewed = CouncilSeated(chair=MEMBERS[3], members=MEMBERS)
    assert told(*SITTING, *ENDED, renewed) == told(*SITTING, *ENDED)


def test_a_session_without_proposals_says_so() -> None:
    lines = text(told(*SITTING[:5]))
    assert {"Không có đề nghị điều chỉnh nào.", "Hội đồng không điều chỉnh điểm nào."} <= set(lines)


def test_the_paper_is_a_pdf_too() -> None:
    assert pdf_bytes(paper(told(*SITTING, *ENDED))).startswith(b"%PDF-")


def test_a_session_that_never_was_has_no_minutes() -> None:
    with pytest.raises(Rejected, match="session-unknown"):
        minutes(Filed(the_period()), seen(), "first")
