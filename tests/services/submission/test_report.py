"""The self-assessment report: what it says, and that each format says it."""

import io
from datetime import timedelta
from decimal import Decimal

import docx
import pytest
from openpyxl import load_workbook

from services.submission.book import words
from services.submission.report import Report, document, file, report
from services.submission.views import answer
from shared.events import Event
from shared.events.submission import (
    EvidenceNamed,
    EvidenceUploaded,
    EvidenceWithdrawn,
    ExplanationGiven,
    ExplanationWorded,
    NotApplicableClaimed,
    NotApplicableReasoned,
    PointsDeclared,
    SelfAssessmentApproved,
    SelfAssessmentReopened,
    SelfAssessmentSubmitted,
)
from tests.services.submission.samples import LAST
from tests.services.submission.test_views import ACTOR, book
from tests.shared.test_documents import pdf_text

TOLD: tuple[Event, ...] = (
    PointsDeclared(agency="a-01", item="1.1", data="yes", points=Decimal(2)),
    PointsDeclared(agency="a-01", item="1.2", data="large", points=Decimal(2)),
    PointsDeclared(agency="a-01", item="1.3", data="5", points=Decimal("2.5"), estimated=True),
    NotApplicableClaimed(agency="a-01", item="2.1"),
    NotApplicableReasoned(agency="a-01", item="2.1", of=9, reason="Không phát sinh nhiệm vụ"),
    EvidenceUploaded(agency="a-01", items=("1.1", "1.2"), sha256="ab" * 32, size=9, media_type="application/pdf"),
    EvidenceNamed(agency="a-01", of=11, name="Kế hoạch CCHC.pdf"),
    EvidenceUploaded(agency="a-01", items=("1.3",), sha256="ab" * 32, size=9, media_type="application/pdf"),
    EvidenceNamed(agency="a-01", of=13, name="Kế hoạch CCHC.pdf"),
    EvidenceUploaded(agency="a-01", items=("1.1",), sha256="cd" * 32, size=9, media_type="image/png"),
    EvidenceWithdrawn(agency="a-01", sha256="cd" * 32, items=("1.1",)),
    ExplanationGiven(agency="a-01", item="1.3"),
    ExplanationWorded(agency="a-01", item="1.3", of=17, text="=Theo sổ theo dõi quý IV"),
)


def built(*more: Event, erased: bool = False) -> Report:
    read, entries = book(*TOLD, *more, erased=erased)
    shown = answer(read, "a-01", {}, words(entries), {})
    return report(shown, read.period.rubrics["central"], read.period.the_opened())


def signed() -> Report:
    read, _ = book(*TOLD)
    digest = answer(read, "a-01", {}, {}, {}).digest
    sent = SelfAssessmentSubmitted(agency="a-01", digest=digest, items=(), total=Decimal("6.5"))
    return built(SelfAssessmentApproved(agency="a-01", digest=digest), sent)


def test_every_criterion_stands_with_its_maximum_and_its_points_and_the_total_is_below() -> None:
    lines = {line.code: line for line in built().lines}
    assert [line.code for line in built().lines] == ["1", "1.1", "1.2", "1.3", "2", "2.1", "2.2", "2.3", "2.4", ""]
    assert (lines["1"].maximum, lines["1"].points, lines["1"].strong) == (Decimal(7), Decimal("6.5"), True)
    assert (lines["1.1"].data, lines["1.2"].data, lines["1.3"].data) == ("Có", "Lớn", "5")
    assert (lines["1.1"].proof, lines["1.3"].proof, lines["1.3"].note) == (
        "[1]",
        "[1]",
        "số liệu ước tính; có giải trình",
    )
    assert (lines["2.1"].points, lines["2.1"].note) == (None, "không áp dụng")
    assert (lines["2.3"].note, lines["2.4"].note) == ("Hội đồng thẩm định chấm", "Điều tra xã hội học")
    assert (lines[""].maximum, lines[""].points) == (Decimal(10), Decimal("6.5"))


def test_the_evidence_is_listed_once_with_all_its_items_and_a_withdrawn_file_is_not() -> None:
    assert built().evidence == (("[1]", "Kế hoạch CCHC.pdf", "1.1, 1.2, 1.3", "ab" * 32),)


