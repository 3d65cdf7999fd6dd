"""Events: each type ever shipped is read for ever, exactly as it was written."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
import rfc8785
from pydantic import ValidationError

from shared.events import (
    MAX_DATA,
    SERVICES,
    Event,
    UnknownType,
    canonical,
    catalogue,
    decode,
    encode,
    instant,
    plain,
    type_tags,
)
from shared.events.submission import NotApplicableReasoned, PointsDeclared

GOLDEN = Path(__file__).parents[1] / "golden" / "events"


def test_every_event_type_has_a_golden_file_and_no_golden_file_is_forgotten() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(catalogue())


@pytest.mark.parametrize("tag", sorted(catalogue()))
def test_a_stored_event_is_read_and_written_to_the_same_bytes(tag: str) -> None:
    stored = (GOLDEN / f"{tag}.json").read_bytes().removesuffix(b"\n")
    event = decode(tag, stored)
    assert tag in type_tags(type(event))
    assert encode(event) == stored


@pytest.mark.parametrize("tag", sorted(catalogue()))
def test_a_reader_ignores_fields_that_a_later_writer_added(tag: str) -> None:
    stored = (GOLDEN / f"{tag}.json").read_bytes()
    later = json.dumps({**json.loads(stored), "a_later_field": {"x": 1}}).encode()
    assert decode(tag, later) == decode(tag, stored)


def test_a_writer_forbids_unknown_fields() -> None:
    with pytest.raises(ValidationError):
        PointsDeclared.model_validate({"agency": "a", "item": "1", "data": "yes", "points": "1", "more": 1})


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(UnknownType, match=r"submission\.unheard-of\.v1"):
        decode("submission.unheard-of.v1", b"{}")


@pytest.mark.parametrize("tag", sorted(catalogue()))
def test_a_type_tag_names_its_service_and_version(tag: str) -> None:
    service, name, version = tag.split(".")
    assert service in SERVICES
    assert version == "v1"
    assert name == name.lower()


def test_what_may_be_erased_is_never_public_and_points_at_what_it_explains() -> None:
    erasable = [event for event in catalogue().values() if event.erasable]
    assert erasable
    for event in erasable:
        assert not event.public
        assert "of" in event.model_fields
        assert not {"points", "data", "not_applicable"} & set(event.model_fields)


def test_points_are_decimal_strings_and_never_floats() -> None:
    written = encode(PointsDeclared(agency="a-017", item="1.1", data="yes", points=Decimal("0.50")))
    assert written == b'{"agency":"a-017","item":"1.1","data":"yes","points":"0.5"}'
    with pytest.raises(ValidationError):
        PointsDeclared.model_validate({"agency": "a-017", "item": "1.1", "data": "yes", "points": 0.5})
    with pytest.raises(ValidationError):
        PointsDeclared(agency="a-017", item="1.1", data="yes", points=Decimal("NaN"))


@pytest.mark.parametrize(
    ("value", "text"), [("0.50", "0.5"), ("100", "100"), ("1E+2", "100"), ("-0.00", "0"), ("90.05", "90.05")]
)
def test_a_decimal_is_written_plainly(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


def test_an_instant_is_written_in_utc_with_microseconds() -> None:
    hanoi = datetime(2024, 11, 30, 0, 0, tzinfo=timezone(timedelta(hours=7)))
    assert instant(hanoi) == "2024-11-29T17:00:00.000000Z"
    assert instant(datetime(2024, 1, 1, 0, 0, 0, 5, tzinfo=UTC)) == "2024-01-01T00:00:00.000005Z"


def test_a_leaf_entry_is_rfc_8785_to_the_byte() -> None:
    header = {
        "type": "submission.points-declared.v1",
        "id": "x",
        "time": "2024-01-01T00:00:00.000000Z",
        "actor": 'q"\\',
    }
    assert canonical(header) == rfc8785.dumps(header)
    assert canonical(header) == json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def test_data_above_256_kib_are_refused() -> None:
    class Large(Event):
        type = "submission.large.v1"
        text: str

    assert len(encode(Large(text="x" * (MAX_DATA - 11)))) == MAX_DATA
    with pytest.raises(ValueError, match="at most 262144"):
        encode(Large(text="x" * (MAX_DATA - 10)))


def test_vietnamese_text_is_kept_as_it_is() -> None:
    reasoned = NotApplicableReasoned(agency="a-017", item="1.1", of=3, reason="Không phát sinh thủ tục")
    assert "Không phát sinh thủ tục" in encode(reasoned).decode()
    assert decode(reasoned.type, encode(reasoned)) == reasoned
