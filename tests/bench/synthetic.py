"""A made-up archive of any length, how fast it is audited, and the floor: its hashing, parsing and folding alone."""

import gc
import time
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import orjson

from services.scoring.audit import audit
from services.scoring.scorecard import SCORED, before
from shared.archive import ArchiveReader
from shared.events import Entry
from shared.tlog.checkpoint import Policy, unverified_checkpoint
from shared.tlog.merkle import EMPTY, leaf_hash
from tests.services.scoring.archived import Year


class Throughput(NamedTuple):
    """Entries in all, and entries a second of the audit and of its floor, in one process."""

    entries: int
    audit: float
    floor: float


def write(folder: Path, entries: int) -> Policy:
    """Write the archive of a published period of about so many entries; returns the policy to audit it with.

    Half of them are declarations, the rest in equal shares appraised values with their reasons, and ballots with their
    invitations.
    """
    year = Year(redeclared=entries // 4, reappraised=entries // 16, boxes=entries // 16)
    year.write(folder)
    return year.policy()


def floor(folder: Path) -> int:
    """Hash every leaf, tree and datum, parse every header, fold what is scored, check nothing; returns the entries."""
    archive, done = ArchiveReader(folder), 0
    for log in archive.logs():
        size = unverified_checkpoint(archive.read(f"{log}/checkpoint")).size
        service, _, name = log.partition("/")
        tree, folded = EMPTY, None if name == "register" or service not in SCORED else before(service)
        for bundle, data in zip(archive.entries(log, size), archive.data(log, size), strict=True):
            tree = tree.extend([leaf_hash(row) for row in bundle.rows])
            entries = []
            for position, (row, line) in enumerate(zip(bundle.rows, data.rows, strict=True), start=bundle.start):
                salt, content = bytes.fromhex(line[:64].decode()), line[65:]
                sha256(salt + content).hexdigest()
                entry = Entry(log, position, row, salt, content)
                vars(entry)["header"] = orjson.loads(row)
                entries.append(entry)
            if folded is not None:
                folded = folded.fold(service, entries)
        tree.root()
        done += size
    return done


def measure(entries: int = 100_000, rounds: int = 3) -> Throughput:
    """The best of some rounds, audit and floor in turn, over one archive; ValueError if it does not hold."""
    with TemporaryDirectory() as folder:
        policy = write(Path(folder), entries)
        audits, floors = [], []
        gc.disable()  # as the audit does for itself
        for _ in range(rounds):
            began = time.perf_counter()
            done = floor(Path(folder))
            floors.append(done / (time.perf_counter() - began))
            began = time.perf_counter()
            verdict = audit(ArchiveReader(Path(folder)), policy)
            audits.append(verdict.entries / (time.perf_counter() - began))
            if not verdict.holds:
                raise ValueError(f"the archive does not hold: {verdict.findings[:3]}")
        gc.enable()
    return Throughput(done, max(audits), max(floors))
