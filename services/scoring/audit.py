"""The audit: everything in an exported archive verified, then every published result computed again and compared."""

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

import orjson

from services.scoring.findings import Check, Report, Verdict
from services.scoring.formula import FORMULAS
from services.scoring.index import head_sizes
from services.scoring.replay import Result, result_of
from services.scoring.scorecard import SCORED, Folded, States, before
from services.scoring.statements import Opening, Publication, Statements
from services.scoring.verification import Verification, claimed_size
from shared.archive import ArchiveError, ArchiveReader
from shared.events import SERVICES, Entry, decode
from shared.events.scoring import Head, IndexPublished, IndexRevised
from shared.tlog.checkpoint import Policy
from shared.tlog.note import NoteError, VerificationKey
from shared.tlog.tiles import CHECKPOINT, WIDTH, read_data_line

Progress: TypeAlias = Callable[[int, int, str], None]
"""Told after each bundle: how many entries are audited, how many there are, and the log."""


class AuditError(Exception):
    """An archive or a policy that cannot be audited at all; the message says how to mend it."""


def audit(
    archive: ArchiveReader, policy: Policy, period: str | None = None, progress: Progress | None = None
) -> Verdict:
    """Audit an exported archive with the keys of `policy`, which must not come from the archive.

    Everything in the folder is verified, and every period that is published there is computed again; with `period` it
    must be among them. Nothing but the folder is read. Raises AuditError.
    """
    with _uncollected():
        return _Audit(archive, policy, progress).run(period)


def opened_logs(archive: ArchiveReader, registers: Policy) -> tuple[Policy, Verdict]:
    """The policy that the registers of an archive state, which holds the key of every log that they open.

    `registers` names the registers' own keys. The policy is good only if the verdict on the registers holds.
    """
    work = _Audit(archive, registers, None)
    work.read(work.keys)
    keys = dict(registers.keys)
    for log, openings in sorted(work.statements.openings.items()):
        for opening in openings:
            try:
                key = VerificationKey.parse(opening.key)
            except NoteError as error:
                work.report.find_entry("key-differs", opening.entry, str(error))
                continue
            if keys.setdefault(f"{work.deployment}/{log}", key) != key:
                work.report.find_entry("key-differs", opening.entry, f"{log} is opened with a second key")
    return Policy(keys), work.report.verdict(())


class _Fold:
    """The folding of one scored log, kept at the sizes that published results name."""

    def __init__(self, service: str, sizes: Iterable[int]) -> None:
        self._service = service
        self._folded = before(service)
        self._waiting = sorted(set(sizes) - {0})
        self.kept: dict[int, Folded] = {0: self._folded}
        self.failure: str | None = None

    def take(self, entries: Sequence[Entry], stop: int) -> None:
        """Fold the entries of a bundle that ends before position `stop`."""
        while self._waiting and self.failure is None:
            size = self._waiting[0]
            if size > stop:
                self._advance(entries)
                return
            self._advance([entry for entry in entries if entry.position < size])
            self.kept[self._waiting.pop(0)] = self._folded
            entries = [entry for entry in entries if entry.position >= size]

    def _advance(self, entries: Sequence[Entry]) -> None:
        try:
            self._folded = self._folded.fold(self._service, entries)
        except Exception as error:  # noqa: BLE001 - a history that is signed and wrong may break the fold in any way
            self.failure = f"its history cannot be folded ({type(error).__name__}: {error})"


