"""A session's minutes: who was there, what was voted on and how many for it, what was adjusted; as data and as a paper.

How a member voted is not in them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from services.appraisal.record import Held, Motion
from services.appraisal.views import Appraised, Filed
from shared.decider import Rejected
from shared.documents import Column, Document, Heading, Paragraph, Row, Signature, Table
from shared.events import plain
from shared.events.appraisal import CouncilAdjusted, CouncilDecided, Tally
from shared.rubric import vietnamese
from shared.rubric.rules import Branch, Levels, Rule, Shares, YesNo

ISSUER: Final = ("ỦY BAN NHÂN DÂN", "HỘI ĐỒNG THẨM ĐỊNH")
SEATS: Final = {"chair": "Chủ tịch Hội đồng", "deputy": "Phó Chủ tịch Hội đồng", "member": "Thành viên"}
ANSWERS: Final = {"yes": "Có", "no": "Không"}
OUTCOMES: Final = {"open": "Chưa quyết định", "carried": "Thông qua", "rejected": "Không thông qua"}
VOTED: Final = (
    Column("STT", 4, "center"),
    Column("Cơ quan", 14),
    Column("Tiêu chí", 22),
    Column("Đề nghị", 9),
    Column("Tán thành", 7, "center"),
    Column("Không tán thành", 7, "center"),
    Column("Không ý kiến", 7, "center"),
    Column("Bằng văn bản", 7, "center"),
    Column("Kết quả", 10),
)
ADJUSTED: Final = (
    Column("STT", 4, "center"),
    Column("Cơ quan", 14),
    Column("Tiêu chí", 22),
    Column("Điểm thẩm định", 8, "right"),
    Column("Điểm điều chỉnh", 8, "right"),
    Column("Lý do", 22),
    Column("Nghị quyết", 12),
)


@dataclass(frozen=True)
class Seat:
    """A member of the council: `name` as it was given with the seat, else None."""

    member: str
    seat: str
    name: str | None
    present: bool


@dataclass(frozen=True)
class Vote:
    """A proposal with its tally. `said`: its value in the item's own words; `before` and `points`: the item's points
    before the decision and by it."""

    proposal: int
    agency: str
    agency_name: str
    item: str
    label: str
    data: str | None
    said: str
    not_applicable: bool
    reason_code: str
    reason_label: str
    outcome: str
    before: Decimal | None
    points: Decimal | None
    words: str | None
    reason: str | None
    resolution: str | None
    tally: Tally | None

    def json(self) -> dict[str, Any]:
        """As an answer shows it."""
        shown = {name: value for name, value in self.__dict__.items() if value is not None}
        points = {name: plain(shown[name]) for name in ("before", "points") if name in shown}
        return shown | points | ({} if self.tally is None else {"tally": self.tally.model_dump()})


@dataclass(frozen=True)
class Minutes:
    """A session's minutes; a draft until the session is closed."""

    period: str
    period_name: str
    session: str
    held_on: date
    in_writing: bool
    place: str | None
    closed: bool
    resolution: str | None
    members: int
    seats: tuple[Seat, ...]
    votes: tuple[Vote, ...]
    decision: CouncilDecided | None

    @property
    def adjusted(self) -> tuple[Vote, ...]:
        """What the council carried."""
        return tuple(vote for vote in self.votes if vote.outcome == "carried")

    def json(self) -> dict[str, Any]:
        """As an answer shows it."""
        return {
            "period": self.period,
            "period_name": self.period_name,
            "session": self.session,
            "held_on": self.held_on.isoformat(),
            "in_writing": self.in_writing,
            "place": self.place,
            "closed": self.closed,
            "resolution": self.resolution,
            "members": self.members,
            "seats": [asdict(seat) for seat in self.seats],
            "proposals": [vote.json() for vote in self.votes],
            "adjusted": [vote.json() for vote in self.adjusted],
            "decision": None if self.decision is None else self.decision.model_dump(mode="json", exclude={"session"}),
        }


def minutes(filed: Filed, own: Appraised, session: str) -> Minutes:
    """The minutes of a session; Rejected `session-unknown`."""
    held = own.record.sessions.get(session)
    if held is None:
        raise Rejected("session-unknown", f"the council has no session {session}", "session")
    opened = filed.period.the_opened()
    motions = [each for _, each in sorted(own.record.motions.items()) if each.proposed.session == session]
    return Minutes(
        period=opened.period,
        period_name=opened.name_vi,
        session=session,
        held_on=held.opened.held_on,
        in_writing=held.opened.in_writing,
        place=held.place,
        closed=held.closed is not None,
        resolution=None if held.closed is None else held.closed.resolution,
        members=opened.council.members,
        seats=_seats(own, held),
        votes=tuple(_vote(filed, own, motion) for motion in motions),
        decision=held.decided,
    )


def _seats(own: Appraised, held: Held) -> tuple[Seat, ...]:
    council = held.seated or own.council
    if council is None:
        return ()
    present = () if held.closed is None else held.closed.present
    special = {council.deputy: "deputy", council.chair: "chair"}
    return tuple(
        Seat(member, special.get(member, "member"), own.record.names.get(member), member in present)
        for member in council.members
    )


