"""How the CloudEvents of agencies' systems are read."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from services.submission import api, asks
from services.submission.intake import MAX_MESSAGE, TYPES, from_kafka, parse, structured, understand
from shared.decider import Rejected
from shared.events.submission import Source

DECLARE = {
    "specversion": "1.0",
    "id": "one",
    "source": "bhxh/quan-ly",
    "type": "parindex.intake.declare.v1",
    "datacontenttype": "application/json",
    "data": {"period": "2024-year", "item": "1.1", "data": "yes"},
}
ASKED = asks.Declare(period="2024-year", item="1.1", data="yes")


def binary(**changes: bytes | None) -> list[tuple[str, bytes]]:
    headers: dict[str, bytes | None] = {
        "ce_specversion": b"1.0",
        "ce_id": b"one",
        "ce_source": b"bhxh/quan-ly",
        "ce_type": b"parindex.intake.declare.v1",
        "content-type": b"application/json; charset=utf-8",
        **changes,
    }
    return [(name, value) for name, value in headers.items() if value is not None]


def refusal(event: dict[str, Any]) -> Rejected:
    with pytest.raises(Rejected) as refused:
        understand(event)
    return refused.value


def test_a_message_in_binary_mode_is_understood() -> None:
    event = from_kafka(binary(), json.dumps(DECLARE["data"]).encode())
    assert (understand(event), event["id"]) == (ASKED, "one")


def test_an_estimate_a_taken_over_draft_and_a_withdrawal_are_understood() -> None:
    source = {"log": "submission/2024-six", "position": 7}
    more = {**DECLARE["data"], "estimated": True, "taken_from": source}  # type: ignore[dict-item]
    asked = understand({**DECLARE, "data": more})
    assert asked == asks.Declare(
        period="2024-year", item="1.1", data="yes", estimated=True, taken_from=Source.model_validate(source)
    )
    withdraw = {"period": "2024-year", "sha256": "ab" * 32}
    asked = understand({**DECLARE, "type": "parindex.intake.withdraw-evidence.v1", "data": withdraw})
    assert asked == asks.WithdrawEvidence(period="2024-year", sha256="ab" * 32)
    bad = refusal({**DECLARE, "data": {**more, "taken_from": {**source, "position": -1}}})
    assert (bad.code, bad.field) == ("body-invalid", "taken_from.position")


def test_a_message_in_structured_mode_is_understood() -> None:
    event = from_kafka([("content-type", b"application/cloudevents+json")], json.dumps(DECLARE).encode())
    assert (understand(event), event["id"]) == (ASKED, "one")


@pytest.mark.parametrize("value", [b"", None, b"<xml/>", b"{", b"\xff\xfe", b'{"a": NaN}'])
def test_a_message_that_is_not_json_is_refused(value: bytes | None) -> None:
    with pytest.raises(Rejected) as refused:
        from_kafka([], value)
    assert refused.value.code == "not-json"
    assert refusal(from_kafka(binary(), value)).code == "not-json"


def test_data_of_another_media_type_are_refused() -> None:
    headers = binary(**{"content-type": b"text/xml"})
    assert refusal(from_kafka(headers, b"{}")).code == "not-json"


def test_a_message_that_is_too_large_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        parse(b" " * (MAX_MESSAGE + 1))
    assert refused.value.code == "message-too-large"


@pytest.mark.parametrize("value", ["text", 1, None, []])
def test_json_that_is_no_object_is_no_event(value: Any) -> None:
    with pytest.raises(Rejected) as refused:
        structured(value)
    assert refused.value.code == "attribute-missing"


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_missing_attribute_is_named(name: str) -> None:
    refused = refusal({key: value for key, value in DECLARE.items() if key != name})
    assert (refused.code, refused.field) == ("attribute-missing", name)


@pytest.mark.parametrize(("name", "value"), [("id", 7), ("id", ""), ("source", "x" * 257), ("specversion", "0.3")])
def test_a_malformed_attribute_is_named(name: str, value: Any) -> None:
    refused = refusal({**DECLARE, name: value})
    assert (refused.code, refused.field) == ("attribute-invalid", name)


def test_an_approval_cannot_be_asked_for() -> None:
    refused = refusal({**DECLARE, "type": "parindex.intake.approve.v1"})
    assert (refused.code, refused.field) == ("type-unknown", "type")
    assert not [kind for kind in TYPES if "approv" in kind]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (None, "data"),
        ({"period": "2024-year", "item": "1.1"}, "data"),
        ({"period": "2024-year", "item": "1.1", "data": 7}, "data"),
        ({"period": "2024-year", "item": "1.1", "data": "yes", "agency": "a-02"}, "agency"),
        ({"period": "Năm 2024", "item": "1.1", "data": "yes"}, "period"),
    ],
)
def test_data_that_are_not_as_documented_name_the_field(data: Any, field: str) -> None:
    refused = refusal({**DECLARE, "data": data})
    assert (refused.code, refused.field) == ("body-invalid", field)


def test_the_readme_lists_every_code_and_every_type() -> None:
    text = Path(api.__file__).with_name("README.md").read_text(encoding="utf-8")
    codes = text.partition("Codes, besides those")[2].partition("Inside `errors`")[0]
    assert re.findall(r"`([a-z-]+)`", codes) == sorted(api.PROBLEMS)
    assert re.findall(r"`(parindex\.intake\.[a-z-]+\.v1)`", text) == list(TYPES)
