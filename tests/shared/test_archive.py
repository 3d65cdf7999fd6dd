"""The archive on a real object store: written, interrupted, signed for, exported and read back."""

import asyncio
import hashlib
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader

from shared.archive import ArchiveError, Archiver, ArchiveReader, Signer, SignerRefused, export
from shared.events import Entry, encode
from shared.events.submission import EvidenceUploaded
from shared.objects import BINARY, Bucket, Lock, ObjectConflict, ObjectLocked, ObjectMissing, Objects, StoreUnavailable
from shared.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from shared.tlog.merkle import EMPTY, Frontier, leaf_hash, root
from shared.tlog.note import SigningKey, log_key
from shared.tlog.tiles import paths
from tests.shared.conftest import S3Stack, prepare

DEPLOYMENT = "parindex.test"
LOG = "submission/2024-year"
SECRET = bytes(range(32))


def key_of(origin: str) -> SigningKey:
    return log_key(SECRET, origin)


KEY = key_of(f"{DEPLOYMENT}/{LOG}")


class Shelf:
    """A ledger's logs held in memory, of any size and with a checkpoint at the size that the test names."""

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}
        self.notes: dict[str, tuple[int, bytes]] = {}
        self.sizes: dict[str, int] = {}
        self.locks: set[str] = set()
        self.advanced = asyncio.Event()

    def grow(self, size: int, log: str = LOG, data: bytes = b'{"points":"0.5"}') -> None:
        """Add entries of this data up to this size and sign a checkpoint there."""
        entries = self.entries.setdefault(log, [])
        for position in range(len(entries), size):
            leaf = f'{{"position":"{position}","source":"{log}"}}'.encode()
            entries.append(Entry(log, position, leaf, hashlib.sha256(leaf).digest(), data))
        key = key_of(f"{DEPLOYMENT}/{log}")
        head = Checkpoint(key.name, size, root(leaf_hash(entry.leaf) for entry in entries[:size]))
        self.notes[log] = (size, sign_checkpoint(head, key))

    async def heads(self) -> dict[str, Frontier]:
        return dict.fromkeys(self.entries, EMPTY)

    async def read(self, log: str, start: int, stop: int) -> list[Entry]:
        return self.entries[log][start:stop]

    async def newest_checkpoint(self, log: str) -> tuple[int, bytes] | None:
        return self.notes.get(log)

    async def archived(self, log: str) -> int:
        return self.sizes.get(log, 0)

    async def set_archived(self, log: str, size: int) -> None:
        self.sizes[log] = size
        self.advanced.set()

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[bool]:
        if name in self.locks:
            yield False
            return
        self.locks.add(name)
        try:
            yield True
        finally:
            self.locks.discard(name)


class KilledError(Exception):
    """The process has died here."""


class MortalObjects(Objects):
    """The object store as a process sees it that is killed after so many changes, before or after the last one."""

    left = 10**9
    before = True

    def _spend(self, before: bool) -> None:
        if before == self.before:
            if self.left == 0:
                raise KilledError
            self.left -= 1

    async def put(self, bucket: str, name: str, data: bytes, content_type: str = BINARY) -> None:
        self._spend(before=True)
        await super().put(bucket, name, data, content_type)
        self._spend(before=False)

    async def put_once(
        self,
        bucket: str,
        name: str,
        data: bytes,
        *,
        content_type: str = BINARY,
        retain_until: datetime | None = None,
        lock: Lock = Lock.COMPLIANCE,
    ) -> None:
        self._spend(before=True)
        await super().put_once(bucket, name, data, content_type=content_type, retain_until=retain_until, lock=lock)
        self._spend(before=False)

    async def remove(self, bucket: str, name: str) -> None:
        self._spend(before=True)
        await super().remove(bucket, name)
        self._spend(before=False)


async def stored(objects: Objects, log: str = LOG) -> dict[str, bytes]:
    """All files of a log, by path."""
    found: dict[str, bytes] = {}
    for bucket in (Bucket.PROOF, Bucket.DATA):
        for name in await objects.list(bucket, f"{log}/"):
            with suppress(ObjectMissing):  # a request that a killed process had sent can still arrive
                found[name.removeprefix(f"{log}/")] = await objects.get(bucket, name)
    return found


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def required(size: int, *checkpoints: int) -> set[str]:
    return {*paths(size), "checkpoint", *(f"checkpoints/{each}" for each in (*checkpoints, size))}


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def archiver(shelf: Shelf, objects: Objects) -> Archiver:
    return Archiver(shelf, objects)


