"""The self-assessment report in its official layout, built from the log: one model, written as DOCX, PDF or XLSX."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple

from services.submission.views import DocumentLine, ItemLine, SelfAssessmentAnswer
from shared import sheet
from shared.documents import (
    DOCX_TYPE,
    NATION,
    PDF_TYPE,
    Column,
    Document,
    Heading,
    Paragraph,
    Row,
    Signature,
    Table,
    docx_bytes,
    pdf_bytes,
)
from shared.events.submission import PeriodOpened
from shared.rubric import Leaf, Mode, PartName, Rubric, vietnamese
from shared.rubric.period import ZONE
from shared.rubric.rules import Branch, ByHand, Count, LateDays, Levels, Proportional, Rule, Shares, Steps, YesNo
from shared.rubric.values import RubricError

Format = Literal["docx", "pdf", "xlsx"]
MEDIA_TYPES: Final[Mapping[Format, str]] = {"docx": DOCX_TYPE, "pdf": PDF_TYPE, "xlsx": sheet.WORKBOOK_TYPE}
_ELSEWHERE: Final = {Mode.APPRAISED: "Hội đồng thẩm định chấm", Mode.SURVEY: "Điều tra xã hội học"}
_EXTRA: Final = (PartName.BONUS, PartName.PENALTY)


class Line(NamedTuple):
    """A line of the main table: a field, a criterion or an item; `strong` for what is summed."""

    code: str
    label: str
    maximum: Decimal | None
    points: Decimal | None
    data: str = ""
    proof: str = ""
    note: str = ""
    strong: bool = False


class Report(NamedTuple):
    """What the report says, before it is a file. `facts` are its head: which period, what was approved and when."""

    title: str
    agency: str
    subtitle: tuple[str, ...]
    dated: str
    facts: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    evidence: tuple[tuple[str, str, str, str], ...]
    words: tuple[tuple[str, str, str], ...]
    signed: str


def report(answer: SelfAssessmentAnswer, rubric: Rubric, opened: PeriodOpened) -> Report:
    """The report of what the agency stands by; what is not submitted says that it is a draft."""
    files = _files(answer.evidence)
    numbers = {sha256: number for number, sha256 in enumerate(files, start=1)}
    draft = () if answer.submitted is not None else ("(BẢN DỰ THẢO, CHƯA NỘP)",)
    return Report(
        title="BÁO CÁO KẾT QUẢ TỰ ĐÁNH GIÁ, CHẤM ĐIỂM CHỈ SỐ CẢI CÁCH HÀNH CHÍNH",
        agency=answer.name_vi,
        subtitle=(opened.name_vi, *draft),
        dated=_day(answer.submitted),
        facts=tuple(_facts(answer, rubric, opened)),
        lines=tuple(_lines(answer, rubric, numbers)),
        evidence=tuple(_evidence(files, numbers)),
        words=tuple(_words(answer.items)),
        signed=_signed(answer),
    )


def file(built: Report, format_: Format) -> bytes:
    """The report as a file."""
    match format_:
        case "docx":
            return docx_bytes(document(built))
        case "pdf":
            return pdf_bytes(document(built))
        case "xlsx":
            return sheet.write(sheets(built))


def document(built: Report) -> Document:
    """The report as a paper under the national header."""
    columns = (
        Column("STT", 8, "center"),
        Column("Lĩnh vực/Tiêu chí/Tiêu chí thành phần", 36),
        Column("Điểm tối đa", 9, "right"),
        Column("Tự đánh giá", 9, "right"),
        Column("Số liệu kê khai", 15),
        Column("Tài liệu kiểm chứng", 11, "center"),
        Column("Ghi chú", 14),
    )
    rows = [
        Row(
            (each.code, each.label, _number(each.maximum), _number(each.points), each.data, each.proof, each.note),
            each.strong,
        )
        for each in built.lines
    ]
    body: list[Heading | Paragraph | Table] = [Heading("I. Thông tin chung")]
    body += [Paragraph(f"{name}: {value}") for name, value in built.facts]
    body += [Heading("II. Kết quả tự đánh giá, chấm điểm"), Table(columns, rows)]
    body.append(Heading("III. Danh mục tài liệu kiểm chứng"))
    if built.evidence:
        listed = (Column("STT", 5, "center"), Column("Tên tài liệu", 35), Column("Tiêu chí", 15), Column("SHA-256", 45))
        body.append(Table(listed, [Row(each) for each in built.evidence]))
    else:
        body.append(Paragraph("Không có."))
    body.append(Heading("IV. Giải trình và lý do không áp dụng"))
    if built.words:
        explained = (Column("Tiêu chí", 8), Column("Loại", 14), Column("Nội dung", 60))
        body.append(Table(explained, [Row(each) for each in built.words]))
    else:
        body.append(Paragraph("Không có."))
    return Document(
        title=built.title,
        issuer=(built.agency.upper(),),
        number="Số: ……/BC",
        dated=built.dated,
        subtitle=built.subtitle,
        body=body,
        signatures=(Signature("NGƯỜI LẬP BÁO CÁO"), Signature("THỦ TRƯỞNG CƠ QUAN", built.signed)),
    )


def sheets(built: Report) -> list[sheet.Sheet]:
    """The report as a workbook: its head, the table with numbers as numbers, the evidence, the words."""
    head = [(name, value) for name, value in (("Báo cáo", built.title), ("Cơ quan", built.agency), *built.facts)]
    table = [
        (each.code, each.label, each.maximum, each.points, each.data, each.proof, each.note) for each in built.lines
    ]
    return [
        sheet.Sheet("Báo cáo", [sheet.Column(NATION[0], 44), sheet.Column(NATION[1], 80)], head),
        sheet.Sheet(
            "Tự đánh giá",
            [
                sheet.Column("STT", 10),
                sheet.Column("Lĩnh vực/Tiêu chí/Tiêu chí thành phần", 60),
                sheet.Column("Điểm tối đa", 12),
                sheet.Column("Tự đánh giá", 12),
                sheet.Column("Số liệu kê khai", 28),
                sheet.Column("Tài liệu kiểm chứng", 16),
                sheet.Column("Ghi chú", 28),
            ],
            table,
        ),
        sheet.Sheet(
            "Tài liệu kiểm chứng",
            [
                sheet.Column("STT", 6),
                sheet.Column("Tên tài liệu", 50),
                sheet.Column("Tiêu chí", 24),
                sheet.Column("SHA-256", 68),
            ],
            built.evidence,
        ),
        sheet.Sheet(
            "Giải trình",
            [sheet.Column("Tiêu chí", 10), sheet.Column("Loại", 22), sheet.Column("Nội dung", 90)],
            built.words,
        ),
    ]


def _facts(answer: SelfAssessmentAnswer, rubric: Rubric, opened: PeriodOpened) -> Iterator[tuple[str, str]]:
    yield "Kỳ đánh giá", opened.name_vi
    yield "Khoảng thời gian đánh giá", f"{opened.span_from:%d/%m/%Y} - {opened.span_to:%d/%m/%Y}"
    yield (
        "Bộ tiêu chí",
        rubric.title.vi if rubric.official else f"{rubric.title.vi} (minh họa, không phải bản chính thức)",
    )
    yield "Tổng điểm tự đánh giá", vietnamese(answer.total)
    yield "Thời điểm nộp", "chưa nộp" if answer.submitted is None else _moment(answer.submitted)
    yield "Mã xác thực nội dung (SHA-256)", answer.digest
    given = answer.approval
    if given is None:
        yield "Thủ trưởng phê duyệt", "chưa phê duyệt"
        return
    yield "Mã được thủ trưởng phê duyệt", given.digest
    later = "" if given.stands else "; nội dung đã thay đổi sau khi phê duyệt"
    yield "Thủ trưởng phê duyệt", f"{_moment(given.time)}, định danh {given.actor}{later}"


def _lines(answer: SelfAssessmentAnswer, rubric: Rubric, numbers: Mapping[str, int]) -> Iterator[Line]:
    said = {line.item: line for line in answer.items}
    answers = {line.item: line.data for line in answer.items if line.data is not None}
    for field in rubric.fields:
        leaves = list(field.leaves)
        yield _sum(field.code, field.label.vi, field.max, leaves, said)
        for node in field.criteria:
            if isinstance(node, Leaf):
                yield _leaf(node, said, answers, numbers)
                continue
            yield _sum(node.code, node.label.vi, node.max, node.items, said)
            for leaf in node.items:
                yield _leaf(leaf, said, answers, numbers)
    own = [leaf for leaf in rubric.leaves.values() if leaf.mode is Mode.SELF_ASSESSED]
    whole = _sum("", "TỔNG CỘNG (các tiêu chí tự đánh giá, chưa kể điểm thưởng)", None, own, said)
    yield whole._replace(points=answer.total)


def _sum(code: str, label: str, printed: Decimal | None, leaves: Sequence[Leaf], said: Mapping[str, ItemLine]) -> Line:
    """A line above items: the printed maximum or the items' sum, and what the agency gave itself below it."""
    maxima = [leaf.max for leaf in leaves if leaf.max is not None and leaf.part not in _EXTRA]
    points = [line.points for leaf in leaves if (line := said.get(leaf.code)) is not None and line.points is not None]
    maximum = printed if printed is not None else sum(maxima, Decimal(0)) if maxima else None
    return Line(code, label, maximum, sum(points, Decimal(0)) if points else None, strong=True)


