"""Findings: what an audit checks, what it can find wrong, and the verdict that follows."""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from shared.events import Entry
from shared.tlog.tiles import WIDTH, data_path


class Check(StrEnum):
    """What an audit looks at, in the order of its table."""

    KEYS = "keys"
    FILES = "files"
    SIGNATURES = "signatures"
    ROOTS = "roots"
    TILES = "tiles"
    HEADERS = "headers"
    DATA = "data"
    ERASED = "erased"
    WITHHELD = "withheld"
    EVIDENCE = "evidence"
    MANIFESTS = "manifests"
    VOTES = "votes"
    BALLOTS = "ballots"
    APPROVALS = "approvals"
    HEADS = "heads"
    FIGURES = "figures"


TITLES: Final[Mapping[Check, tuple[str, str]]] = {
    Check.KEYS: ("Khóa của các sổ trong sổ đăng ký", "Keys of the logs in the registers"),
    Check.FILES: ("Tệp: không thiếu, không lạ", "Files: none missing, none unknown"),
    Check.SIGNATURES: ("Chữ ký của điểm kiểm", "Signatures of checkpoints"),
    Check.ROOTS: ("Gốc của cây, tính lại", "Roots, computed again"),
    Check.TILES: ("Ô băm, tính lại", "Hash tiles, computed again"),
    Check.HEADERS: ("Tiêu đề của bản ghi", "Headers of entries"),
    Check.DATA: ("Dữ liệu khớp với cam kết", "Data against their commitments"),
    Check.ERASED: ("Dữ liệu đã xóa, không kiểm được", "Erased data, not verified"),
    Check.WITHHELD: ("Dữ liệu không công bố, không kiểm được", "Withheld data, not verified"),
    Check.EVIDENCE: ("Tài liệu kiểm chứng khớp với mã băm", "Evidence files against their hashes"),
    Check.MANIFESTS: ("Bản kê khớp với các phần", "Manifests against their parts"),
    Check.VOTES: ("Biểu quyết của Hội đồng", "Votes of the council"),
    Check.BALLOTS: ("Phiếu không vượt số mời", "Ballots within invitations"),
    Check.APPROVALS: ("Người khác phê duyệt cùng kết quả", "The same result approved by another person"),
    Check.HEADS: ("Kết quả tính từ đúng các sổ", "Heads of published results"),
    Check.FIGURES: ("Số liệu công bố, tính lại", "Published figures, computed again"),
}
"""Each check in Vietnamese and English."""

