"""An exported archive, read and its files accounted for; nothing in it is believed here."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from shared.tlog.tiles import (
    CHECKPOINT,
    TileError,
    checkpoint_path,
    data_path,
    entries_path,
    parts,
    paths,
    unpack_data,
    unpack_entries,
)

_ID: Final = r"[a-z0-9]+(?:-[a-z0-9]+)*"
CHECKPOINT_FILE: Final = re.compile(rf"({_ID}/{_ID})/{CHECKPOINT}")
"""The newest checkpoint of a log: its name."""
CHECKPOINTS_FILE: Final = re.compile(rf"({_ID}/{_ID})/checkpoints/(0|[1-9][0-9]*)(\.[0-9a-f]{{8}})?")
"""A checkpoint of a size or a later cosignature of it: log, size, dot and key id."""
EVIDENCE_FILE: Final = re.compile(r"evidence/sha256/([0-9a-f]{64})")
"""A file of evidence: its SHA-256 in hex."""


class ArchiveError(Exception):
    """An archive is not what it must be; the message names the file."""


class Bundle(NamedTuple):
    """A file of an archive that holds `rows` (leaf entries or data lines) of a log from position `start` on."""

    path: str
    start: int
    rows: list[bytes]


class CheckpointFile(NamedTuple):
    """A checkpoint's file in an archive: its path, the size in its name (None for the newest) and its bytes."""

    path: str
    size: int | None
    raw: bytes


class ArchiveReader:
    """An exported archive: a folder that holds what the proof and the data bucket hold. Paths are relative to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names = sorted(self._walk())

    def _walk(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self.root):
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            yield from ((Path(folder) / name).relative_to(self.root).as_posix() for name in [*names, *links])

    def logs(self) -> list[str]:
        """The names of the logs that have a checkpoint, sorted."""
        return [found[1] for name in self._names if (found := CHECKPOINT_FILE.fullmatch(name))]

    def checkpoints(self, log: str) -> list[CheckpointFile]:
        """All checkpoint files of a log by size, then the newest one's; later cosignatures are not among them."""
        found = [match for name in self._names if (match := CHECKPOINTS_FILE.fullmatch(name))]
        sizes = sorted(int(match[2]) for match in found if match[1] == log and not match[3])
        files = [(f"{log}/{checkpoint_path(size)}", size) for size in sizes]
        return [CheckpointFile(path, size, self.read(path)) for path, size in [*files, (f"{log}/{CHECKPOINT}", None)]]

    def entries(self, log: str, size: int) -> Iterator[Bundle]:
        """The leaf entries of a log of this size, bundle by bundle. Raises ArchiveError, which names the file."""
        return self._bundles(log, size, entries_path, unpack_entries)

    def data(self, log: str, size: int) -> Iterator[Bundle]:
        """The data lines of a log of this size, bundle by bundle. Raises ArchiveError, which names the file."""
        return self._bundles(log, size, data_path, unpack_data)

    def evidence(self) -> Iterator[tuple[str, Path]]:
        """Each evidence file: the SHA-256 that it is named by, in hex, and where it is."""
        for name in self._names:
            if found := EVIDENCE_FILE.fullmatch(name):
                yield found[1], self.root / name

    def read(self, path: str) -> bytes:
        """A file's bytes. Raises ArchiveError if it is missing or no plain file."""
        file = self.root / path
        if file.is_symlink() or not file.is_file():
            raise ArchiveError(f"{path}: missing")
        return file.read_bytes()

    def missing(self, sizes: Mapping[str, int]) -> list[str]:
        """Files that an archive of logs with these sizes must hold and this one does not, sorted."""
        return sorted(self._required(sizes) - set(self._names))

    def unknown(self, sizes: Mapping[str, int]) -> list[str]:
        """Files that an archive of logs with these sizes does not hold, sorted."""
        required = self._required(sizes)
        return [name for name in self._names if name not in required and not self._is_optional(name, sizes)]

    def _required(self, sizes: Mapping[str, int]) -> set[str]:
        return {
            f"{log}/{path}" for log, size in sizes.items() for path in [*paths(size), CHECKPOINT, checkpoint_path(size)]
        }

    def _is_optional(self, name: str, sizes: Mapping[str, int]) -> bool:
        if (self.root / name).is_symlink():
            return False
        found = CHECKPOINTS_FILE.fullmatch(name)
        return EVIDENCE_FILE.fullmatch(name) is not None or (
            found is not None and int(found[2]) <= sizes.get(found[1], -1)
        )

    def _bundles(
        self, log: str, size: int, path_of: Callable[[int, int], str], unpack: Callable[[bytes], list[bytes]]
    ) -> Iterator[Bundle]:
        for part in parts(size):
            path = f"{log}/{path_of(*part)}"
            try:
                rows = unpack(self.read(path))
            except TileError as error:
                raise ArchiveError(f"{path}: {error}") from error
            if len(rows) != part.width:
                raise ArchiveError(f"{path}: {len(rows)} rows instead of {part.width}")
            yield Bundle(path, part.start, rows)