def _leaf(leaf: Leaf, said: Mapping[str, ItemLine], answers: Mapping[str, str], numbers: Mapping[str, int]) -> Line:
    line = said.get(leaf.code)
    if line is None:
        return Line(leaf.code, leaf.label.vi, leaf.max, None, note=_ELSEWHERE.get(leaf.mode, ""))
    notes = ["không áp dụng"] if line.not_applicable else []
    notes += ["số liệu ước tính"] if line.estimated else []
    notes += [f"kế thừa {line.taken_from.log}, mục {line.taken_from.position}"] if line.taken_from is not None else []
    notes += ["có giải trình"] if line.explained is not None else []
    proof = ", ".join(f"[{numbers[sha256]}]" for sha256 in sorted(line.evidence, key=lambda each: numbers[each]))
    data = "" if line.data is None else _datum(leaf.rule, line.data, answers)
    return Line(leaf.code, leaf.label.vi, leaf.max, line.points, data, proof, "; ".join(notes))


def _datum(rule: Rule, data: str, answers: Mapping[str, str]) -> str:
    """The declared datum as people read it: the level's words, a Vietnamese number."""
    match rule:
        case YesNo():
            return {"yes": "Có", "no": "Không"}.get(data, data)
        case Levels() | Shares():
            return next((level.label.vi for level in rule.levels if level.id == data), data)
        case Branch():
            try:
                return _datum(rule.chosen(answers), data, answers)
            except RubricError:
                return data  # the other item does not choose a rule any more
        case Count() | LateDays() | ByHand():
            return vietnamese(Decimal(data))
        case Steps() | Proportional() if rule.measure.kind == "rate" and "/" not in data:
            return f"{vietnamese(Decimal(data))}%"
        case _:
            return data.replace(".", ",")