class _Audit:
    """One audit: what it has verified and folded so far."""

    def __init__(self, archive: ArchiveReader, policy: Policy, progress: Progress | None) -> None:
        self.report = Report()
        self.deployment, self.keys = _keys(policy)
        self.statements = Statements(self.deployment, self.report)
        self._archive, self._policy, self._progress = archive, policy, progress
        self._held = archive.logs()
        self._logs: dict[str, Verification] = {}
        self._folds: dict[str, _Fold] = {}
        if not self._held:
            raise AuditError(f"{archive.root} holds no log; give the folder that `parindex archive export` wrote")

    def run(self, period: str | None) -> Verdict:
        """All of it, in the order that each part needs."""
        self.read(self.keys)
        self._check_keys()
        self._check_files()
        self._check_evidence()
        publications = self.statements.publications
        for publication in publications:
            self._check_publication(publication)
        published = {each.entry.log.partition("/")[2] for each in publications}
        if period is not None and period not in published:
            self.report.find("period-not-published", f"scoring/{period}", f"{period} is not published in this archive")
        return self.report.verdict(tuple(sorted(published)))

    def read(self, logs: Iterable[str]) -> None:
        """Verify these logs, a period's in the order in which their statements rest on each other."""
        for log in sorted(set(logs) & set(self._held), key=_turn):
            verification = Verification(self._archive, log, self.keys[log], self._policy, self.report)
            if verification.open():
                self._logs[log] = verification
        wanted = self._wanted()
        done, total = 0, sum(verification.size for verification in self._logs.values())
        for log, verification in self._logs.items():
            verification.wanted = wanted.get(log, set())
            fold = _Fold(log.partition("/")[0], verification.wanted) if _is_scored(log) else None
            if fold is not None:
                self._folds[log] = fold
            start = done
            for entries in verification.bundles():
                done = min(done + WIDTH, start + verification.size)
                self.statements.take(log, entries)
                if fold is not None:
                    fold.take(entries, done - start)
                if self._progress is not None:
                    self._progress(done, total, log)
            self.statements.close(log)
            for entry in verification.withheld:
                self.statements.withheld(entry)

    def _wanted(self) -> dict[str, set[int]]:
        """The sizes of every log that a published result names; they are believed only once they are verified."""
        wanted: dict[str, set[int]] = {}
        for log, verification in self._logs.items():
            if log.startswith("scoring/"):
                for index in _published(self._archive, log, verification.size):
                    for named, head in index.heads.items():
                        wanted.setdefault(named, set()).add(head.size)
        return wanted

    def _check_key(self, log: str, openings: Sequence[Opening]) -> None:
        """Hold what the registers say of a log against the policy."""
        key = self.keys.get(log)
        for opening in openings:
            if opening.entry.log.partition("/")[0] != log.partition("/")[0]:
                self.report.find_entry("register-differs", opening.entry, f"it opens {log}, a log of another service")
            if key is None:
                self.report.find_entry("key-missing", opening.entry, f"the policy has no key for {log}, opened here")
            elif opening.key != str(key):
                self.report.find_entry("key-differs", opening.entry, f"{log} is opened with {opening.key}, not {key}")
            else:
                self.report.counts[Check.KEYS] += 1

    def _check_keys(self) -> None:
        openings = self.statements.openings
        for log in self._held:
            if log not in self.keys:
                self.report.find("key-missing", f"{log}/{CHECKPOINT}", f"the policy has no key for {log}")
            elif log not in openings:
                message = f"the register of {log.partition('/')[0]} does not open {log}"
                self.report.find("log-not-opened", f"{log}/{CHECKPOINT}", message)
        for log in sorted(self.keys.keys() - set(self._held)):
            self.report.find("log-missing", f"{log}/{CHECKPOINT}", f"the policy has a key for {log}, which is not here")
        for log, stated in openings.items():
            self._check_key(log, stated)

    def _check_files(self) -> None:
        """Account for every file; a log without a key is named once, not file by file."""
        sizes = dict(self.report.sizes)
        for log in set(self._held) - sizes.keys():
            if (size := claimed_size(self._archive, log)) is not None:
                sizes[log] = size
        for name in self._archive.missing(sizes):
            self.report.find("file-missing", name, "it is missing")
        cosignatures = (path.relative_to(self._archive.root) for path in self._archive.root.glob("*/*/checkpoints/*.*"))
        for name in {*self._archive.unknown(sizes), *(path.as_posix() for path in cosignatures)}:
            self.report.find("file-unknown", name, "nothing in the archive accounts for it")
        self.report.counts[Check.FILES] = sum(not path.is_dir() for path in self._archive.root.rglob("*"))

    def _check_evidence(self) -> None:
        named = self.statements.evidence
        present = {sha256: path for sha256, path in self._archive.evidence() if not path.is_symlink()}
        for sha256, path in present.items():
            name = path.relative_to(self._archive.root).as_posix()
            with path.open("rb") as file:
                found, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
            if sha256 not in named:
                self.report.find("evidence-unknown", name, "no entry names it")
            if found != sha256:
                self.report.find("evidence-differs", name, f"its SHA-256 is {found}")
            for entry, stated in named.get(sha256, ()):
                if stated != size:
                    message = f"it has {size} bytes, {entry.log} @{entry.position} says {stated}"
                    self.report.find("evidence-differs", name, message)
            self.report.counts[Check.EVIDENCE] += 1
        for sha256 in named.keys() - present.keys():
            for entry, _ in named[sha256]:
                self.report.find_entry("evidence-missing", entry, f"there is no evidence/sha256/{sha256}")

    def _check_publication(self, publication: Publication) -> None:
        """Compute a published result again at its heads, and compare it digit by digit."""
        entry, index = publication.entry, publication.event
        period = entry.log.partition("/")[2]
        for message in self._head_faults(publication, period):
            self.report.find_entry("heads-differ", entry, message)
        self.report.counts[Check.HEADS] += len(index.heads)
        try:
            states = self._states(index, period)
            result = result_of(states, _scored_heads(index), formula=index.formula)
        except _NotRecomputed as reason:
            self.report.find_entry("not-recomputed", entry, str(reason))
            return
        except Exception as error:  # noqa: BLE001 - a history that is signed and wrong may break the formula in any way
            self.report.find_entry("not-recomputed", entry, f"it cannot be computed ({type(error).__name__}: {error})")
            return
        finalised = states.appraisal.finalised
        expected = None if finalised is None else head_sizes(period, finalised)
        if expected != {log: head.size for log, head in _scored_heads(index).items()}:
            self.report.find_entry("heads-differ", entry, f"the finalising sets the sizes {expected}")
        self._compare(publication, result)

    def _head_faults(self, publication: Publication, period: str) -> Iterator[str]:
        index, own = publication.event, publication.entry.log
        if index.period != period:
            yield f"it is of the period {index.period}"
        if index.heads.keys() != {f"{service}/{period}" for service in SERVICES}:
            yield f"it names {', '.join(sorted(index.heads))}"
        for log, head in sorted(index.heads.items()):
            known = self._logs.get(log)
            if known is None or head.size > known.size:
                yield f"the archive does not hold {log} up to {head.size}"
            elif head.size in known.roots and known.roots[head.size].hex() != head.root:
                yield f"{log} has another root at {head.size} than {head.root}"
            elif head.size not in known.roots:
                yield f"the root of {log} at {head.size} cannot be computed"
        if own in index.heads and index.heads[own].size != index.first:
            yield f"{own} was at {index.first} before the publication, not at {index.heads[own].size}"

    def _states(self, index: IndexPublished, period: str) -> States:
        if index.formula not in FORMULAS:
            raise _NotRecomputed(f"this version has no formula {index.formula}")
        folded: dict[str, Folded] = {}
        for service in SCORED:
            log = f"{service}/{period}"
            head, known, fold = index.heads.get(log), self._logs.get(log), self._folds.get(log)
            if head is None or known is None or fold is None:
                raise _NotRecomputed(f"{log} is not there")
            if known.broken is not None and known.broken < head.size:
                raise _NotRecomputed(f"{log} does not hold from position {known.broken} on")
            if head.size not in fold.kept:
                raise _NotRecomputed(f"{log}: {fold.failure or f'it does not reach {head.size}'}")
            folded[service] = fold.kept[head.size]
        return States.of(folded)

    def _compare(self, publication: Publication, result: Result) -> None:
        entry, index = publication.entry, publication.event
        published = {card.agency: part for part, card in publication.cards}
        if list(published) != [row.agency for row in result.table]:
            self.report.find_entry("figure-differs", entry, f"the table's order is published as {', '.join(published)}")
        if len(published) != len(publication.cards) or published.keys() != result.cards.keys():
            self.report.find_entry("figure-differs", entry, f"cards of {', '.join(sorted(published))} are published")
        rows = {row.agency: row.model_dump(mode="json", exclude_none=True) for row in result.table}
        for agency, part in published.items():
            if agency in result.cards:
                card = result.cards[agency].model_dump(mode="json", exclude_none=True)
                self._figures(part, f"card {agency}", _stated(part, "card"), card)
                self._figures(part, f"row {agency}", _stated(part, "row"), rows[agency])
        if index.digest != result.digest:
            self.report.find_entry("digest-differs", entry, f"{index.digest} is published, {result.digest} recomputed")

    def _figures(self, entry: Entry, what: str, published: Any, computed: Any) -> None:
        stated, found = dict(_leaves(what, published)), dict(_leaves(what, computed))
        for place in sorted(stated.keys() | found.keys()):
            if stated.get(place) != found.get(place):
                message = f"{place}: {stated.get(place)} is published, {found.get(place)} computed again"
                self.report.find_entry("figure-differs", entry, message)
        self.report.counts[Check.FIGURES] += len(stated)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: an audit makes none, and each search goes through every object that it keeps."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _NotRecomputed(Exception):
    """Why a published result cannot be computed again."""


