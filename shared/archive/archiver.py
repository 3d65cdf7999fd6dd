"""The archiver: copies a service's logs to the object store as bundles, tiles, data and, last, checkpoints."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from shared import telemetry
from shared.archive.reader import ArchiveError
from shared.events import Entry
from shared.objects import TEXT, Bucket, ObjectConflict, ObjectMissing, Objects, StoreError
from shared.tlog.checkpoint import CheckpointError, unverified_checkpoint
from shared.tlog.merkle import Frontier, leaf_hash
from shared.tlog.tiles import (
    CHECKPOINT,
    WIDTH,
    Edge,
    TileError,
    checkpoint_path,
    data_line,
    data_path,
    edge_parts,
    entries_path,
    outgrown,
    pack_data,
    pack_entries,
    parts,
    read_tile,
    tile_path,
)

CHUNK: Final = 64 * WIDTH  # entries that are read from the ledger and held at once
WRITERS: Final = 8

Write: TypeAlias = Coroutine[Any, Any, None]

_logger = logging.getLogger(__name__)


class ArchivedLedger(Protocol):
    """Of a ledger, what the archiver needs."""

    async def heads(self) -> dict[str, Frontier]: ...

    async def read(self, log: str, start: int, stop: int) -> list[Entry]: ...

    async def newest_checkpoint(self, log: str) -> tuple[int, bytes] | None: ...

    async def archived(self, log: str) -> int: ...

    async def set_archived(self, log: str, size: int) -> None: ...

    def exclusive(self, name: str) -> AbstractAsyncContextManager[bool]: ...


async def _unlocked(_: str) -> datetime | None:
    return None


class Archiver:
    """Copies a service's logs to the object store, each up to its newest checkpoint; one archiver a log at a time.

    `retain_until` tells until when a log's full files and checkpoints are locked, None for not at all. Whatever it has
    begun when it is killed, the next one finishes: it writes the same bytes under the same names.
    """

    def __init__(
        self,
        ledger: ArchivedLedger,
        objects: Objects,
        *,
        interval: float = 10.0,
        retain_until: Callable[[str], Awaitable[datetime | None]] = _unlocked,
    ) -> None:
        self._ledger = ledger
        self._objects = objects
        self._interval = interval
        self._retain_until = retain_until
        self._wake = asyncio.Event()
        self._swept: set[str] = set()
        self.stopped: dict[str, str] = {}
        """Logs that are not archived any more, with the reason: what is written once contradicts the ledger."""

    def wake(self, log: str | None = None) -> None:
        """Say that a log should be archived now, as after a publication."""
        self._wake.set()

    async def run(self) -> None:
        """Archive every `interval` seconds until cancelled; outages of the database or the store are waited out."""
        while True:
            self._wake.clear()
            try:
                await self.archive_all()
            except (SQLAlchemyError, OSError) as failure:
                _logger.warning("archiving pauses: %s", type(failure).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._wake.wait()

    async def archive_all(self) -> None:
        """Archive each log once. One that cannot be archived holds up no other."""
        for log in await self._ledger.heads():
            if log in self.stopped:
                continue
            try:
                await self.archive(log, await self._retain_until(log))
            except (ArchiveError, ObjectConflict, CheckpointError, TileError) as damage:
                self.stopped[log] = str(damage)
                _logger.error("archiving %s is stopped: %s", log, damage)
            except StoreError as failure:
                _logger.warning("archiving %s pauses: %s", log, failure)

    async def archive(self, log: str, retain_until: datetime | None = None) -> int:
        """Archive the log up to its newest checkpoint; returns the archived size.

        Raises ArchiveError or ObjectConflict if the ledger, the checkpoint and what is archived contradict each other.
        """
        async with self._ledger.exclusive(f"archive/{log}") as held:
            start = await self._ledger.archived(log)
            newest = await self._ledger.newest_checkpoint(log)
            if not held or newest is None:
                return start
            size, note = newest
            if size > start:
                with telemetry.span(telemetry.SPAN_ARCHIVE, {telemetry.LOG: log, telemetry.SIZE: size}):
                    await self._advance(log, start, size, note, retain_until)
                telemetry.ARCHIVE_TIME.labels(log).set_to_current_time()
            if size > start or log not in self._swept:
                await self._sweep(log, max(start, size))
                self._swept.add(log)
            return max(start, size)

    async def _advance(self, log: str, start: int, size: int, note: bytes, retain_until: datetime | None) -> None:
        checkpoint = unverified_checkpoint(note)
        if checkpoint.log != log or checkpoint.size != size:
            raise ArchiveError(f"the checkpoint of {log} at {size} is one of {checkpoint.origin} at {checkpoint.size}")
        base = await self._base(log, start)
        edge = base
        for at in range(base.size, size, CHUNK):  # nothing is written, and locked, that is not under this root
            edge, _ = edge.extend(_leaves(await self._read(log, at, size)))
        if edge.frontier().root() != checkpoint.root:
            raise ArchiveError(f"the ledger's entries of {log} do not have the root of the checkpoint of size {size}")
        edge = base
        for at in range(base.size, size, CHUNK):
            entries = await self._read(log, at, size)
            await together(self._writes(log, edge, entries, retain_until))
            edge, _ = edge.extend(_leaves(entries))
        await together(
            self._objects.put_once(Bucket.PROOF, f"{log}/{tile.path}", tile.to_bytes()) for tile in edge.partials()
        )
        once = f"{log}/{checkpoint_path(size)}"
        await self._objects.put_once(Bucket.PROOF, once, note, content_type=TEXT, retain_until=retain_until)
        await self._objects.put(Bucket.PROOF, f"{log}/{CHECKPOINT}", note, TEXT)
        await self._ledger.set_archived(log, size)

    async def _base(self, log: str, start: int) -> Edge:
        """The edge at the last full bundle that is archived, from the tiles above it."""
        size = start - start % WIDTH
        hashes: dict[int, tuple[bytes, ...]] = {}
        try:
            for level, part in edge_parts(size):
                raw = await self._objects.get(Bucket.PROOF, f"{log}/{tile_path(level, *part)}")
                hashes[level] = read_tile(raw, part.width)
        except ObjectMissing as missing:
            _logger.warning("%s is archived again from its beginning: %s", log, missing)
            return Edge()
        return Edge.of(size, hashes)

    async def _read(self, log: str, at: int, size: int) -> list[Entry]:
        stop = min(at + CHUNK, size)
        entries = await self._ledger.read(log, at, stop)
        if len(entries) != stop - at:
            raise ArchiveError(f"the ledger lacks entries of {log} between {at} and {stop}")
        return entries

    def _writes(self, log: str, edge: Edge, entries: Sequence[Entry], until: datetime | None) -> Iterator[Write]:
        """Bundles, data and full tiles of a run of entries that begins with a bundle."""
        for part in parts(edge.size + len(entries), edge.size):
            run = entries[part.start - edge.size : part.stop - edge.size]
            bundle = pack_entries([entry.leaf for entry in run])
            name = f"{log}/{entries_path(*part)}"
            yield self._objects.put_once(Bucket.PROOF, name, bundle, retain_until=until if part.is_full else None)
            # its truth is each entry's datahash; it is put anew when data was erased, so there is nothing to compare
            lines = pack_data([data_line(entry.salt, entry.data) for entry in run])
            yield self._objects.put(Bucket.DATA, f"{log}/{data_path(*part)}", lines)
        for tile in edge.extend(_leaves(entries))[1]:
            yield self._objects.put_once(Bucket.PROOF, f"{log}/{tile.path}", tile.to_bytes(), retain_until=until)

    async def _sweep(self, log: str, size: int) -> None:
        """Remove the partials that a log of this archived size has outgrown."""
        for bucket, folder in ((Bucket.PROOF, "tile"), (Bucket.DATA, "data")):
            names = await self._objects.list(bucket, f"{log}/{folder}/")
            old = [name for name in names if outgrown(name.removeprefix(f"{log}/"), size)]
            await together(self._objects.remove(bucket, name) for name in old)


def _leaves(entries: Sequence[Entry]) -> list[bytes]:
    return [leaf_hash(entry.leaf) for entry in entries]


async def together(work: Iterable[Write]) -> None:
    """Do the work, at most WRITERS pieces at a time; the first failure ends it and is raised."""
    waiting = iter(work)

    async def worker() -> None:
        for piece in waiting:
            await piece

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(worker())
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
