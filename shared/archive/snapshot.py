"""The snapshot of an archive: from the object store into a folder, whole or not at all."""

import re
import shutil
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, TypeAlias

from shared.archive.archiver import together
from shared.archive.reader import CHECKPOINT_FILE, CHECKPOINTS_FILE, EVIDENCE_FILE, ArchiveError, ArchiveReader
from shared.objects import Bucket, ObjectMissing, Objects
from shared.tlog.checkpoint import CheckpointError, unverified_checkpoint
from shared.tlog.tiles import CHECKPOINT, checkpoint_path, paths

SNAPSHOTS: Final = 10  # attempts to copy a log that is archived further meanwhile

_NAMED: Final = re.compile(rb'"sha256":"([0-9a-f]{64})"')
"""What an entry's data names a file of evidence by; a quote within text is escaped, and no other event has it."""

Progress: TypeAlias = Callable[[int, int, str], None]
"""Told after each file: how many are copied, how many are known of so far, and the file's path."""


async def export(objects: Objects, dest: Path, progress: Progress | None = None) -> None:
    """Copy the archive of all logs, and the evidence that their entries name, to the folder `dest`.

    Each log is copied as it stands under its newest checkpoint: exactly the files that this size needs, and the earlier
    checkpoints. What is added meanwhile is there whole or not at all: evidence is stored before the entry that names
    it, and logs are archived before a publication that rests on them; so entries are copied before evidence, scoring
    logs before others and registers last. `dest` must be missing, empty, or an older export of the same archive, which
    is then replaced. Raises ArchiveError or StoreError; then `dest` is as it was.
    """
    older = _holds_export(dest)
    fresh = dest.with_name(f".{dest.name}.{token_hex(6)}")
    _make(fresh)
    try:
        await _Copy(objects, fresh, progress).run()
        if older:
            _refuse_another_archive(dest, fresh)
        _replace(dest, fresh)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _holds_export(dest: Path) -> bool:
    """Whether the folder holds an export, rather than nothing. Raises ArchiveError if it is anything else."""
    if not dest.name or dest.is_symlink() or (dest.exists() and not dest.is_dir()):
        raise ArchiveError(f"{dest} is not a folder that can be replaced")
    if not dest.is_dir() or not any(dest.iterdir()):
        return False
    _refuse_foreign_files(dest)
    return True


def _make(fresh: Path) -> None:
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.mkdir()


def _replace(dest: Path, fresh: Path) -> None:
    """Put the fresh folder in the place of `dest`, or leave `dest` as it is."""
    if not dest.exists():
        fresh.rename(dest)
        return
    aside = fresh.with_name(f"{fresh.name}.old")
    dest.rename(aside)
    try:
        fresh.rename(dest)
    except OSError:
        aside.rename(dest)
        raise
    shutil.rmtree(aside)


def _refuse_foreign_files(dest: Path) -> None:
    reader = ArchiveReader(dest)
    try:
        sizes = {log: unverified_checkpoint(reader.read(f"{log}/{CHECKPOINT}")).size for log in reader.logs()}
    except CheckpointError as error:
        raise ArchiveError(f"{dest} is not empty and holds no export: {error}") from error
    unknown = reader.unknown(sizes)
    if unknown or not sizes:
        raise ArchiveError(f"{dest} is not empty and holds files of no export: {', '.join(unknown[:3])}")


def _refuse_another_archive(dest: Path, fresh: Path) -> None:
    """The older export's newest checkpoint of each log must be one of the fresh export's."""
    older, newer = ArchiveReader(dest), ArchiveReader(fresh)
    for log in older.logs():
        held = unverified_checkpoint(older.read(f"{log}/{CHECKPOINT}"))
        same = f"{log}/{checkpoint_path(held.size)}"
        if not (fresh / same).is_file() or unverified_checkpoint(newer.read(same)) != held:
            raise ArchiveError(f"{dest} holds the export of another archive: {log} at size {held.size} differs")


def _turn(log: str) -> tuple[bool, bool, str]:
    """What rests on other logs comes before them."""
    service, _, name = log.partition("/")
    return name == "register", service != "scoring", log


class _Copy:
    def __init__(self, objects: Objects, root: Path, progress: Progress | None) -> None:
        self._objects = objects
        self._root = root
        self._progress = progress
        self._done = 0
        self._known = 0
        self._named: set[str] = set()

    async def run(self) -> None:
        names = await self._objects.list(Bucket.PROOF)
        logs = [found[1] for name in names if (found := CHECKPOINT_FILE.fullmatch(name))]
        if not logs:
            raise ArchiveError("the archive holds no log yet")
        for log in sorted(logs, key=_turn):
            await self._copy_log(log)
        stored = (EVIDENCE_FILE.fullmatch(name) for name in await self._objects.list(Bucket.DATA, "evidence/"))
        evidence = [found[0] for found in stored if found and found[1] in self._named]
        self._known += len(evidence)
        await together(self._copy_evidence(name) for name in evidence)

    async def _copy_log(self, log: str) -> None:
        """Copy a log under its newest checkpoint; again under a newer one if its partials vanish meanwhile."""
        raw, missing = b"", ""
        for _ in range(SNAPSHOTS):
            newest = await self._objects.get(Bucket.PROOF, f"{log}/{CHECKPOINT}")
            if newest == raw:
                break
            raw = newest
            size = unverified_checkpoint(raw).size
            earlier = await self._objects.list(Bucket.PROOF, f"{log}/checkpoints/")
            known, done = self._known, self._done
            try:
                await together(self._copies(log, size, earlier))
            except ObjectMissing as error:
                missing = str(error)
                shutil.rmtree(self._root / log)
                self._known, self._done = known, done
                continue
            (self._root / log / CHECKPOINT).write_bytes(raw)
            return
        raise ArchiveError(f"the archive of {log} lacks a file of its newest checkpoint: {missing}")

    def _copies(self, log: str, size: int, earlier: list[str]) -> Iterator[Coroutine[Any, Any, None]]:
        names = {f"{log}/{path}" for path in [*paths(size), checkpoint_path(size)]}
        found = (CHECKPOINTS_FILE.fullmatch(name) for name in earlier)
        names |= {match[0] for match in found if match and int(match[2]) <= size}
        self._known += len(names)
        for name in sorted(names):
            yield self._copy(Bucket.DATA if name.startswith(f"{log}/data/") else Bucket.PROOF, name)

    async def _copy(self, bucket: Bucket, name: str) -> None:
        data = await self._objects.get(bucket, name)
        self._place(name).write_bytes(data)
        if bucket is Bucket.DATA:
            self._named.update(sha256.decode() for sha256 in _NAMED.findall(data))
        self._tell(name)

    async def _copy_evidence(self, name: str) -> None:
        with self._place(name).open("wb") as file:
            async for piece in self._objects.stream(Bucket.DATA, name):
                file.write(piece)
        self._tell(name)

    def _place(self, name: str) -> Path:
        place = self._root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _tell(self, name: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._known, name)
