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


class Meaning(NamedTuple):
    """What a finding means, in English and Vietnamese, and the check that it belongs to."""

    check: Check
    en: str
    vi: str


FINDINGS: Final[Mapping[str, Meaning]] = {
    "key-missing": Meaning(
        Check.KEYS,
        "the policy has no key for a log of the archive, or of a register",
        "danh sách khóa thiếu khóa của một sổ trong bản lưu hoặc của một sổ đăng ký",
    ),
    "log-missing": Meaning(
        Check.KEYS,
        "the policy has a key for a log that the archive does not hold",
        "danh sách khóa có khóa của một sổ mà bản lưu không có",
    ),
    "log-not-opened": Meaning(
        Check.KEYS, "the service's register does not open the log", "sổ đăng ký của dịch vụ không mở sổ này"
    ),
    "key-differs": Meaning(
        Check.KEYS,
        "the register opens the log with another key than the policy's",
        "sổ đăng ký mở sổ này với khóa khác khóa trong danh sách",
    ),
    "register-differs": Meaning(
        Check.KEYS,
        "a register is of another deployment, or its clock was moved where none may be",
        "sổ đăng ký của hệ thống khác, hoặc đồng hồ bị chỉnh ở nơi không được phép",
    ),
    "file-missing": Meaning(
        Check.FILES, "a file lacks that a log of this size has", "thiếu một tệp mà sổ cỡ này phải có"
    ),
    "file-unknown": Meaning(
        Check.FILES, "a file that nothing in the archive accounts for", "tệp lạ, không thuộc phần nào của bản lưu"
    ),
    "file-malformed": Meaning(
        Check.FILES, "a file that does not have its format or its number of rows", "tệp sai định dạng hoặc sai số dòng"
    ),
    "signature-fails": Meaning(
        Check.SIGNATURES, "a checkpoint that the log's key has not signed", "điểm kiểm không do khóa của sổ ký"
    ),
    "signer-unknown": Meaning(
        Check.SIGNATURES,
        "a checkpoint with a signature by a key that the policy does not name",
        "điểm kiểm có chữ ký của khóa không có trong danh sách",
    ),
    "not-witnessed": Meaning(
        Check.SIGNATURES,
        "a register's checkpoint without the witnesses that the policy asks for",
        "điểm kiểm của sổ đăng ký thiếu nhân chứng mà danh sách khóa yêu cầu",
    ),
    "size-differs": Meaning(
        Check.SIGNATURES,
        "a checkpoint of another size than its file's name",
        "điểm kiểm có số bản ghi khác với tên tệp",
    ),
    "root-differs": Meaning(
        Check.ROOTS, "the entries do not have the root that was signed", "các bản ghi không cho ra gốc đã ký"
    ),
    "root-unknown": Meaning(
        Check.ROOTS, "a root that cannot be computed because entries lack", "không tính được gốc vì thiếu bản ghi"
    ),
    "entry-differs": Meaning(
        Check.ROOTS,
        "an entry that has another hash than its hash tile, under a root that fails",
        "bản ghi có mã băm khác ô băm, dưới một gốc không khớp",
    ),
    "tile-differs": Meaning(
        Check.TILES,
        "a hash tile that differs from the entries, under a root that holds",
        "ô băm khác với các bản ghi, dưới một gốc khớp",
    ),
    "header-malformed": Meaning(
        Check.HEADERS,
        "a header that lacks an attribute, has another one or has one in another form",
        "tiêu đề thiếu, thừa hoặc sai dạng thuộc tính",
    ),
    "header-not-canonical": Meaning(
        Check.HEADERS,
        "a header that is not written canonically (RFC 8785)",
        "tiêu đề không viết theo dạng chuẩn (RFC 8785)",
    ),
    "source-differs": Meaning(Check.HEADERS, "an entry of another log", "bản ghi của sổ khác"),
    "position-differs": Meaning(
        Check.HEADERS, "an entry that says another position than it has", "bản ghi nêu vị trí khác vị trí thật"
    ),
    "version-differs": Meaning(
        Check.HEADERS,
        "an entry that does not have its stream's next version",
        "bản ghi không mang phiên bản kế tiếp của luồng",
    ),
    "time-backwards": Meaning(
        Check.HEADERS,
        "an entry with an earlier time than the one before it",
        "bản ghi có thời điểm sớm hơn bản ghi trước",
    ),
    "type-unknown": Meaning(
        Check.HEADERS, "an entry of a type that the service does not write", "bản ghi thuộc loại mà dịch vụ không ghi"
    ),
    "data-differs": Meaning(
        Check.DATA, "data that are not what the header commits to", "dữ liệu không khớp với cam kết trong tiêu đề"
    ),
    "data-malformed": Meaning(
        Check.DATA,
        "a line of data that has none of its forms, or an event that cannot be read",
        "dòng dữ liệu sai dạng, hoặc sự kiện không đọc được",
    ),
    "erased-not-erasable": Meaning(
        Check.ERASED, "erased data of a type that cannot be erased", "đã xóa dữ liệu thuộc loại không được xóa"
    ),
    "withheld-public": Meaning(
        Check.WITHHELD,
        "withheld data that the period's publication policy does not withhold",
        "giữ lại dữ liệu mà quy định công bố của kỳ không cho giữ lại",
    ),
    "evidence-differs": Meaning(
        Check.EVIDENCE,
        "a file of evidence whose bytes are not what it is named by, or not its size",
        "tài liệu kiểm chứng có nội dung khác mã băm trong tên, hoặc khác dung lượng",
    ),
    "evidence-missing": Meaning(
        Check.EVIDENCE,
        "an entry names a file of evidence that is not there",
        "bản ghi nêu một tài liệu kiểm chứng không có trong bản lưu",
    ),
    "evidence-unknown": Meaning(
        Check.EVIDENCE, "a file of evidence that no entry names", "tài liệu kiểm chứng mà không bản ghi nào nêu"
    ),
    "manifest-differs": Meaning(
        Check.MANIFESTS,
        "a manifest whose count, first position, digest or sums are not its parts'",
        "bản kê có số phần, vị trí đầu, mã băm hoặc tổng khác với các phần",
    ),
    "manifest-missing": Meaning(
        Check.MANIFESTS,
        "parts without the manifest that makes them count",
        "có các phần nhưng thiếu bản kê để chúng có hiệu lực",
    ),
    "tally-invalid": Meaning(
        Check.VOTES,
        "a tally that a council of this size cannot have",
        "kết quả biểu quyết không thể có với Hội đồng cỡ này",
    ),
    "vote-not-carried": Meaning(
        Check.VOTES,
        "an adjustment that the council's rule does not carry",
        "điều chỉnh không đủ phiếu theo quy tắc của Hội đồng",
    ),
    "ballots-exceed-invitations": Meaning(Check.BALLOTS, "more ballots than invitations", "số phiếu nhiều hơn số mời"),
    "ballots-differ": Meaning(
        Check.BALLOTS, "counts that are not those of the ballots recorded", "số đếm khác với số phiếu đã ghi"
    ),
    "ballots-too-few": Meaning(
        Check.BALLOTS, "an entry that speaks for fewer than five ballots", "bản ghi đại diện cho ít hơn năm phiếu"
    ),
    "approval-missing": Meaning(
        Check.APPROVALS,
        "a published result that was not consolidated and then approved",
        "kết quả công bố chưa được tổng hợp rồi phê duyệt",
    ),
    "approval-same-person": Meaning(
        Check.APPROVALS, "a result approved by the person who consolidated it", "người tổng hợp tự phê duyệt kết quả"
    ),
    "approval-differs": Meaning(
        Check.APPROVALS,
        "a published result that is not the one approved",
        "kết quả công bố không phải kết quả đã phê duyệt",
    ),
    "revision-differs": Meaning(
        Check.APPROVALS,
        "a publication after the first without its opened revision, or a revision of another one",
        "công bố lại mà không mở điều chỉnh, hoặc điều chỉnh kết quả khác",
    ),
    "heads-differ": Meaning(
        Check.HEADS,
        "a result computed from other logs, sizes or roots than it may be",
        "kết quả tính từ sổ, số bản ghi hoặc gốc không được phép",
    ),
    "period-not-published": Meaning(
        Check.HEADS,
        "the period that was asked for is not published in the archive",
        "kỳ được hỏi chưa công bố trong bản lưu",
    ),
    "not-recomputed": Meaning(
        Check.FIGURES, "a published result that cannot be computed again", "không tính lại được kết quả công bố"
    ),
    "figure-differs": Meaning(
        Check.FIGURES, "a published figure that is not the one computed again", "số liệu công bố khác với số tính lại"
    ),
    "digest-differs": Meaning(
        Check.FIGURES, "a result whose digest is not the one computed again", "mã băm của kết quả khác với mã tính lại"
    ),
}
"""Every finding by its name."""


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
        by_check = Counter(FINDINGS[each.name].check for each in found)
        lines = tuple(Line(check, self.counts[check], by_check[check]) for check in Check)
        return Verdict(found, lines, len(self.sizes), sum(self.sizes.values()), periods, tuple(self.erased))
