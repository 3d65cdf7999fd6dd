"""Events and entries: what a fact is, how it is written to bytes and read back.

Formats: an entry's header is the set of CloudEvents 1.0 context attributes as canonical JSON (RFC 8785) of ASCII
strings; its data is one line of UTF-8 JSON. Writers forbid unknown fields, readers ignore them.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final

import msgspec
import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints

MAX_HEADER: Final = 4 * 1024
MAX_DATA: Final = 256 * 1024


class Event(BaseModel):
    """A fact in the past tense. `type` is `<service>.<kebab-name>.v<N>`.

    `public`: its data may be shown once the period is published. `erasable`: it may hold what must be erasable (free
    text, file names, people); then no score rests on it and it points at a score-bearing entry by position.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    public: ClassVar[bool] = True
    erasable: ClassVar[bool] = False


def _no_float(value: Any) -> Any:
    if isinstance(value, float | bool):
        raise ValueError("points are decimal strings, never floats")
    return value


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError("not a finite number")
    return value


def plain(value: Decimal) -> str:
    """The decimal as a plain string, no exponent and no needless zeros: `90.05`, `0.5`, `3`."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def _instant(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant needs its offset from UTC")
    return value.astimezone(UTC)


def instant(value: datetime) -> str:
    """RFC 3339 in UTC with microseconds, `2024-11-30T17:00:00.000000Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_instant(text: str) -> datetime:
    """The instant that an RFC 3339 text with an offset names; ValueError otherwise."""
    return _instant(datetime.fromisoformat(text))


Points = Annotated[
    Decimal,
    BeforeValidator(_no_float),
    AfterValidator(_finite),
    PlainSerializer(plain, return_type=str),
]
Instant = Annotated[datetime, AfterValidator(_instant), PlainSerializer(instant, return_type=str)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=48)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=32)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True)]


def encode(event: Event) -> bytes:
    """The event's data: one line of UTF-8 JSON, fields in the order of the class. ValueError above 256 KiB."""
    data = event.model_dump_json(exclude_none=True).encode()
    if len(data) > MAX_DATA:
        raise ValueError(f"{event.type} is {len(data)} bytes; an entry holds at most {MAX_DATA}")
    return data


SERVICES: Final = ("submission", "appraisal", "survey", "scoring")


def type_tag(event: Event | type[Event], service: str) -> str:
    """The type tag that the event bears in a log of that service; a register's events are those of its service."""
    return event.type.replace("*", service, 1)


def type_tags(event: type[Event]) -> list[str]:
    """All type tags of a class: one, or for an event of registers one for each service."""
    return sorted({type_tag(event, service) for service in SERVICES})


def parts_digest(parts: Sequence[Event]) -> str:
    """What a manifest says of its parts: hex SHA-256 over their data bytes in order."""
    return hashlib.sha256(b"".join(encode(part) for part in parts)).hexdigest()


def _catalogue() -> dict[str, type[Event]]:
    from shared.events import appraisal, register, scoring, submission, survey  # noqa: PLC0415 - they import this module

    modules = (submission, appraisal, survey, scoring, register)
    return {tag: event for module in modules for event in module.EVENTS for tag in type_tags(event)}


_known: dict[str, type[Event]] = {}
_canonical = msgspec.json.Encoder(order="deterministic").encode


def catalogue() -> Mapping[str, type[Event]]:
    """Every event class by its type tag."""
    if not _known:
        _known.update(_catalogue())
    return _known


class UnknownType(ValueError):
    """An entry bears a type that this version of the software does not know."""


# type tag of an old version -> (type tag of the next version, the change of its JSON); read by `decode` alone, so that
# live, rebuild, replay and audit all go through one chain
UPCASTERS: Final[dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]]] = {}


def decode(type_: str, data: bytes) -> Event:
    """The event that stored bytes say, brought to the newest version; fields unknown to it are ignored.

    Raises UnknownType for a type that no class bears and pydantic's ValidationError for data that does not fit.
    """
    known = catalogue()
    if type_ in UPCASTERS:
        body = json.loads(data)
        while type_ in UPCASTERS:
            type_, change = UPCASTERS[type_]
            body = change(body)
        data = orjson.dumps(body)
    model = known.get(type_)
    if model is None:
        raise UnknownType(type_)
    return model.model_validate_json(data, extra="ignore")


def canonical(header: Mapping[str, str]) -> bytes:
    """The leaf entry: RFC 8785 of a mapping of printable ASCII strings."""
    return _canonical(header)


def data_hash(salt: bytes, data: bytes) -> str:
    """Lower-case hex of SHA-256(salt ‖ data), the header's `datahash`."""
    return hashlib.sha256(salt + data).hexdigest()


@dataclass(frozen=True)
class Entry:
    """An event in a log: `leaf` the exact bytes of its header, `salt` and `data` beside it (None once erased)."""

    log: str
    position: int
    leaf: bytes
    salt: bytes | None
    data: bytes | None

    @cached_property
    def header(self) -> dict[str, str]:
        """The CloudEvents context attributes."""
        header: dict[str, str] = orjson.loads(self.leaf)
        return header

    @property
    def type(self) -> str:
        return self.header["type"]

    @property
    def id(self) -> str:
        return self.header["id"]

    @property
    def stream(self) -> str:
        return self.header["subject"]

    @property
    def version(self) -> int:
        return int(self.header["version"])

    @property
    def actor(self) -> str:
        return self.header["actor"]

    @cached_property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.header["time"])

    @property
    def seen(self) -> dict[str, int]:
        """The log prefixes that the decision rested on: log name → size."""
        pairs = (part.rpartition("@") for part in self.header.get("seen", "").split())
        return {log: int(size) for log, _, size in pairs}

    @cached_property
    def event(self) -> Event | None:
        """The event, or None where its data was erased."""
        return None if self.data is None else decode(self.type, self.data)

    def data_holds(self) -> bool:
        """Whether the data beside the header is what the header commits to; an erased entry says nothing."""
        if self.salt is None or self.data is None:
            return False
        return data_hash(self.salt, self.data) == self.header["datahash"]


def parse_decimal(text: str) -> Decimal:
    """A decimal from canonical text; ValueError where it is none."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    return _finite(value)
