"""What a follower accepts of a log: the rules of order, of the tree and of checkpoints, without any input or output."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.bus import CheckpointRecord, RecordError
from shared.events import Entry
from shared.tlog.checkpoint import CheckpointError, open_checkpoint, unverified_checkpoint
from shared.tlog.merkle import EMPTY, Frontier, leaf_hash
from shared.tlog.note import VerificationKey


class Fault(NamedTuple):
    """Why a log cannot go on.

    `stopped`: its history contradicts itself, and only an operator may let it go on. `size`: where the log is at least,
    if what is missing shows that.
    """

    reason: str
    stopped: bool
    size: int = 0


class Seen(NamedTuple):
    """A record of a log as it stands on the topic: its offset, and what it says or why it says nothing."""

    offset: int
    content: Entry | CheckpointRecord | RecordError


@dataclass
class Cursor:
    """How far a log has been followed: its tree's frontier there, its key once known, and the size last checked.

    `unchecked` is the signed checkpoint of the present size while the key is not known yet.
    """

    log: str
    origin: str
    frontier: Frontier = EMPTY
    key: VerificationKey | None = None
    checked: int = 0
    unchecked: bytes | None = None

    @property
    def size(self) -> int:
        return self.frontier.size


@dataclass
class Advance:
    """What records did to a cursor: the entries to apply, in order, and the fault that ended it, with its offset.

    `size`: where the log is at least, by the records that were passed over.
    """

    entries: list[Entry] = field(default_factory=list)
    fault: Fault | None = None
    offset: int = 0
    size: int = 0


def advance(cursor: Cursor, records: Iterable[Seen], applied: Mapping[int, bytes], *, over_holes: bool) -> Advance:
    """Move the cursor over records of its log, in the order of the topic.

    `applied` has the leaf entries, by position, that were applied before and come again in `records`. A record that
    cannot be accepted ends the advance with a fault; with `over_holes` those that a later record may still mend (a
    malformed one, a position above the cursor) are passed over instead.
    """
    done, start, leaves = Advance(), cursor.size, list[bytes]()
    for offset, content in records:
        fault: Fault | None
        position = start + len(done.entries)
        if isinstance(content, Entry) and content.position == position:
            fault = _foreign(cursor, content)
            if fault is None:
                done.entries.append(content)
                leaves.append(leaf_hash(content.leaf))
                continue
        elif isinstance(content, Entry) and content.position < position:
            at = content.position - start
            known = done.entries[at].leaf if at >= 0 else applied[content.position]
            fault = None if known == content.leaf else Fault(f"fork: a second entry {content.position}", stopped=True)
        elif isinstance(content, CheckpointRecord):
            _extend(cursor, leaves)
            fault = _check(cursor, content.note)
        elif isinstance(content, Entry):
            fault = Fault(f"hole: entry {content.position} where {position} is next", False, content.position + 1)
        else:
            fault = Fault(f"a malformed record where entry {position} is next: {content}", stopped=False)
        if fault is not None and over_holes and not fault.stopped:
            done.size = max(done.size, fault.size)
        elif fault is not None:
            done.fault, done.offset = fault, offset
            break
    _extend(cursor, leaves)
    return done


def check_waiting(cursor: Cursor) -> Fault | None:
    """Check the checkpoint that waited for the key, now that it is known."""
    note, cursor.unchecked = cursor.unchecked, None
    return None if note is None else _check(cursor, note)


def _extend(cursor: Cursor, leaves: list[bytes]) -> None:
    if leaves:
        cursor.frontier = cursor.frontier.extend(leaves)
        cursor.unchecked = None
        leaves.clear()


def _foreign(cursor: Cursor, entry: Entry) -> Fault | None:
    if entry.header["source"] == cursor.origin:
        return None
    return Fault(f"entry {entry.position} is of another log than {cursor.origin}", stopped=True)


def _check(cursor: Cursor, note: bytes) -> Fault | None:
    """A checkpoint of the cursor's size must have its root and the log's signature; a smaller one is a repeat."""
    try:
        said = unverified_checkpoint(note) if cursor.key is None else open_checkpoint(note, cursor.key)
    except CheckpointError as error:
        return Fault(f"checkpoint at size {cursor.size}: {error}", stopped=True)
    if said.size < cursor.size:
        return None
    if said.size > cursor.size:
        return Fault(f"hole: a checkpoint of size {said.size} where entry {cursor.size} is next", False, said.size)
    if cursor.key is None:
        cursor.unchecked = note
        return None
    if said.root != cursor.frontier.root():
        return Fault(f"checkpoint of size {said.size} has another root than the entries", stopped=True)
    cursor.checked = said.size
    return None