def _vote(filed: Filed, own: Appraised, motion: Motion) -> Vote:
    proposed, decided, agency = motion.proposed, motion.decided, motion.proposed.agency
    rubric = filed.period.rubric_of(agency)
    earlier = [
        line
        for line in own.lines.get(agency, ())
        if line.item == proposed.item
        and line.what != "explanation-requested"
        and (motion.decided_at is None or line.position < motion.decided_at)
    ]
    return Vote(
        proposal=motion.position,
        agency=agency,
        agency_name=filed.period.the_agency(agency).name_vi,
        item=proposed.item,
        label=rubric.leaf(proposed.item).label.vi,
        data=proposed.data,
        said="Không áp dụng" if proposed.data is None else _said(rubric.leaf(proposed.item).rule, proposed.data),
        not_applicable=proposed.not_applicable,
        reason_code=proposed.reason_code,
        reason_label=next(each.label.vi for each in rubric.reasons if each.id == proposed.reason_code),
        outcome=motion.outcome,
        before=earlier[-1].points if earlier else None,
        points=decided.points if isinstance(decided, CouncilAdjusted) else None,
        words=motion.words,
        reason=motion.reason,
        resolution=None if decided is None else decided.resolution,
        tally=motion.tally,
    )


def _said(rule: Rule, data: str) -> str:
    """A datum as officers read it: có or không, a level by its label, a number with its comma."""
    rules: list[Any] = [rule]
    if isinstance(rule, Branch):
        rules = [*(case.rule for case in rule.cases), rule.otherwise]
    for each in rules:
        if isinstance(each, YesNo) and data in ANSWERS:
            return ANSWERS[data]
        if isinstance(each, Levels | Shares):
            labels = {level.id: level.label.vi for level in each.levels}
            if data in labels:
                return labels[data]
    return data.replace(".", ",")


def paper(of: Minutes) -> Document:
    """The minutes as the council signs them, in Vietnamese."""
    form = "Lấy ý kiến bằng văn bản" if of.in_writing else "Họp trực tiếp"
    body: list[Heading | Paragraph | Table] = [
        Heading("I. Thời gian, hình thức, thành phần"),
        Paragraph(f"Ngày: {_day(of.held_on)}. Hình thức: {form}."),
        *([Paragraph(f"Địa điểm, nội dung: {of.place}")] if of.place else []),
        Paragraph(f"Số thành viên Hội đồng: {of.members}."),
        *_attendance(of),
        Heading("II. Nội dung biểu quyết"),
        _voted(of.votes) if of.votes else Paragraph("Không có đề nghị điều chỉnh nào."),
        Heading("III. Điểm điều chỉnh"),
        _adjusted(of.adjusted) if of.adjusted else Paragraph("Hội đồng không điều chỉnh điểm nào."),
        Heading("IV. Kết luận"),
        *_conclusion(of),
    ]
    chair = next((seat.name or "" for seat in of.seats if seat.seat == "chair"), "")
    return Document(
        title="BIÊN BẢN HỌP HỘI ĐỒNG THẨM ĐỊNH" + ("" if of.closed else " (DỰ THẢO)"),
        issuer=ISSUER,
        number=f"Nghị quyết số: {of.resolution}" if of.resolution else "",
        dated=_day(of.held_on),
        subtitle=(of.period_name, f"Phiên họp: {of.session}"),
        body=body,
        signatures=(
            Signature("THƯ KÝ", "(Ký, ghi rõ họ tên)"),
            Signature("CHỦ TỊCH HỘI ĐỒNG", "(Ký, đóng dấu)", chair),
        ),
    )


def _attendance(of: Minutes) -> list[Heading | Paragraph | Table]:
    columns = (Column("STT", 4, "center"), Column("Họ tên, chức vụ", 40), Column("Hội đồng", 20), Column("Dự họp", 12))
    written = "Bằng văn bản" if of.in_writing else "Vắng mặt"
    rows = [
        Row(
            (str(number), seat.name or "", SEATS[seat.seat], "Có mặt" if seat.present else written if of.closed else "")
        )
        for number, seat in enumerate(of.seats, 1)
    ]
    return [Table(columns, rows)]


def _voted(votes: Sequence[Vote]) -> Table:
    return Table(VOTED, [Row((str(number), *_voted_cells(vote))) for number, vote in enumerate(votes, 1)])


def _voted_cells(vote: Vote) -> tuple[str, ...]:
    tally = vote.tally
    counts = ("",) * 4
    if tally is not None:
        counts = (str(tally.in_favour), str(tally.against), str(tally.abstained), str(tally.in_writing))
    return (vote.agency_name, f"{vote.item} {vote.label}", vote.said, *counts, OUTCOMES[vote.outcome])


def _adjusted(votes: Sequence[Vote]) -> Table:
    rows = [
        Row(
            (
                str(number),
                vote.agency_name,
                f"{vote.item} {vote.label}",
                "" if vote.before is None else vietnamese(vote.before),
                "Không áp dụng" if vote.points is None else vietnamese(vote.points),
                f"{vote.reason_label}. {vote.reason or ''}".strip(),
                vote.resolution or "",
            )
        )
        for number, vote in enumerate(votes, 1)
    ]
    return Table(ADJUSTED, rows)


def _conclusion(of: Minutes) -> list[Heading | Paragraph | Table]:
    lines = [f"Hội đồng đã biểu quyết {len(of.votes)} đề nghị, thông qua {len(of.adjusted)} đề nghị."]
    if of.decision is not None:
        tally = of.decision.tally
        lines.append(
            f"Hội đồng thông qua kết quả thẩm định và kết quả điều tra xã hội học với {tally.in_favour}/{tally.members}"
            f" thành viên tán thành, theo Nghị quyết số {of.decision.resolution}, {_day(of.decision.dated).lower()}."
        )
    return [Paragraph(line) for line in lines]


def _day(day: date) -> str:
    return f"Ngày {day.day} tháng {day.month} năm {day.year}"