def test_reasons_and_explanations_are_told_and_erased_ones_said_to_be_gone() -> None:
    assert built().words == (
        ("1.3", "Giải trình", "=Theo sổ theo dõi quý IV"),
        ("2.1", "Lý do không áp dụng", "Không phát sinh nhiệm vụ"),
    )
    gone = built(erased=True)
    assert {text for _, _, text in gone.words} == {"(nội dung đã xóa)"}
    assert gone.evidence[0][1] == "(tên tệp đã xóa)"


def test_what_is_not_submitted_is_a_draft_and_what_is_bears_the_approved_digest() -> None:
    assert built().subtitle[-1] == "(BẢN DỰ THẢO, CHƯA NỘP)"
    facts = dict(signed().facts)
    assert signed().subtitle == ("Kỳ năm 2024",)
    assert facts["Mã được thủ trưởng phê duyệt"] == facts["Mã xác thực nội dung (SHA-256)"]
    assert facts["Thủ trưởng phê duyệt"] == f"09:00:00 ngày 20/11/2024, định danh {ACTOR}"
    assert (facts["Tổng điểm tự đánh giá"], signed().dated) == ("6,5", "Ngày 20 tháng 11 năm 2024")
    assert signed().signed.startswith("(Đã phê duyệt điện tử lúc 09:00:00 ngày 20/11/2024")


def test_an_approval_that_no_longer_stands_is_said_to_be_so() -> None:
    stale = built(
        SelfAssessmentApproved(agency="a-01", digest="0" * 64),
        SelfAssessmentReopened(agency="a-01", until=LAST + timedelta(days=3), reason_code="as-declared"),
    )
    assert "nội dung đã thay đổi sau khi phê duyệt" in dict(stale.facts)["Thủ trưởng phê duyệt"]
    assert stale.signed == "(Ký tên, đóng dấu)"


def test_the_docx_opens_again_with_every_line() -> None:
    paper = docx.Document(io.BytesIO(file(signed(), "docx")))
    table = next(each for each in paper.tables if each.rows[0].cells[0].text == "STT")
    rows = [[cell.text for cell in row.cells] for row in table.rows]
    assert rows[1][:4] == ["1", "Chỉ đạo điều hành", "7", "6,5"]
    assert rows[-1][1:4] == ["TỔNG CỘNG (các tiêu chí tự đánh giá, chưa kể điểm thưởng)", "10", "6,5"]
    assert len(rows) == 1 + len(signed().lines)


def test_the_workbook_opens_again_with_numbers_and_harmless_texts() -> None:
    book_ = load_workbook(io.BytesIO(file(signed(), "xlsx")))
    assert book_.sheetnames == ["Báo cáo", "Tự đánh giá", "Tài liệu kiểm chứng", "Giải trình"]
    assert [cell.value for cell in book_["Tự đánh giá"][4]][:4] == ["1.2", "Loại hình", 2, 2]
    words_ = book_["Giải trình"]["C2"]
    assert (words_.value, words_.data_type) == ("=Theo sổ theo dõi quý IV", "s")


def test_the_pdf_says_the_same() -> None:
    text = "".join(pdf_text(file(signed(), "pdf")).split())
    for said in ("Độclập-Tựdo-Hạnhphúc", "Sángkiến", "Kếhoạch", "6,5", "Khôngphátsinhnhiệmvụ"):
        assert said in text


@pytest.mark.parametrize("format_", ["docx", "pdf", "xlsx"])
def test_the_same_log_gives_the_same_bytes(format_: str) -> None:
    assert file(signed(), format_) == file(signed(), format_)  # type: ignore[arg-type]


def test_an_empty_self_assessment_has_a_report_too() -> None:
    read, _ = book()
    empty = report(answer(read, "a-02", {}, {}, {}), read.period.rubrics["central"], read.period.the_opened())
    assert (empty.evidence, empty.words, document(empty).issuer) == ((), (), ("CỤC THUẾ",))
    assert b"%PDF" in file(empty, "pdf")[:8]