async def test_a_log_without_a_checkpoint_is_not_archived(shelf: Shelf, archiver: Archiver, objects: Objects) -> None:
    shelf.entries[LOG] = []
    assert await archiver.archive(LOG) == 0
    assert await stored(objects) == {}


@pytest.mark.parametrize("sizes", [(1, 255, 256, 257), (300, 513), (600, 600), (3, 1025)])
async def test_the_archive_holds_exactly_the_files_of_its_size(
    shelf: Shelf, archiver: Archiver, objects: Objects, sizes: tuple[int, ...]
) -> None:
    for size in sizes:
        shelf.grow(size)
        assert await archiver.archive(LOG) == size
        assert shelf.sizes[LOG] == size
    files = await stored(objects)
    assert set(files) == required(sizes[-1], *sizes)
    assert files["checkpoint"] == files[f"checkpoints/{sizes[-1]}"]
    for size in sizes:
        head = open_checkpoint(files[f"checkpoints/{size}"], KEY.verifier)
        assert head == Checkpoint(KEY.name, size, root(leaf_hash(entry.leaf) for entry in shelf.entries[LOG][:size]))


async def test_another_library_reads_the_exported_log(
    shelf: Shelf, archiver: Archiver, objects: Objects, tmp_path: Path
) -> None:
    for size in (100, 300, 700):
        shelf.grow(size)
        await archiver.archive(LOG)
    await export(objects, tmp_path / "archive")
    other = TilesReader(LocalBackend(tmp_path / "archive" / LOG))
    head = other.get_checkpoint()
    assert (head.origin, head.size) == (KEY.name, 700)
    assert other.calculate_root_hash() == head.root_hash
    for position in (0, 255, 256, 699):
        assert other.get_entry(position) == shelf.entries[LOG][position].leaf


async def test_an_erased_entry_has_a_line_and_its_leaf(shelf: Shelf, archiver: Archiver, objects: Objects) -> None:
    shelf.grow(2)
    kept, erased = shelf.entries[LOG]
    shelf.entries[LOG][1] = Entry(LOG, 1, erased.leaf, None, None)
    await archiver.archive(LOG)
    assert kept.salt is not None
    lines = await objects.get(Bucket.DATA, f"{LOG}/data/000.p/2")
    assert lines == kept.salt.hex().encode() + b' {"points":"0.5"}\nerased\n'


async def test_after_a_kill_at_any_point_the_archive_is_finished(
    shelf: Shelf, objects: Objects, stack: S3Stack
) -> None:
    prefix = objects._prefix
    async with MortalObjects(stack.s3_endpoint, stack.s3_access_key, stack.s3_secret_key, prefix) as mortal:
        for before in (True, False):
            for kill in range(40):
                log = f"submission/k{kill}{'b' if before else 'a'}"
                shelf.grow(250, log)
                await Archiver(shelf, objects).archive(log)
                shelf.grow(520, log)
                mortal.left, mortal.before = kill, before
                try:
                    await Archiver(shelf, mortal).archive(log)
                except KilledError:
                    files = await stored(objects, log)
                    head = open_checkpoint(files["checkpoint"], key_of(f"{DEPLOYMENT}/{log}").verifier)
                    assert set(paths(head.size)) < set(files)
                    shelf.grow(530, log)
                    await Archiver(shelf, objects).archive(log)
                    assert set(await stored(objects, log)) - {"checkpoints/520"} == required(530, 250)
                else:
                    assert kill > 12
                    break
            else:
                pytest.fail("the archive was never finished")


async def test_a_kill_before_the_sweep_leaves_nothing_behind_after_the_next_start(
    shelf: Shelf, archiver: Archiver, objects: Objects
) -> None:
    shelf.grow(300)
    await archiver.archive(LOG)
    await objects.put_once(Bucket.PROOF, f"{LOG}/tile/0/000.p/200", bytes(200 * 32))
    await objects.put(Bucket.DATA, f"{LOG}/data/001.p/3", b"erased\n" * 3)
    await Archiver(shelf, objects).archive(LOG)
    assert set(await stored(objects)) == required(300)


async def test_a_partial_of_a_larger_size_is_never_removed(shelf: Shelf, archiver: Archiver, objects: Objects) -> None:
    shelf.grow(300)
    larger = f"{LOG}/tile/entries/001.p/45"
    await objects.put_once(Bucket.PROOF, larger, b"of another archiver that is ahead")
    await archiver.archive(LOG)
    assert await objects.get(Bucket.PROOF, larger)


