"""The Kafka topics as one AsyncAPI 3 document: the services' logs, the intake of agencies' systems, its receipts."""

from typing import Any, Final

from deploy.schemas import event_file, intake_file
from services.submission.intake import MAX_MESSAGE, OFFSET, RECEIPT, TYPES
from shared.bus import PARTITIONS, RETENTION_MS
from shared.events import MAX_DATA, SERVICES, catalogue

KAFKA: Final = "0.5.0"
"""The version of the binding's form."""
_TEXT: Final = {"type": "string"}
_ID: Final = {"type": "string", "pattern": r"^[a-z0-9]+(-[a-z0-9]+)*$", "maxLength": 48}
_LOG: Final = {"type": "string", "pattern": r"^(submission|appraisal|survey|scoring)/[a-z0-9]+(-[a-z0-9]+)*$"}
_HASH: Final = {"type": "string", "pattern": r"^[0-9a-f]{64}$"}
_NUMBER: Final = {"type": "string", "pattern": r"^(0|[1-9][0-9]*)$"}
_PREFIX: Final = {"description": "A setting of the deployment.", "default": "parindex"}
_AGENCY: Final = {"description": "The agency's id; only its own principal may write to and read from its topics."}


def asyncapi() -> dict[str, Any]:
    """The document; payload schemas are the files beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "parindex",
            "version": "1",
            "description": (
                "CloudEvents 1.0 over Kafka. A log's entries and checkpoints are in binary mode, in the order of the "
                "log; the intake takes binary and structured mode. Positions, not offsets, say what comes next."
            ),
        },
        "defaultContentType": "application/json",
        "servers": {"broker": {"host": "broker:9092", "protocol": "kafka"}},
        "channels": {**{service: _log_channel(service) for service in SERVICES}, **_intake_channels()},
        "operations": _operations(),
        "components": {"schemas": _headers(), "messages": _messages()},
    }


def _reference(*steps: str) -> dict[str, str]:
    return {"$ref": "/".join(("#", *steps))}


def _tags(service: str) -> list[str]:
    return sorted(tag for tag in catalogue() if tag.partition(".")[0] == service)


def _binding(partitions: int) -> dict[str, Any]:
    topic = {"cleanup.policy": ["delete"], "retention.ms": RETENTION_MS}
    return {"kafka": {"partitions": partitions, "topicConfiguration": topic, "bindingVersion": KAFKA}}


def _log_channel(service: str) -> dict[str, Any]:
    names = [*_tags(service), f"{service}.checkpoint.v1"]
    return {
        "address": f"{{prefix}}.{service}",
        "description": f"All logs of {service}, each in one partition, entry after entry, with signed checkpoints.",
        "parameters": {"prefix": _PREFIX},
        "messages": {name: _reference("components", "messages", name) for name in names},
        "bindings": _binding(PARTITIONS),
    }


def _intake_channels() -> dict[str, Any]:
    both = {"parameters": {"agency": _AGENCY, "prefix": _PREFIX}, "bindings": _binding(1)}
    return {
        "intake": {
            "address": "{prefix}.intake.{agency}",
            "description": f"What an agency's own system asks for, at most {MAX_MESSAGE} bytes a message.",
            "messages": {tag: _reference("components", "messages", tag) for tag in sorted(TYPES)},
            **both,
        },
        "intake-receipts": {
            "address": "{prefix}.intake-receipts.{agency}",
            "description": "Exactly one receipt for each message of the agency's intake topic, in its order.",
            "messages": {RECEIPT: _reference("components", "messages", RECEIPT)},
            **both,
        },
    }


def _operations() -> dict[str, Any]:
    sent = {
        f"relay-{service}": {
            "action": "send",
            "channel": _reference("channels", service),
            "summary": f"The relay of {service} sends each log in its order; a crash repeats records, never skips one.",
        }
        for service in SERVICES
    }
    return sent | {
        "take-requests": {
            "action": "receive",
            "channel": _reference("channels", "intake"),
            "summary": "Each message becomes the same command as over HTTP; its event id is the idempotency key.",
            "reply": {"channel": _reference("channels", "intake-receipts")},
        },
        "send-receipts": {
            "action": "send",
            "channel": _reference("channels", "intake-receipts"),
            "summary": "What became of a request: accepted, refused with a code, or a place for a file.",
        },
    }


def _messages() -> dict[str, Any]:
    found = {tag: _entry(tag, str(event.__doc__)) for tag, event in catalogue().items()}
    for service in SERVICES:
        found[f"{service}.checkpoint.v1"] = {
            "name": f"{service}.checkpoint.v1",
            "summary": "The signed checkpoint of a log (C2SP tlog-checkpoint), directly after the entry it ends with.",
            "contentType": "text/plain; charset=utf-8",
            "headers": _reference("components", "schemas", "checkpoint-headers"),
            "payload": _TEXT,
            "bindings": {"kafka": {"key": _LOG, "bindingVersion": KAFKA}},
        }
    for tag, ask in TYPES.items():
        found[tag] = {
            "name": tag,
            "summary": _first(str(ask.__doc__)),
            "contentType": "application/json",
            "headers": _reference("components", "schemas", "request-headers"),
            "payload": {"$ref": f"schemas/{intake_file(tag)}"},
        }
    found[RECEIPT] = {
        "name": RECEIPT,
        "summary": "What became of one request.",
        "contentType": "application/json",
        "headers": _reference("components", "schemas", "receipt-headers"),
        "payload": {"$ref": f"schemas/{intake_file(RECEIPT)}"},
        "bindings": {"kafka": {"key": _ID, "bindingVersion": KAFKA}},
    }
    return found


def _entry(tag: str, said: str) -> dict[str, Any]:
    return {
        "name": tag,
        "summary": _first(said),
        "description": f"At most {MAX_DATA} bytes; without value and salt where an erasable entry was erased.",
        "contentType": "application/json",
        "headers": _reference("components", "schemas", "entry-headers"),
        "payload": {"$ref": f"schemas/{event_file(tag)}"},
        "bindings": {"kafka": {"key": _LOG, "bindingVersion": KAFKA}},
    }


def _first(said: str) -> str:
    """The first paragraph, on one line."""
    return " ".join(said.split("\n\n", maxsplit=1)[0].split())


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **optional}, "required": sorted(required)}


def _headers() -> dict[str, Any]:
    """The record headers of each kind of message: the CloudEvents attributes as text."""
    event = {"ce_specversion": {"const": "1.0"}, "ce_type": _TEXT, "ce_source": _TEXT, "ce_id": _TEXT}
    entry = {
        **event,
        **dict.fromkeys(("ce_subject", "ce_time", "ce_actor", "ce_causationid", "content-type"), _TEXT),
        **dict.fromkeys(("ce_position", "ce_version"), _NUMBER),
        "ce_datahash": _HASH,
    }
    return {
        "entry-headers": _object(entry, ce_datasalt=_HASH, ce_seen=_TEXT, ce_traceparent=_TEXT),
        "checkpoint-headers": _object({**event, "ce_time": _TEXT, "content-type": _TEXT}),
        "request-headers": _object(event, **{"content-type": _TEXT, "ce_traceparent": _TEXT}),
        "receipt-headers": _object({**event, OFFSET: _NUMBER, "content-type": _TEXT}),
    }
