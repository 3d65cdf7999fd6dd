"""Entries audited a second in one process, over the archive of a synthetic published period in a folder."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from services.scoring.audit import audit
from services.scoring.scorecard import SCORED, before
from shared.archive import ArchiveReader
from shared.events import Entry
from shared.tlog.checkpoint import Policy
from shared.tlog.merkle import leaf_hash, root
from tests.bench.figure import Figure, median, rounds, tell
from tests.services.scoring.archived import Year

ROUNDS: Final = 3
BUDGET: Final = 20.0  # seconds after which no further round begins
REDECLARED: Final = 50_000
"""Declarations of each of the two agencies, beside all that a published period has."""
TARGET: Final = 60_000


def audit_rate(folder: Path, policy: Policy, entries: int) -> float:
    """The whole audit, from the folder to the verdict, which must be good."""
    started = perf_counter()
    verdict = audit(ArchiveReader(folder), policy)
    seconds = perf_counter() - started
    assert verdict.holds
    return entries / seconds


def floor_rate(logs: Sequence[tuple[str, Sequence[Entry]]]) -> float:
    """Hash, parse and fold alone: both hashes of each entry and the tree, its header and data parsed, the scored logs
    folded, all of it in memory."""
    started, count = perf_counter(), 0
    for log, entries in logs:
        service = log.partition("/")[0]
        assert root(leaf_hash(entry.leaf) for entry in entries)
        assert all(entry.data_holds() for entry in entries)
        if service in SCORED and not log.endswith("/register"):
            before(service).fold(service, entries)
        count += len(entries)
    return count / (perf_counter() - started)


def measure() -> list[Figure]:
    """Audit and floor in turn, some rounds of each; the middle one counts."""
    year = Year(redeclared=REDECLARED)
    raw = [
        (log, [(entry.position, entry.leaf, entry.salt, entry.data) for entry in each])
        for log, each in year.logs.items()
    ]
    count, policy = sum(len(entries) for _, entries in raw), year.policy()
    audits, floors = list[float](), list[float]()
    with tempfile.TemporaryDirectory(prefix="parindex-bench-") as folder:
        year.write(Path(folder))
        del year
        for _ in rounds(ROUNDS, BUDGET):
            audits.append(audit_rate(Path(folder), policy, count))
            # new entries each time: they keep what they have parsed
            floors.append(floor_rate([(log, [Entry(log, *fields) for fields in each]) for log, each in raw]))
    return [Figure("entries audited", "/s", median(audits), "hash, parse and fold alone", median(floors), TARGET)]


if __name__ == "__main__":
    tell(measure())
