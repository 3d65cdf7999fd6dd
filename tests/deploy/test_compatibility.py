"""A contract only grows: what would break a stored entry, a client or a reader is named with its place."""

from copy import deepcopy
from typing import Any, Final

import pytest

from deploy.compatibility import Use, breaking, version

EVENT: Final[dict[str, Any]] = {
    "x-public": True,
    "x-erasable": False,
    "$defs": {
        "Tally": {"type": "object", "properties": {"members": {"type": "integer"}}, "required": ["members"]},
        "Yes": {"type": "object", "properties": {"kind": {"const": "yes", "type": "string"}}, "required": ["kind"]},
        "No": {"type": "object", "properties": {"kind": {"const": "no", "type": "string"}}, "required": ["kind"]},
    },
    "type": "object",
    "properties": {
        "agency": {"type": "string", "maxLength": 48},
        "points": {"type": "string"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "publication": {"enum": ["everything", "nothing"], "type": "string"},
        "tally": {"$ref": "#/$defs/Tally"},
        "rule": {"oneOf": [{"$ref": "#/$defs/Yes"}, {"$ref": "#/$defs/No"}]},
        "items": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["agency", "points"],
}
GONE: Final = object()


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The document with another value at a path, or without it."""
    copy: dict[str, Any] = deepcopy(document)
    *before, last = path.split("|")
    at: Any = copy
    for step in before:
        at = at[int(step)] if isinstance(at, list) else at[step]
    if value is GONE:
        del at[last]
    else:
        at[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("x-erasable", True, "x-erasable is now True"),
        ("x-public", False, "x-public is now False"),
        ("properties|points", GONE, "field points is gone"),
        ("properties|points", {"type": "number"}, "points has another type"),
        ("properties|points|format", "date", "points has another type"),
        ("properties|agency|maxLength", 20, "agency: maxLength is now 20"),
        ("properties|agency|pattern", "^a", "agency: pattern is now ^a"),
        ("required", ["agency", "points", "note"], "field note is newly required"),
        ("required", ["agency"], "field points is no longer always there"),
        ("properties|note", {"type": "string"}, "note may no longer be null"),
        ("properties|publication|enum", ["everything"], "publication may no longer be nothing"),
        ("properties|agency|enum", ["a"], "agency may only be one of a"),
        ("$defs|Tally|properties|members|type", "string", "tally.members has another type"),
        ("$defs|Tally|properties|members|minimum", 1, "tally.members: minimum is now 1"),
        ("properties|rule|oneOf", [{"$ref": "#/$defs/Yes"}], "rule may no longer be object (kind no)"),
        ("properties|items|items|type", "integer", "items[] has another type"),
        ("properties|items|minItems", 1, "items: minItems is now 1"),
    ],
)
def test_a_change_that_stored_entries_or_their_readers_would_trip_over_is_named(
    path: str, value: Any, fault: str
) -> None:
    assert breaking(EVENT, changed(EVENT, path, value)) == [fault]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties|more", {"type": "string"}),
        ("properties|publication|enum", ["everything", "nothing", "totals-only"]),
        ("properties|agency|maxLength", 64),
        ("properties|agency|maxLength", GONE),
        ("properties|points|description", "exact"),
        ("properties|items|minItems", 0),
        ("$defs|Tally|properties|absent", {"type": "integer"}),
    ],
)
def test_what_only_grows_breaks_nobody(path: str, value: Any) -> None:
    assert breaking(EVENT, changed(EVENT, path, value)) == []
    assert breaking(EVENT, EVENT) == []


def test_a_union_may_get_a_further_kind() -> None:
    perhaps = {"type": "object", "properties": {"kind": {"const": "perhaps", "type": "string"}}, "required": ["kind"]}
    more = changed(EVENT, "$defs|Perhaps", perhaps)
    refs = [{"$ref": f"#/$defs/{name}"} for name in ("Perhaps", "No", "Yes")]
    assert breaking(EVENT, changed(more, "properties|rule|oneOf", refs)) == []


def test_a_schema_that_refers_to_itself_is_compared_once() -> None:
    tree = {"$defs": {"Node": {"type": "object", "properties": {"under": {"$ref": "#/$defs/Node"}}}}}
    tree["properties"] = {"root": {"$ref": "#/$defs/Node"}}
    assert breaking(tree, tree) == []
    other = changed(changed(tree, "$defs|Node|properties|name", {}), "$defs|Node|properties|under", GONE)
    assert breaking(tree, other) == ["field root.under is gone"]


ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"total": {"type": "string"}, "state": {"enum": ["open", "closed"], "type": "string"}},
    "required": ["total"],
}


@pytest.mark.parametrize(
    ("path", "value", "faults"),
    [
        ("properties|total", GONE, ["field total is gone"]),
        ("required", [], ["field total is no longer always there"]),
        (
            "properties|total",
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            ["total may now be null"],
        ),
        ("required", ["total", "state"], []),
        ("properties|state|enum", ["open", "closed", "late"], []),
        ("properties|state|enum", ["open"], []),
    ],
)
def test_an_answer_keeps_what_readers_rely_on(path: str, value: Any, faults: list[str]) -> None:
    assert breaking(ANSWER, changed(ANSWER, path, value), Use.ANSWER) == faults


HTTP: Final[dict[str, Any]] = {
    "openapi": "3.1.0",
    "info": {"title": "parindex submission", "version": "1"},
    "paths": {
        "/periods": {
            "post": {
                "parameters": [{"in": "header", "name": "If-Match", "required": False, "schema": {"type": "string"}}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}},
                "responses": {
                    "201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}}},
                    "default": {"description": "A problem"},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Body": {
                "type": "object",
                "properties": {"data": {"type": "string"}, "kind": {"enum": ["a", "b"], "type": "string"}},
                "required": ["data"],
            },
            "Answer": ANSWER,
        }
    },
}
POST: Final = "paths|/periods|post"
BODY: Final = "components|schemas|Body"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("paths|/periods", GONE, "POST /periods is gone"),
        (POST, GONE, "POST /periods is gone"),
        (f"{POST}|responses|201", GONE, "POST /periods: response 201 is gone"),
        (f"{POST}|responses|201|content", {}, "POST /periods: 201: application/json is gone"),
        (f"{POST}|parameters", [], "POST /periods: parameter If-Match is gone"),
        (f"{POST}|parameters|0|required", True, "POST /periods: parameter If-Match is newly required"),
        (f"{POST}|parameters|0|schema|type", "integer", "POST /periods: If-Match has another type"),
        (f"{POST}|requestBody|required", True, "POST /periods: a body is newly required"),
        (f"{POST}|security", [{"HTTPBearer": []}], "POST /periods: a token is newly required"),
        (f"{BODY}|required", ["data", "kind"], "field POST /periods: body.kind is newly required"),
        (f"{BODY}|properties|data", GONE, "field POST /periods: body.data is gone"),
        (f"{BODY}|properties|kind|enum", ["a"], "POST /periods: body.kind may no longer be b"),
        ("components|schemas|Answer|properties|total", GONE, "field POST /periods: 201.total is gone"),
    ],
)
def test_a_change_of_a_route_that_a_client_would_trip_over_is_named(path: str, value: Any, fault: str) -> None:
    assert breaking(HTTP, changed(HTTP, path, value)) == [fault]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("paths|/more", {"get": {"responses": {}}}),
        (f"{POST}|responses|200", {"description": "a repeat"}),
        (f"{BODY}|required", []),
        (f"{BODY}|properties|more", {"type": "string"}),
        ("components|schemas|Answer|properties|more", {"type": "string"}),
    ],
)
def test_a_new_route_or_optional_field_breaks_no_client(path: str, value: Any) -> None:
    assert breaking(HTTP, changed(HTTP, path, value)) == []


TOPICS: Final[dict[str, Any]] = {
    "asyncapi": "3.0.0",
    "info": {"title": "parindex", "version": "1"},
    "channels": {
        "intake": {
            "address": "{prefix}.intake.{agency}",
            "messages": {"declare": {"$ref": "#/components/messages/declare"}},
            "bindings": {"kafka": {"partitions": 1}},
        },
        "submission": {
            "address": "{prefix}.submission",
            "messages": {"opened": {"$ref": "#/components/messages/opened"}},
        },
    },
    "operations": {
        "take": {"action": "receive", "channel": {"$ref": "#/channels/intake"}},
        "relay": {"action": "send", "channel": {"$ref": "#/channels/submission"}},
    },
    "components": {
        "messages": {
            "declare": {
                "contentType": "application/json",
                "headers": {"type": "object", "properties": {"ce_id": {"type": "string"}}, "required": ["ce_id"]},
                "payload": {"$ref": "schemas/intake/declare.schema.json"},
            },
            "opened": {
                "headers": {"type": "object", "properties": {"ce_id": {"type": "string"}}, "required": ["ce_id"]},
                "payload": {"$ref": "schemas/events/opened.schema.json"},
            },
        }
    },
}


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("channels|submission", GONE, "channel submission is gone"),
        ("channels|intake|address", "x", "channel intake: another address, x"),
        ("channels|intake|bindings|kafka|partitions", 2, "channel intake: other bindings"),
        ("channels|submission|messages|opened", GONE, "channel submission: message opened is gone"),
        ("operations|take|action", "send", "operation take is gone or another one"),
        ("components|messages|declare|contentType", "text/plain", "channel intake: declare: another content type"),
        (
            "components|messages|declare|headers|required",
            ["ce_id", "ce_x"],
            "field channel intake: declare: headers.ce_x is newly required",
        ),
        (
            "components|messages|opened|headers|properties|ce_id",
            GONE,
            "field channel submission: opened: headers.ce_id is gone",
        ),
        (
            "components|messages|opened|payload|$ref",
            "schemas/other.json",
            "channel submission: opened: payload refers to another schema",
        ),
    ],
)
def test_a_change_of_a_topic_that_a_program_would_trip_over_is_named(path: str, value: Any, fault: str) -> None:
    assert breaking(TOPICS, changed(TOPICS, path, value)) == [fault]
    assert breaking(TOPICS, TOPICS) == []


def test_a_document_bears_its_version() -> None:
    assert (version(HTTP), version(EVENT)) == ("1", "")
