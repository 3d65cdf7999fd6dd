"""Records as they arrive from a topic: which log they belong to, which come next, which log a register opens."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from shared.bus import CheckpointRecord, RecordError, from_record
from shared.events import Entry
from shared.events.register import LogOpened
from shared.follower.cursor import Fault, Seen

_logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Arrival(NamedTuple):
    """A record as it came from the topic. `log` is empty if its key names no log of the topic's service."""

    place: Place
    offset: int
    log: str
    content: Entry | CheckpointRecord | RecordError


@dataclass
class Outcome:
    """What a fetch did: the logs that advanced or were parked, each partition's next offset, and lost deliveries."""

    advanced: list[str] = field(default_factory=list)
    parked: dict[str, Fault] = field(default_factory=dict)
    nexts: dict[Place, int] = field(default_factory=dict)
    lost: dict[Place, int] = field(default_factory=dict)


def arrival(place: Place, offset: int, key: bytes | None, value: bytes | None, headers: Any) -> Arrival:
    """Read a record; what is wrong with it stands in the arrival."""
    content: Entry | CheckpointRecord | RecordError
    try:
        content = from_record(key, value, headers or ())
    except RecordError as error:
        content = error
    return Arrival(place, offset, _log(place.topic, key or b""), content)


@lru_cache(4096)
def _log(topic: str, key: bytes) -> str:
    """The log that a key names, or nothing if no such log belongs on the topic."""
    log, service = key.decode("ascii", "replace"), topic.rpartition(".")[2]
    return log if log.startswith(f"{service}/") else ""


def contiguous(
    arrivals: Sequence[Arrival], nexts: Mapping[Place, int], outcome: Outcome
) -> dict[str, tuple[Place, list[Seen]]]:
    """The records that come next, by log: those below the stored offset came before, those above a gap must wait.

    Notes in `outcome` the next offset of each partition and where a delivery was lost.
    """
    fresh: dict[str, tuple[Place, list[Seen]]] = {}
    expected = {arrived.place: nexts.get(arrived.place, 0) for arrived in arrivals}
    highest: dict[Place, int] = {}
    for place, offset, log, content in arrivals:
        if offset > expected[place]:
            highest[place] = max(offset, highest.get(place, 0))
        elif offset == expected[place]:
            expected[place] = outcome.nexts[place] = offset + 1
            if log:
                fresh.setdefault(log, (place, []))[1].append(Seen(offset, content))
            else:
                _logger.error("record %d of %s/%d is of no log that belongs there", offset, *place)
    outcome.lost = {place: expected[place] for place, offset in highest.items() if offset >= expected[place]}
    return fresh


def opened(register: str, content: object) -> LogOpened | None:
    """The log of its own service that a register's entry opens."""
    if not isinstance(content, Entry) or not register.endswith("/register"):
        return None
    if not content.type.endswith(".log-opened.v1"):
        return None
    try:
        event = content.event
    except ValueError:  # the data is not what its type says: it opens nothing, and the log stays without a key
        _logger.error("entry %d of %s opens no log", content.position, register)
        return None
    own = isinstance(event, LogOpened) and event.log.startswith(register.removesuffix("register"))
    return event if own and isinstance(event, LogOpened) else None
