"""The verification of one log of an archive: checkpoints, tree, tiles, headers and data, in one pass over its files."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from operator import itemgetter
from typing import Final

import orjson

from services.scoring.findings import Check, Report
from shared.archive import ArchiveError, ArchiveReader, CheckpointFile
from shared.events import MAX_DATA, MAX_HEADER, Entry, Event, canonical, catalogue, register, type_tag
from shared.tlog.checkpoint import Checkpoint, CheckpointError, Policy, open_checkpoint, unverified_checkpoint
from shared.tlog.merkle import EMPTY_ROOT, HASH_SIZE, leaf_hash
from shared.tlog.note import NoteError, VerificationKey, open_note
from shared.tlog.tiles import (
    CHECKPOINT,
    WIDTH,
    Datum,
    Edge,
    Part,
    Tile,
    TileError,
    data_path,
    entries_path,
    parts,
    read_data_line,
    unpack_data,
    unpack_entries,
)

_FORMS: Final = {
    "actor": "(?:[0-9a-f]{32}|submission|appraisal|survey|scoring)",
    "causationid": "[0-9a-f]{32}",
    "datacontenttype": "application/json",
    "datahash": "[0-9a-f]{64}",
    "id": "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "position": "(?:0|[1-9][0-9]{0,18})",
    "source": "[!-~]+",
    "specversion": "1[.]0",
    "subject": "[a-z0-9/-]+",
    "time": "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z",
    "type": "[a-z0-9.-]+",
    "version": "[1-9][0-9]{0,18}",
}
REQUIRED: Final = tuple(_FORMS)
"""The attributes that every header has; `seen` and `traceparent` may be there too, and no other."""
_FORM: Final = re.compile(" ".join(_FORMS.values()))
_VALUES: Final = itemgetter(*REQUIRED)
_COUNT: Final = len(REQUIRED)
_NAME: Final = "(?=[a-z0-9-]{1,48}(?:[/@]|$))[a-z0-9]+(?:-[a-z0-9]+)*"
_SUBJECT: Final = re.compile(f"{_NAME}(?:/{_NAME})*")
_SEEN: Final = re.compile(f"(?:(?:^| ){_NAME}/{_NAME}@(?:0|[1-9][0-9]{{0,18}}))+")
_TRACEPARENT: Final = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_LOST: Final = Datum(None, None, "lost")


class Verification:
    """One log, verified with the policy's key for it. Call `open`, then go through `bundles` to their end.

    `roots` are those of the entries at the sizes of the checkpoints and at the sizes in `wanted`. `withheld` are the
    entries of public types that are withheld. `broken` is the first position from which the history does not hold.
    """

    def __init__(self, archive: ArchiveReader, log: str, key: VerificationKey, policy: Policy, report: Report) -> None:
        self.log = log
        self.size = 0
        self.wanted: set[int] = set()
        self.roots: dict[int, bytes] = {0: EMPTY_ROOT}
        self.withheld: list[Entry] = []
        self.broken: int | None = None
        self._archive, self._key, self._policy, self._report = archive, key, policy, report
        self._signed: dict[int, list[tuple[str, bytes]]] = {}
        self._types = _types_of(log)
        self._erasable = {tag for tag, kind in self._types.items() if kind.erasable}
        self._tree: Edge | None = Edge()
        self._differing: list[tuple[Tile, bytes]] = []
        self._streams: dict[str, int] = {}
        self._time = ""
        self._resumed = False

    def open(self) -> bool:
        """Check each checkpoint's signature and settle the size; False for a log without a checkpoint to be read."""
        try:
            files = self._archive.checkpoints(self.log)
        except ArchiveError as error:
            self._report.find("file-malformed", f"{self.log}/{CHECKPOINT}", str(error))
            return False
        for file in files:
            checkpoint = self._checked(file)
            if checkpoint is not None:
                self._signed.setdefault(checkpoint.size, []).append((file.path, checkpoint.root))
        size = max(self._signed, default=None)
        if size is None:
            size = claimed_size(self._archive, self.log)
        if size is None:
            return False
        self.size = self._report.sizes[self.log] = size
        return True

    def _checked(self, file: CheckpointFile) -> Checkpoint | None:
        """The checkpoint, if the log's key signed it for this log and its file's name is its size."""
        try:
            checkpoint = open_checkpoint(file.raw, self._key)
            witnesses = self._policy.witnesses.values() if file.size is None else ()
            verified = open_note(file.raw, [self._key, *witnesses]).verified
        except (CheckpointError, NoteError) as error:
            self._report.find("signature-fails", file.path, str(error))
            return None
        if file.raw.rpartition(b"\n\n")[2].count(b"\n") != len(verified):
            self._report.find("signer-unknown", file.path, "it bears signatures that this policy does not vouch for")
        if self.log.endswith("/register") and file.size is None and not self._policy.is_witnessed(verified):
            self._report.find("not-witnessed", file.path, f"the quorum {self._policy.quorum} is not reached")
        newest = max(self._signed, default=checkpoint.size)
        if checkpoint.size != (newest if file.size is None else file.size):
            wanted = "older than others here" if file.size is None else f"not of the size {file.size} in its name"
            self._report.find("size-differs", file.path, f"a checkpoint of size {checkpoint.size}, {wanted}")
            return None
        self._report.counts[Check.SIGNATURES] += 1
        return checkpoint

    def bundles(self) -> Iterator[list[Entry]]:
        """The entries that hold and have their data, but those of erasable types, bundle by bundle."""
        for part in parts(self.size):
            rows = self._rows(entries_path(*part), part, unpack_entries)
            lines = self._rows(data_path(*part), part, unpack_data)
            if rows is None or lines is None:
                self._break(part.start)
            if rows is None:
                self._tree, self._resumed = None, True
                yield []
                continue
            self._grow(part, [leaf_hash(row) for row in rows])
            yield self._entries(part, rows, lines)
        if self._tree is not None:
            for tile in self._tree.partials():
                self._compare(tile)
        self._conclude()

    def _break(self, position: int) -> None:
        if self.broken is None:
            self.broken = position

    def _rows(self, path: str, part: Part, unpack: Callable[[bytes], list[bytes]]) -> list[bytes] | None:
        """The rows of a bundle's file; None if it lacks (then the account of files names it) or is malformed."""
        path = f"{self.log}/{path}"
        try:
            raw = self._archive.read(path)
        except ArchiveError:
            return None
        try:
            rows = unpack(raw)
        except TileError as error:
            self._report.find("file-malformed", path, str(error))
            return None
        if len(rows) != part.width:
            self._report.find("file-malformed", path, f"{len(rows)} rows instead of {part.width}")
            return None
        return rows

    def _grow(self, part: Part, hashes: list[bytes]) -> None:
        """The tree over one more bundle: the roots at the sizes that are asked for, and the tiles that became full."""
        if self._tree is None:
            return
        frontier, at = None, part.start
        for size in sorted(size for size in self.wanted | self._signed.keys() if part.start < size <= part.stop):
            frontier = (frontier or self._tree.frontier()).extend(hashes[at - part.start : size - part.start])
            self.roots[size], at = frontier.root(), size
        self._tree, full = self._tree.extend(hashes)
        for tile in full:
            self._compare(tile)

    def _compare(self, tile: Tile) -> None:
        try:
            raw = self._archive.read(f"{self.log}/{tile.path}")
        except ArchiveError:
            return
        if raw == tile.to_bytes():
            self._report.counts[Check.TILES] += 1
        else:
            self._differing.append((tile, raw))

    def _conclude(self) -> None:
        """Compare the roots, and say of each differing tile whether it or its entries were changed."""
        fails = False
        for size, signed in sorted(self._signed.items()):
            for file, root in signed:
                if size not in self.roots:
                    self._report.find("root-unknown", file, f"entries before {size} lack or cannot be read")
                elif self.roots[size] != root:
                    fails = True
                    self._report.find("root-differs", file, f"its entries up to {size} have another root")
                else:
                    self._report.counts[Check.ROOTS] += 1
        for tile, raw in self._differing:
            self._suspect(tile, raw, fails=fails)

    def _suspect(self, tile: Tile, raw: bytes, *, fails: bool) -> None:
        path = f"{self.log}/{tile.path}"
        held = [raw[at : at + HASH_SIZE] for at in range(0, len(raw), HASH_SIZE)]
        if not fails or tile.level or len(held) != len(tile.hashes):
            self._report.find("tile-differs", path, "it does not hold the hashes of the entries")
            return
        bundle = f"{self.log}/{entries_path(tile.number, len(tile.hashes))}"
        for number, pair in enumerate(zip(held, tile.hashes, strict=True)):
            if pair[0] != pair[1]:
                position = tile.number * WIDTH + number
                message = f"its hash is not the one in {path}, and the signed root is not that of the entries"
                self._report.find("entry-differs", bundle, message, position)

    def _entries(self, part: Part, rows: Sequence[bytes], lines: Sequence[bytes] | None) -> list[Entry]:
        """The entries of a bundle that hold and have their data, but those of erasable types."""
        held: list[Entry] = []
        headers = proven = 0
        file = f"{self.log}/{entries_path(*part)}"
        for position, row in enumerate(rows, start=part.start):
            salt, data, state = self._datum(position, None if lines is None else lines[position - part.start])
            entry = Entry(self.log, position, row, salt, data)
            if faults := self._faults(entry):
                for name, message in faults:
                    self._report.find(name, file, message, position)
                self._break(position)
                continue
            headers += 1
            if salt is None or data is None:
                self._without_data(entry, state)
            elif sha256(salt + data).hexdigest() != entry.header["datahash"] or len(data) > MAX_DATA:
                self._report.find_entry("data-differs", entry, "its data are not what its header commits to")
                self._break(position)
            else:
                proven += 1
                if entry.header["type"] not in self._erasable:
                    held.append(entry)
        self._report.counts[Check.HEADERS] += headers
        self._report.counts[Check.DATA] += proven
        return held

    def _datum(self, position: int, line: bytes | None) -> Datum:
        """What a line of data says; one that cannot be read, or lacks, has the state `lost`."""
        try:
            return _LOST if line is None else read_data_line(line)
        except TileError as error:
            self._report.find("data-malformed", self._report.data_file(self.log, position), str(error), position)
            return _LOST

    def _without_data(self, entry: Entry, state: str) -> None:
        """An entry whose data are lost, erased or withheld."""
        kind = self._types[entry.type]
        if state != _LOST.state:
            self._report.counts[Check(state)] += 1
        if state == "erased":
            file = self._report.data_file(entry.log, entry.position)
            self._report.erased.append(f"{file} @{entry.position} {entry.type}")
            if not kind.erasable:
                self._report.find_entry("erased-not-erasable", entry, f"{entry.type} cannot be erased")
        elif state == "withheld" and kind.public:
            self.withheld.append(entry)
        if kind.public and not kind.erasable:
            self._break(entry.position)

    def _faults(self, entry: Entry) -> list[tuple[str, str]]:
        """What is wrong with a header; the next ones of its log and stream must follow it."""
        try:
            header = orjson.loads(entry.leaf)
            values = _VALUES(header)
            form = " ".join(values)
        except (ValueError, KeyError, TypeError) as error:
            return [("header-malformed", f"it is no header ({type(error).__name__}: {error})")]
        vars(entry)["header"] = header  # what its property would read again
        *_, position, source, _, subject, time, kind, version = values
        if not (_FORM.fullmatch(form) and self._is_well_formed(header, subject, time)):
            return [("header-malformed", "an attribute is unknown or does not have its form")]
        faults: list[tuple[str, str]] = []
        if len(entry.leaf) > MAX_HEADER or canonical(header) != entry.leaf:
            faults.append(("header-not-canonical", "it is not written as RFC 8785 says, in at most 4 KiB"))
        if source != self._key.name:
            faults.append(("source-differs", f"an entry of {source}"))
        if position != str(entry.position):
            faults.append(("position-differs", f"it says position {position}"))
        if kind not in self._types:
            faults.append(("type-unknown", f"{kind} is no type of this log"))
        if time < self._time:
            faults.append(("time-backwards", f"{time} after {self._time}"))
        expected = self._streams.get(subject, int(version) - 1 if self._resumed else 0) + 1
        if version != str(expected):
            faults.append(("version-differs", f"version {version} of {subject} instead of {expected}"))
        self._time, self._streams[subject] = time, int(version)
        return faults

    def _is_well_formed(self, header: Mapping[str, str], subject: str, time: str) -> bool:
        """Whether the attributes that are seldom new, or seldom there, have their forms."""
        try:
            if time != self._time:
                datetime.fromisoformat(time)
            if subject not in self._streams and not _SUBJECT.fullmatch(subject):
                return False
            if len(header) == _COUNT:
                return True
            seen, trace = header.get("seen"), header.get("traceparent")
            fits = (seen is None or _seen_well(seen)) and (trace is None or _TRACEPARENT.fullmatch(trace) is not None)
            return fits and len(header) == _COUNT + (seen is not None) + (trace is not None)
        except (ValueError, TypeError):
            return False


def claimed_size(archive: ArchiveReader, log: str) -> int | None:
    """The size that a log's newest checkpoint claims without proof, at most what its bundles can hold; None if none."""
    try:
        claimed = unverified_checkpoint(archive.read(f"{log}/{CHECKPOINT}")).size
    except (ArchiveError, CheckpointError):
        return None
    return min(claimed, WIDTH * sum(1 for _ in (archive.root / log / "tile/entries").rglob("*")))


def _seen_well(seen: str) -> bool:
    """Whether these are log prefixes, each log once, sorted."""
    logs = [prefix.partition("@")[0] for prefix in seen.split(" ")]
    return _SEEN.fullmatch(seen) is not None and logs == sorted(set(logs))


def _types_of(log: str) -> dict[str, type[Event]]:
    """The types that a log may hold, by their tags."""
    service, _, name = log.partition("/")
    of_registers = {type_tag(event, service) for event in register.EVENTS}
    return {
        tag: event
        for tag, event in catalogue().items()
        if tag.startswith(f"{service}.") and (tag in of_registers) == (name == "register")
    }
