"""Which files are taken as evidence, and to whom an upload belongs."""

import hashlib
import unicodedata
from datetime import UTC, datetime, timedelta

import pytest

from services.submission.evidence import (
    CONFIRM_TIME,
    MAX_SIZE,
    file_name,
    place,
    require_acceptable,
    require_declared,
    upload_id,
    uploaded,
)
from shared.decider import Rejected

SECRET = b"s" * 32
NOW = datetime(2024, 11, 20, 9, tzinfo=UTC)
NAME = "0123456789abcdef" * 2
PDF = b"%PDF-1.7\n..."
HASH = hashlib.sha256(PDF).hexdigest()


@pytest.mark.parametrize(
    ("size", "sha256", "media_type", "code", "field"),
    [
        (10, HASH, "application/x-msdownload", "evidence-kind-refused", "media_type"),
        (0, HASH, "application/pdf", "evidence-too-large", "size"),
        (MAX_SIZE + 1, HASH, "application/pdf", "evidence-too-large", "size"),
        (10, HASH.upper(), "application/pdf", "evidence-differs", "sha256"),
    ],
)
def test_a_file_that_is_not_taken_is_refused_before_it_is_sent(
    size: int, sha256: str, media_type: str, code: str, field: str
) -> None:
    with pytest.raises(Rejected) as refused:
        require_acceptable(size, sha256, media_type)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_the_largest_file_is_taken() -> None:
    require_acceptable(MAX_SIZE, HASH, "application/pdf")


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (PDF, "application/pdf"),
        (b"PK\x03\x04...", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"PK\x03\x04...", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"\x89PNG\r\n\x1a\n...", "image/png"),
        (b"\xff\xd8\xff\xe0...", "image/jpeg"),
    ],
)
def test_bytes_that_are_what_was_declared_pass(data: bytes, media_type: str) -> None:
    require_declared(data, len(data), hashlib.sha256(data).hexdigest(), media_type)


@pytest.mark.parametrize(
    ("data", "size", "media_type", "code", "field"),
    [
        (PDF, len(PDF) + 1, "application/pdf", "evidence-differs", "size"),
        (PDF[:-1] + b"!", len(PDF), "application/pdf", "evidence-differs", "sha256"),
        (PDF, len(PDF), "image/png", "evidence-kind-refused", "media_type"),
    ],
)
def test_bytes_that_differ_from_what_was_declared_are_refused(
    data: bytes, size: int, media_type: str, code: str, field: str
) -> None:
    with pytest.raises(Rejected) as refused:
        require_declared(data, size, HASH, media_type)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_file_is_stored_under_its_hash() -> None:
    assert place(HASH) == f"evidence/sha256/{HASH}"


def test_an_upload_is_found_by_its_id_again() -> None:
    upload = upload_id(SECRET, "2024-year", "a-01", NAME, NOW)
    assert uploaded(SECRET, "2024-year", "a-01", upload, NOW) == NAME


@pytest.mark.parametrize(
    ("period", "agency", "later"),
    [("2024-year", "a-02", timedelta()), ("2025-year", "a-01", timedelta()), ("2024-year", "a-01", CONFIRM_TIME)],
)
def test_an_upload_of_another_agency_or_period_or_too_old_is_unknown(
    period: str, agency: str, later: timedelta
) -> None:
    upload = upload_id(SECRET, "2024-year", "a-01", NAME, NOW)
    with pytest.raises(Rejected) as refused:
        uploaded(SECRET, period, agency, upload, NOW + later)
    assert (refused.value.code, refused.value.field) == ("upload-unknown", "upload")


@pytest.mark.parametrize("change", ["", "x", ".", "ñ"])
def test_a_forged_upload_id_is_unknown(change: str) -> None:
    upload = upload_id(SECRET, "2024-year", "a-01", NAME, NOW)
    forged = upload[:-1] + change if change != "x" else "f" * 32 + upload[32:]
    with pytest.raises(Rejected) as refused:
        uploaded(SECRET, "2024-year", "a-01", forged, NOW)
    assert refused.value.code == "upload-unknown"


def test_file_names_are_kept_in_composed_form_without_folders() -> None:
    decomposed = unicodedata.normalize("NFD", "Kế hoạch CCHC.pdf")
    assert file_name(f"C:\\Tài liệu\\{decomposed}") == "Kế hoạch CCHC.pdf"
    assert file_name("/home/x/báo cáo.docx") == "báo cáo.docx"