async def test_only_what_never_changes_is_locked(shelf: Shelf, archiver: Archiver, objects: Objects) -> None:
    until = datetime.now(UTC) + timedelta(minutes=2)
    shelf.grow(300)
    await archiver.archive(LOG, until)
    for path in ("tile/0/000", "tile/entries/000", "checkpoints/300"):
        with pytest.raises(ObjectLocked):
            await objects.remove(Bucket.PROOF, f"{LOG}/{path}")
    await objects.remove(Bucket.DATA, f"{LOG}/data/000")
    shelf.grow(301)
    await archiver.archive(LOG, until)
    assert not any(path.endswith("p/44") for path in await stored(objects))


async def test_entries_that_are_not_under_the_checkpoint_are_not_written(
    shelf: Shelf, archiver: Archiver, objects: Objects
) -> None:
    shelf.grow(300)
    shelf.entries[LOG][7] = Entry(LOG, 7, b'{"position":"forged"}', None, None)
    with pytest.raises(ArchiveError, match="root"):
        await archiver.archive(LOG)
    assert await stored(objects) == {}
    del shelf.entries[LOG][200:]
    with pytest.raises(ArchiveError, match="lacks"):
        await archiver.archive(LOG)


async def test_the_checkpoint_of_another_log_is_not_archived(shelf: Shelf, archiver: Archiver) -> None:
    shelf.grow(3)
    shelf.grow(3, "appraisal/2024-year")
    shelf.notes[LOG] = shelf.notes["appraisal/2024-year"]
    with pytest.raises(ArchiveError, match="is one of"):
        await archiver.archive(LOG)


async def test_a_contradiction_in_what_is_written_once_stops_that_log_alone(
    shelf: Shelf, archiver: Archiver, objects: Objects
) -> None:
    shelf.grow(256)
    shelf.grow(3, "appraisal/2024-year")
    await objects.put_once(Bucket.PROOF, f"{LOG}/tile/entries/000", b"other bytes")
    with pytest.raises(ObjectConflict):
        await archiver.archive(LOG)
    await archiver.archive_all()
    assert list(archiver.stopped) == [LOG]
    assert "tile/entries/000" in archiver.stopped[LOG]
    assert shelf.sizes == {"appraisal/2024-year": 3}
    with pytest.raises(ObjectMissing):
        await objects.get(Bucket.PROOF, f"{LOG}/checkpoint")


async def test_a_log_whose_tiles_are_lost_is_archived_again_from_its_beginning(
    shelf: Shelf, archiver: Archiver, objects: Objects
) -> None:
    shelf.grow(300)
    await archiver.archive(LOG)
    for path in ("tile/1/000.p/1", "tile/entries/000", "data/000"):
        await objects.remove(Bucket.DATA if path.startswith("data") else Bucket.PROOF, f"{LOG}/{path}")
    shelf.grow(301)
    await archiver.archive(LOG)
    assert set(await stored(objects)) == required(301, 300)


async def test_one_archiver_at_a_time_works_on_a_log(shelf: Shelf, archiver: Archiver, objects: Objects) -> None:
    shelf.grow(3)
    async with shelf.exclusive(f"archive/{LOG}"):
        assert await archiver.archive(LOG) == 0
    assert await stored(objects) == {}
    assert await archiver.archive(LOG) == 3


async def test_the_archiver_works_when_it_is_woken(shelf: Shelf, objects: Objects) -> None:
    archiver = Archiver(shelf, objects, interval=3600)
    running = asyncio.create_task(archiver.run())
    try:
        for size in (1, 2):
            shelf.grow(size)
            shelf.advanced.clear()
            archiver.wake(LOG)
            async with asyncio.timeout(20):
                await shelf.advanced.wait()
            assert shelf.sizes[LOG] == size
    finally:
        running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_signer_signs_larger_sizes_and_the_same_again(objects: Objects) -> None:
    signer = Signer(objects, key_of)
    for size in (3, 3, 7):
        checkpoint = Checkpoint(KEY.name, size, bytes(32))
        assert await signer.sign(checkpoint) == sign_checkpoint(checkpoint, KEY)
    memory = await objects.get(Bucket.PROOF, f"signer/{LOG}")
    assert memory.decode() == Checkpoint(KEY.name, 7, bytes(32)).text()