def _files(documents: Sequence[DocumentLine]) -> dict[str, tuple[str, list[str]]]:
    """The files that serve an item, each once, by hash: the latest name, and the items."""
    found: dict[str, tuple[str, list[str]]] = {}
    for each in documents:
        serves = [item for item in each.items if item not in each.withdrawn]
        if serves:
            before = found.get(each.sha256, ("", []))[1]
            found[each.sha256] = (each.name or "(tên tệp đã xóa)", list(dict.fromkeys([*before, *serves])))
    return found


def _evidence(
    files: Mapping[str, tuple[str, list[str]]], numbers: Mapping[str, int]
) -> Iterator[tuple[str, str, str, str]]:
    for sha256, (name, serves) in files.items():
        yield f"[{numbers[sha256]}]", name, ", ".join(serves), sha256


def _words(items: Sequence[ItemLine]) -> Iterator[tuple[str, str, str]]:
    for line in items:
        if line.not_applicable:
            yield line.item, "Lý do không áp dụng", line.reason or "(nội dung đã xóa)"
        if line.explained is not None:
            yield line.item, "Giải trình", line.explanation or "(nội dung đã xóa)"


def _signed(answer: SelfAssessmentAnswer) -> str:
    given = answer.approval
    if given is None or not given.stands:
        return "(Ký tên, đóng dấu)"
    return f"(Đã phê duyệt điện tử lúc {_moment(given.time)}, mã {given.digest[:16]}…)"


def _number(value: Decimal | None) -> str:
    return "" if value is None else vietnamese(value)


def _moment(time: datetime) -> str:
    return f"{time.astimezone(ZONE):%H:%M:%S ngày %d/%m/%Y}"


def _day(time: datetime | None) -> str:
    if time is None:
        return "Ngày …… tháng …… năm ……"
    at = time.astimezone(ZONE)
    return f"Ngày {at.day:02} tháng {at.month:02} năm {at.year}"
