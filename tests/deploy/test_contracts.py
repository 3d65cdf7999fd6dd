"""The committed contracts are what the code says, and only ever grow."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from deploy.contracts import FOLDER, contracts, faults, read, stale
from deploy.routes import routes
from deploy.topics import asyncapi
from services.submission.intake import RECEIPT, TYPES
from shared.bus import checkpoint_record, to_record
from shared.events import SERVICES, UPCASTERS, Entry, canonical, catalogue, data_hash
from shared.tlog.checkpoint import Checkpoint

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "events"
DECLARED: Final = "schemas/events/submission.points-declared.v1.schema.json"
WANTED: Final = contracts()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_committed_contracts_are_what_the_code_says() -> None:
    committed = read()
    assert list(stale(committed, WANTED)) == []
    assert list(faults(committed, WANTED)) == []
    assert committed.keys() == WANTED.keys()


def test_the_same_code_gives_the_same_bytes() -> None:
    assert contracts() == WANTED


def test_a_type_that_is_gone_is_refused_unless_its_old_entries_are_brought_to_a_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without = {name: contract for name, contract in WANTED.items() if name != DECLARED}
    assert list(faults(WANTED, without)) == [
        f"{DECLARED}: its type is gone, though entries, clients or readers may bear it"
    ]
    monkeypatch.setitem(UPCASTERS, "submission.points-declared.v1", ("submission.points-declared.v2", dict))
    assert list(faults(WANTED, without)) == []


def test_an_event_may_never_break_and_a_document_only_with_a_higher_version() -> None:
    broken = json.loads(json.dumps(WANTED))
    del broken[DECLARED]["properties"]["data"]
    del broken["openapi/survey.json"]["paths"]["/ballots"]
    assert list(faults(WANTED, broken)) == [
        f"{DECLARED}: field data is gone",
        "openapi/survey.json: POST /ballots is gone",
    ]
    broken["openapi/survey.json"]["info"]["version"] = "2"
    assert list(faults(WANTED, broken)) == [f"{DECLARED}: field data is gone"]


def test_a_new_contract_and_a_new_optional_field_are_no_fault() -> None:
    before = json.loads(json.dumps(WANTED))
    del before["schemas/events/survey.survey-completed.v1.schema.json"]
    del before[DECLARED]["properties"]["data"]
    before[DECLARED]["required"].remove("data")
    after = json.loads(json.dumps(WANTED))
    after[DECLARED]["required"].remove("data")
    assert list(faults(before, after)) == []


@pytest.mark.parametrize("tag", sorted(catalogue()))
def test_a_stored_event_passes_its_schema(tag: str) -> None:
    schema = WANTED[f"schemas/events/{tag}.schema.json"]
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads((GOLDEN / f"{tag}.json").read_bytes()))


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_says_which_roles_may(service: str) -> None:
    document = WANTED[f"openapi/{service}.json"]
    said = {
        (method.upper(), path): set(operation.get("x-roles", ()))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    known = {(each.method, each.path): {*each.roles} for each in routes() if each.service == service}
    assert said == {key: roles for key, roles in known.items() if key in said}
    assert not any(known[key] for key in known.keys() - said.keys()), "a route with roles is no secret"


def test_every_reference_leads_somewhere() -> None:
    for name, contract in WANTED.items():
        for reference in references(contract):
            file, _, place = reference.partition("#")
            if file:
                assert (FOLDER / name).parent.joinpath(file).is_file(), reference
            at: Any = contract
            for step in place.split("/")[1:] if not file else ():
                at = at[step]


def test_every_event_type_and_every_request_is_a_message_of_its_topic() -> None:
    channels = asyncapi()["channels"]
    for service in SERVICES:
        own = {tag for tag in catalogue() if tag.startswith(f"{service}.")}
        assert channels[service]["messages"].keys() == own | {f"{service}.checkpoint.v1"}
    assert channels["intake"]["messages"].keys() == TYPES.keys()
    assert channels["intake-receipts"]["messages"].keys() == {RECEIPT}


def entry(tag: str) -> Entry:
    data, salt = (GOLDEN / f"{tag}.json").read_bytes().removesuffix(b"\n"), b"\x01" * 32
    header = {
        "specversion": "1.0",
        "type": tag,
        "datacontenttype": "application/json",
        "id": "0192f0a0-0000-7000-8000-000000000000",
        "source": "parindex.test/submission/2024-year",
        "subject": "period",
        "time": "2024-11-30T17:00:00.000000Z",
        "position": "0",
        "version": "1",
        "actor": "0" * 32,
        "causationid": "0" * 32,
        "datahash": data_hash(salt, data),
    }
    return Entry("submission/2024-year", 0, canonical(header), salt, data)


def test_records_bear_the_headers_that_the_document_says() -> None:
    schemas = asyncapi()["components"]["schemas"]
    signed = Checkpoint("parindex.test/submission/2024-year", 1, b"\0" * 32)
    records = {
        "entry-headers": to_record(entry("submission.points-declared.v1")),
        "checkpoint-headers": checkpoint_record(
            "submission/2024-year", signed, b"a note", datetime(2024, 12, 1, tzinfo=UTC)
        ),
    }
    for name, record in records.items():
        headers = {key: value.decode() for key, value in record.headers}
        Draft202012Validator(schemas[name]).validate(headers)
        assert headers.keys() <= schemas[name]["properties"].keys()


@pytest.mark.parametrize("service", SERVICES)
def test_every_body_that_people_and_systems_send_has_an_example_that_the_door_would_take(service: str) -> None:
    document = WANTED[f"openapi/{service}.json"]
    schemas = document["components"]["schemas"]
    sent = {
        content["schema"]["$ref"].rpartition("/")[2]
        for path in document["paths"].values()
        for operation in path.values()
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        if kind == "application/json"
    } - {"PeriodOpening"}  # its examples are the files of deploy/periods
    assert sent
    for name in sorted(sent):
        schema = {**schemas[name], "components": {"schemas": schemas}}
        for shown in schemas[name]["examples"]:
            Draft202012Validator(schema).validate(shown)