async def test_the_signer_never_contradicts_itself_even_after_a_restart(objects: Objects) -> None:
    await Signer(objects, key_of).sign(Checkpoint(KEY.name, 7, bytes(32)))
    for signer in (Signer(objects, key_of), Signer(objects, key_of)):
        with pytest.raises(SignerRefused, match="smaller"):
            await signer.sign(Checkpoint(KEY.name, 6, bytes(32)))
        with pytest.raises(SignerRefused, match="another root"):
            await signer.sign(Checkpoint(KEY.name, 7, b"\x01" * 32))
        with pytest.raises(SignerRefused, match="is of"):
            await signer.sign(Checkpoint(f"other.test/{LOG}", 8, bytes(32)))
    await objects.put(Bucket.PROOF, f"signer/{LOG}", b"damaged")
    with pytest.raises(SignerRefused, match="cannot be read"):
        await Signer(objects, key_of).sign(Checkpoint(KEY.name, 8, bytes(32)))


async def test_the_signer_hands_out_nothing_that_it_could_not_remember(objects: Objects, stack: S3Stack) -> None:
    async with MortalObjects(stack.s3_endpoint, stack.s3_access_key, stack.s3_secret_key, objects._prefix) as mortal:
        mortal.left = 0
        with pytest.raises(KilledError):
            await Signer(mortal, key_of).sign(Checkpoint(KEY.name, 1, bytes(32)))
    async with Objects("http://127.0.0.1:9", "key", "secret") as absent:
        with pytest.raises(StoreUnavailable):
            await Signer(absent, key_of).sign(Checkpoint(KEY.name, 1, bytes(32)))


PDF = b"%PDF-1.7 evidence"
EVIDENCE = f"evidence/sha256/{hashlib.sha256(PDF).hexdigest()}"


def uploaded(content: bytes) -> bytes:
    """What an entry says of a file of evidence."""
    sha256, media_type = hashlib.sha256(content).hexdigest(), "application/pdf"
    return encode(
        EvidenceUploaded(agency="a-01", items=("1.1",), sha256=sha256, size=len(content), media_type=media_type)
    )


async def filled(shelf: Shelf, archiver: Archiver, objects: Objects) -> None:
    """An archive of two logs, one of them with three checkpoints, and a file of evidence."""
    await objects.put_once(Bucket.DATA, EVIDENCE, PDF)
    shelf.grow(1, data=uploaded(PDF))
    await Signer(objects, key_of).sign(Checkpoint(KEY.name, 3, bytes(32)))
    shelf.grow(4, "appraisal/2024-year")
    for size in (3, 300, 520):
        shelf.grow(size)
        await archiver.archive_all()


async def test_an_export_holds_all_logs_and_evidence_and_nothing_else(
    shelf: Shelf, archiver: Archiver, objects: Objects, tmp_path: Path
) -> None:
    await filled(shelf, archiver, objects)
    told: list[tuple[int, int, str]] = []
    await export(objects, tmp_path / "archive", lambda done, known, name: told.append((done, known, name)))
    reader = ArchiveReader(tmp_path / "archive")
    sizes = {LOG: 520, "appraisal/2024-year": 4}
    assert reader.logs() == sorted(sizes)
    assert reader.missing(sizes) == reader.unknown(sizes) == []
    assert [file.size for file in reader.checkpoints(LOG)] == [3, 300, 520, None]
    assert reader.checkpoints(LOG)[-1].raw == shelf.notes[LOG][1]
    assert list(reader.evidence()) == [(EVIDENCE[-64:], tmp_path / "archive" / EVIDENCE)]
    assert (tmp_path / "archive" / EVIDENCE).read_bytes() == PDF
    leaves = [leaf for bundle in reader.entries(LOG, 520) for leaf in bundle.rows]
    assert leaves == [entry.leaf for entry in shelf.entries[LOG]]
    assert [bundle.start for bundle in reader.data(LOG, 520)] == [0, 256, 512]
    assert sum(len(bundle.rows) for bundle in reader.data(LOG, 520)) == 520
    assert [done for done, _, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][:2] == (len(told), len(told))
    assert names_in(tmp_path) == ["archive"]


class BusyObjects(Objects):
    """The object store of a deployment that works on: something happens at each of two moments of an export."""

    once_listed: Callable[[], Awaitable[None]]
    before_evidence: Callable[[], Awaitable[None]]

    async def list(self, bucket: str, prefix: str = "") -> list[str]:
        if prefix == "evidence/":
            await self.before_evidence()
        found = await super().list(bucket, prefix)
        if not prefix:
            await self.once_listed()
        return found