def _keys(policy: Policy) -> tuple[str, dict[str, VerificationKey]]:
    """The deployment that a policy is for, and the key of each log by its name."""
    deployments = {origin.rpartition("/")[0].rpartition("/")[0] for origin in policy.keys}
    if len(deployments) != 1 or "" in deployments:
        raise AuditError("the policy must have `log` lines, all of one deployment: <deployment>/<service>/<period>+…")
    [deployment] = deployments
    return deployment, {origin.removeprefix(f"{deployment}/"): key for origin, key in policy.keys.items()}


def _turn(log: str) -> tuple[bool, str, int, str]:
    service, _, name = log.partition("/")
    return name != "register", name, SERVICES.index(service) if service in SERVICES else len(SERVICES), service


def _published(archive: ArchiveReader, log: str, size: int) -> Iterator[IndexPublished]:
    """What a scoring log seems to publish; where it cannot be read, the verification names it."""
    tags = {f'"type":"{kind.type}"'.encode(): kind.type for kind in (IndexPublished, IndexRevised)}
    with suppress(ArchiveError, ValueError):
        for bundle, data in zip(archive.entries(log, size), archive.data(log, size), strict=True):
            for leaf, line in zip(bundle.rows, data.rows, strict=True):
                kind = next((kind for tag, kind in tags.items() if tag in leaf), None)
                if kind is not None and (shown := read_data_line(line).data) is not None:
                    index = decode(kind, shown)
                    assert isinstance(index, IndexPublished)
                    yield index


def _is_scored(log: str) -> bool:
    return log.partition("/")[0] in SCORED


def _scored_heads(index: IndexPublished) -> dict[str, Head]:
    return {log: head for log, head in sorted(index.heads.items()) if _is_scored(log)}


def _stated(entry: Entry, name: str) -> Any:
    """A part of an entry's data exactly as it is written there."""
    return orjson.loads(entry.data or b"{}").get(name)


def _leaves(place: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every figure and word of a JSON value by its place; lines of a list are named by number and what they are of."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{place} {name}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(f"{place} {number}{_of(inner)}", inner)
    else:
        yield place, orjson.dumps(value).decode()


def _of(value: Any) -> str:
    names = ("agency", "code", "part") if isinstance(value, dict) else ()
    return next((f":{value[name]}" for name in names if name in value), "")