FINDINGS: Final[Mapping[str, tuple[Check, str]]] = {
    "key-missing": (Check.KEYS, "the policy has no key for a log of the archive, or of a register"),
    "log-missing": (Check.KEYS, "the policy has a key for a log that the archive does not hold"),
    "log-not-opened": (Check.KEYS, "the service's register does not open the log"),
    "key-differs": (Check.KEYS, "the register opens the log with another key than the policy's"),
    "register-differs": (Check.KEYS, "a register is of another deployment, or its clock was moved where none may be"),
    "file-missing": (Check.FILES, "a file lacks that a log of this size has"),
    "file-unknown": (Check.FILES, "a file that nothing in the archive accounts for"),
    "file-malformed": (Check.FILES, "a file that does not have its format or its number of rows"),
    "signature-fails": (Check.SIGNATURES, "a checkpoint that the log's key has not signed"),
    "signer-unknown": (Check.SIGNATURES, "a checkpoint with a signature by a key that the policy does not name"),
    "not-witnessed": (Check.SIGNATURES, "a register's checkpoint without the witnesses that the policy asks for"),
    "size-differs": (Check.SIGNATURES, "a checkpoint of another size than its file's name"),
    "root-differs": (Check.ROOTS, "the entries do not have the root that was signed"),
    "root-unknown": (Check.ROOTS, "a root that cannot be computed because entries lack"),
    "entry-differs": (Check.ROOTS, "an entry that has another hash than its hash tile, under a root that fails"),
    "tile-differs": (Check.TILES, "a hash tile that differs from the entries, under a root that holds"),
    "header-malformed": (Check.HEADERS, "a header that lacks an attribute, has another one or has one in another form"),
    "header-not-canonical": (Check.HEADERS, "a header that is not written canonically (RFC 8785)"),
    "source-differs": (Check.HEADERS, "an entry of another log"),
    "position-differs": (Check.HEADERS, "an entry that says another position than it has"),
    "version-differs": (Check.HEADERS, "an entry that does not have its stream's next version"),
    "time-backwards": (Check.HEADERS, "an entry with an earlier time than the one before it"),
    "type-unknown": (Check.HEADERS, "an entry of a type that the service does not write"),
    "data-differs": (Check.DATA, "data that are not what the header commits to"),
    "data-malformed": (Check.DATA, "a line of data that has none of its forms, or an event that cannot be read"),
    "erased-not-erasable": (Check.ERASED, "erased data of a type that cannot be erased"),
    "withheld-public": (Check.WITHHELD, "withheld data that the period's publication policy does not withhold"),
    "evidence-differs": (Check.EVIDENCE, "a file of evidence whose bytes are not what it is named by, or not its size"),
    "evidence-missing": (Check.EVIDENCE, "an entry names a file of evidence that is not there"),
    "evidence-unknown": (Check.EVIDENCE, "a file of evidence that no entry names"),
    "manifest-differs": (Check.MANIFESTS, "a manifest whose count, first position, digest or sums are not its parts'"),
    "manifest-missing": (Check.MANIFESTS, "parts without the manifest that makes them count"),
    "tally-invalid": (Check.VOTES, "a tally that a council of this size cannot have"),
    "vote-not-carried": (Check.VOTES, "an adjustment that the council's rule does not carry"),
    "ballots-exceed-invitations": (Check.BALLOTS, "more ballots than invitations"),
    "ballots-differ": (Check.BALLOTS, "counts that are not those of the ballots recorded"),
    "ballots-too-few": (Check.BALLOTS, "an entry that speaks for fewer than five ballots"),
    "approval-missing": (Check.APPROVALS, "a published result that was not consolidated and then approved"),
    "approval-same-person": (Check.APPROVALS, "a result approved by the person who consolidated it"),
    "approval-differs": (Check.APPROVALS, "a published result that is not the one approved"),
    "heads-differ": (Check.HEADS, "a result computed from other logs, sizes or roots than it may be"),
    "period-not-published": (Check.HEADS, "the period that was asked for is not published in the archive"),
    "not-recomputed": (Check.FIGURES, "a published result that cannot be computed again"),
    "figure-differs": (Check.FIGURES, "a published figure that is not the one computed again"),
    "digest-differs": (Check.FIGURES, "a result whose digest is not the one computed again"),
}
"""Every finding by its name: the check that it belongs to, and what it means."""


class Finding(NamedTuple):
    """One thing that is wrong: the file, the entry's position where it is about one, what, and in words."""

    file: str
    position: int | None
    name: str
    message: str

    @property
    def place(self) -> str:
        """The file and, where it is about an entry, the position."""
        return self.file if self.position is None else f"{self.file} @{self.position}"


class Line(NamedTuple):
    """A line of the verdict's table: how many things were checked (or left unverified), and the findings."""

    check: Check
    checked: int
    findings: int


class Verdict(NamedTuple):
    """What an audit found, sorted by place. `erased` names the entries without data; `periods` were computed again."""

    findings: tuple[Finding, ...]
    checks: tuple[Line, ...]
    logs: int
    entries: int
    periods: tuple[str, ...]
    erased: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class Report:
    """What an audit has found so far. `sizes`: log → the size that it is audited at, for the names of files."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.counts: Counter[Check] = Counter()
        self.erased: list[str] = []
        self._findings: set[Finding] = set()

    def find(self, name: str, file: str, message: str, position: int | None = None) -> None:
        """Note a finding at a file."""
        assert name in FINDINGS, name
        self._findings.add(Finding(file, position, name, message))

    def find_entry(self, name: str, entry: Entry, message: str) -> None:
        """Note a finding about what an entry says."""
        self.find(name, self.data_file(entry.log, entry.position), message, entry.position)

    def data_file(self, log: str, position: int) -> str:
        """The file that holds an entry's data."""
        number = position // WIDTH
        return f"{log}/{data_path(number, min(WIDTH, self.sizes[log] - number * WIDTH))}"

    def verdict(self, periods: tuple[str, ...]) -> Verdict:
        """The verdict on all that was noted."""
        found = tuple(sorted(self._findings, key=lambda each: (each.file, each.position or 0, each.name, each.message)))
        by_check = Counter(FINDINGS[each.name][0] for each in found)
        lines = tuple(Line(check, self.counts[check], by_check[check]) for check in Check)
        return Verdict(found, lines, len(self.sizes), sum(self.sizes.values()), periods, tuple(self.erased))