async def test_uploads_during_an_export_are_in_it_with_their_entry_or_not_at_all(
    shelf: Shelf, archiver: Archiver, objects: Objects, stack: S3Stack, tmp_path: Path
) -> None:
    await filled(shelf, archiver, objects)

    def upload(content: bytes) -> Callable[[], Awaitable[None]]:
        async def happens() -> None:
            await objects.put_once(Bucket.DATA, f"evidence/sha256/{hashlib.sha256(content).hexdigest()}", content)
            shelf.grow(len(shelf.entries[LOG]) + 1, data=uploaded(content))
            await archiver.archive_all()

        return happens

    early, late = b"%PDF-1.7 early", b"%PDF-1.7 late"
    async with BusyObjects(stack.s3_endpoint, stack.s3_access_key, stack.s3_secret_key, objects._prefix) as busy:
        busy.once_listed, busy.before_evidence = upload(early), upload(late)
        await export(busy, tmp_path / "archive")
    reader = ArchiveReader(tmp_path / "archive")
    assert [len(bundle.rows) for bundle in reader.entries(LOG, 521)] == [256, 256, 9]
    assert {path.read_bytes() for _, path in reader.evidence()} == {PDF, early}
    await export(objects, tmp_path / "archive")
    assert {path.read_bytes() for _, path in ArchiveReader(tmp_path / "archive").evidence()} == {PDF, early, late}


async def test_an_export_copies_what_rests_on_other_logs_before_them(
    shelf: Shelf, archiver: Archiver, objects: Objects, tmp_path: Path
) -> None:
    logs = ["scoring/2024-year", "appraisal/2024-year", LOG, "appraisal/register"]
    for log in sorted(logs):
        shelf.grow(1, log)
    await archiver.archive_all()
    told: list[str] = []
    await export(objects, tmp_path / "archive", lambda _, __, name: told.append("/".join(name.split("/")[:2])))
    assert list(dict.fromkeys(told)) == logs


async def test_a_newer_export_replaces_an_older_one(
    shelf: Shelf, archiver: Archiver, objects: Objects, tmp_path: Path
) -> None:
    await filled(shelf, archiver, objects)
    (tmp_path / "archive").mkdir()
    await export(objects, tmp_path / "archive")
    shelf.grow(700)
    await archiver.archive_all()
    await export(objects, tmp_path / "archive")
    sizes = {LOG: 700, "appraisal/2024-year": 4}
    reader = ArchiveReader(tmp_path / "archive")
    assert reader.missing(sizes) == reader.unknown(sizes) == []
    assert names_in(tmp_path) == ["archive"]


async def test_a_folder_with_anything_else_is_left_alone(
    shelf: Shelf, archiver: Archiver, objects: Objects, tmp_path: Path
) -> None:
    await filled(shelf, archiver, objects)
    dest = tmp_path / "archive"
    dest.mkdir()
    (dest / "letter.txt").write_text("mine")
    with pytest.raises(ArchiveError, match="not empty"):
        await export(objects, dest)
    (dest / "letter.txt").unlink()
    await export(objects, dest)
    (dest / LOG / "letter.txt").write_text("mine")
    with pytest.raises(ArchiveError, match=r"letter\.txt"):
        await export(objects, dest)
    (dest / LOG / "letter.txt").unlink()
    (dest / LOG / "checkpoint").write_bytes(b"damaged")
    with pytest.raises(ArchiveError, match="no export"):
        await export(objects, dest)
    with pytest.raises(ArchiveError, match="not a folder"):
        await export(objects, dest / LOG / "checkpoint")
    assert names_in(tmp_path) == ["archive"]


async def test_the_export_of_another_archive_is_left_alone(
    shelf: Shelf, archiver: Archiver, objects: Objects, tmp_path: Path
) -> None:
    await filled(shelf, archiver, objects)
    dest = tmp_path / "archive"
    await export(objects, dest)
    foreign = sign_checkpoint(Checkpoint(KEY.name, 520, bytes(32)), KEY)
    for path in ("checkpoint", "checkpoints/520"):
        (dest / LOG / path).write_bytes(foreign)
    with pytest.raises(ArchiveError, match="another archive"):
        await export(objects, dest)
    assert (dest / LOG / "checkpoint").read_bytes() == foreign
    assert names_in(tmp_path) == ["archive"]


async def test_an_archive_that_lacks_a_file_is_not_exported(
    shelf: Shelf, archiver: Archiver, objects: Objects, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveError, match="no log"):
        await export(objects, tmp_path / "archive")
    await filled(shelf, archiver, objects)
    await objects.remove(Bucket.DATA, f"{LOG}/data/001")
    with pytest.raises(ArchiveError, match="data/001"):
        await export(objects, tmp_path / "archive")
    assert names_in(tmp_path) == []


async def test_a_log_that_grows_during_its_export_is_exported_whole(
    shelf: Shelf, archiver: Archiver, objects: Objects, tmp_path: Path
) -> None:
    await filled(shelf, archiver, objects)
    stop = asyncio.Event()

    async def grow() -> None:
        size = 520
        while not stop.is_set() and size < 2000:
            size += 97
            shelf.grow(size)
            await archiver.archive(LOG)

    growing = asyncio.create_task(grow())
    await asyncio.sleep(0.05)
    await export(objects, tmp_path / "archive")
    stop.set()
    await growing
    reader = ArchiveReader(tmp_path / "archive")
    newest = open_checkpoint(reader.checkpoints(LOG)[-1].raw, KEY.verifier)
    sizes = {LOG: newest.size, "appraisal/2024-year": 4}
    assert reader.missing(sizes) == reader.unknown(sizes) == []
    leaves = (leaf for bundle in reader.entries(LOG, newest.size) for leaf in bundle.rows)
    assert root(leaf_hash(leaf) for leaf in leaves) == newest.root


@pytest_asyncio.fixture(scope="module")
async def exported(stack: S3Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shelf, dest = Shelf(), tmp_path_factory.mktemp("exported") / "archive"
    prefix = f"t{secrets.token_hex(6)}"
    async with Objects(stack.s3_endpoint, stack.s3_access_key, stack.s3_secret_key, prefix) as objects:
        await prepare(objects)
        await filled(shelf, Archiver(shelf, objects), objects)
        await export(objects, dest)
    return dest


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """An exported archive that the test may damage."""
    return Path(shutil.copytree(exported, tmp_path / "archive"))


SIZES = {LOG: 520, "appraisal/2024-year": 4}


def _strangers() -> Iterator[str]:
    yield from (f"{LOG}/tile/0/000.p/5", f"{LOG}/tile/0/003", f"{LOG}/data/002.p/9", f"{LOG}/checkpoints/521")
    yield from (
        f"{LOG}/checkpoints/0300",
        f"{LOG}/letter.txt",
        "survey/2024-year/checkpoint",
        "evidence/sha256/AB",
        "x",
    )


@pytest.mark.parametrize("stranger", list(_strangers()))
def test_an_unknown_file_is_named(folder: Path, stranger: str) -> None:
    (folder / stranger).parent.mkdir(parents=True, exist_ok=True)
    (folder / stranger).write_bytes(b"")
    reader = ArchiveReader(folder)
    assert reader.unknown(SIZES) == [stranger]
    assert reader.missing(SIZES) == []


def test_a_link_is_an_unknown_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "survey").symlink_to(tmp_path / "elsewhere")
    (folder / "evidence/sha256" / ("0" * 64)).symlink_to(folder / EVIDENCE)
    assert ArchiveReader(folder).unknown(SIZES) == [f"evidence/sha256/{'0' * 64}", "survey"]
    with pytest.raises(ArchiveError, match="missing"):
        ArchiveReader(folder).read(f"evidence/sha256/{'0' * 64}")


def test_every_missing_file_is_named(folder: Path) -> None:
    for path in [*required(520)]:
        raw = (folder / LOG / path).read_bytes()
        (folder / LOG / path).unlink()
        assert ArchiveReader(folder).missing(SIZES) == [f"{LOG}/{path}"]
        (folder / LOG / path).write_bytes(raw)
    (folder / LOG / "data/001").unlink()
    with pytest.raises(ArchiveError, match="data/001: missing"):
        list(ArchiveReader(folder).data(LOG, 520))


def test_a_damaged_bundle_is_named(folder: Path) -> None:
    bundle = folder / LOG / "tile/entries/001"
    raw = bundle.read_bytes()
    for damaged in (raw[:-1], raw + raw[: 2 + raw[1]], b""):
        bundle.write_bytes(damaged)
        with pytest.raises(ArchiveError, match="tile/entries/001: "):
            list(ArchiveReader(folder).entries(LOG, 520))
