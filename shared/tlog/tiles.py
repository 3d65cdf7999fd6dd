"""Tiles (C2SP tlog-tiles): a log's hashes, entries and data as static files of 256 each, and their paths."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from shared.tlog.merkle import EMPTY, HASH_SIZE, Frontier, root

WIDTH = 256
MAX_ENTRY_BYTES = 65_535
CHECKPOINT = "checkpoint"
ERASED = b"erased"
WITHHELD = b"withheld"
_SALT_BYTES = 32
_PARTIAL = re.compile(
    r"(?:data|tile/(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3]))/(?P<number>(?:x\d{3}/)*\d{3})\.p/(?P<width>\d+)"
)


class TileError(ValueError):
    """A bundle or a tile whose bytes are not what its format says."""


class Part(NamedTuple):
    """A run of `width` entries from `start` that is one bundle (or one tile of level 0): full at 256, else partial."""

    number: int
    width: int

    @property
    def start(self) -> int:
        """The position of its first entry."""
        return self.number * WIDTH

    @property
    def stop(self) -> int:
        """The position after its last entry."""
        return self.number * WIDTH + self.width

    @property
    def is_full(self) -> bool:
        """Whether it can grow no more."""
        return self.width == WIDTH


class Tile(NamedTuple):
    """A hash tile: its number within its level, and the hashes of perfect subtrees of 256^level leaves each."""

    level: int
    number: int
    hashes: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """Its file's path within the log."""
        return tile_path(self.level, self.number, len(self.hashes))

    @property
    def is_full(self) -> bool:
        """Whether it can grow no more."""
        return len(self.hashes) == WIDTH

    def to_bytes(self) -> bytes:
        """The hashes, concatenated."""
        return b"".join(self.hashes)


def _numbered(number: int, width: int) -> str:
    if number < 0 or not 1 <= width <= WIDTH:
        raise ValueError(f"no tile has number {number} and width {width}")
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03}")
    path = "/".join(reversed(groups))
    return path if width == WIDTH else f"{path}.p/{width}"


def entries_path(number: int, width: int = WIDTH) -> str:
    """Where an entry bundle stands within its log's folder, such as `tile/entries/x001/x234/067.p/8`."""
    return f"tile/entries/{_numbered(number, width)}"


def data_path(number: int, width: int = WIDTH) -> str:
    """Where a data bundle stands within its log's folder, such as `data/000`."""
    return f"data/{_numbered(number, width)}"


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """Where a hash tile stands within its log's folder, such as `tile/0/000`."""
    if not 0 <= level <= 63:
        raise ValueError(f"no tile has level {level}")
    return f"tile/{level}/{_numbered(number, width)}"


def checkpoint_path(size: int) -> str:
    """Where the checkpoint of a size stands within its log's folder."""
    return f"checkpoints/{size}"


def parts(size: int, start: int = 0) -> Iterator[Part]:
    """The bundles that hold the entries from `start` to `size`, from the one that `start` lies in to the partial."""
    for number in range(start // WIDTH, size // WIDTH):
        yield Part(number, WIDTH)
    if size % WIDTH and size > start:
        yield Part(size // WIDTH, size % WIDTH)


def paths(size: int) -> Iterator[str]:
    """All files, but checkpoints, of a log of this size: entry bundles, data bundles, hash tiles of every level."""
    for part in parts(size):
        yield entries_path(*part)
        yield data_path(*part)
    level, count = 0, size
    while count:
        for part in parts(count):
            yield tile_path(level, *part)
        level, count = level + 1, count // WIDTH


class Edge(NamedTuple):
    """The right edge of a tree of tiles: for each level the hashes that no full tile holds yet.

    From it a tree of tiles grows without its earlier leaves, and its root is known.
    """

    size: int = 0
    levels: tuple[tuple[bytes, ...], ...] = ()

    def extend(self, leaves: Sequence[bytes]) -> tuple["Edge", list[Tile]]:
        """The edge after these leaf hashes, and the tiles that they made full."""
        full: list[Tile] = []
        levels: list[tuple[bytes, ...]] = []
        row, count = tuple(leaves), self.size
        while row or len(levels) < len(self.levels):
            level = len(levels)
            hashes = (*self.levels[level], *row) if level < len(self.levels) else row
            whole = len(hashes) - len(hashes) % WIDTH
            made = [Tile(level, (count + at) // WIDTH, hashes[at : at + WIDTH]) for at in range(0, whole, WIDTH)]
            full += made
            levels.append(hashes[whole:])
            row, count = tuple(root(tile.hashes) for tile in made), count // WIDTH
        return Edge(self.size + len(leaves), tuple(levels)), full

    @classmethod
    def of(cls, size: int, hashes: Mapping[int, tuple[bytes, ...]]) -> "Edge":
        """The edge of a tree of this size from its partial tiles, by level; see `edge_parts`. Raises TileError."""
        expected = {level: part.width for level, part in edge_parts(size)}
        if {level: len(tile) for level, tile in hashes.items()} != expected:
            raise TileError(f"these are not the partial tiles of a tree of {size}")
        height = max(expected, default=-1) + 1
        return cls(size, tuple(hashes.get(level, ()) for level in range(height)))

    def partials(self) -> list[Tile]:
        """The partial tiles that a tree of this size ends in."""
        return [
            Tile(level, self.size // WIDTH ** (level + 1), hashes) for level, hashes in enumerate(self.levels) if hashes
        ]

    def frontier(self) -> Frontier:
        """The frontier of the same tree."""
        hashes = [digest for level in reversed(self.levels) for digest in EMPTY.extend(level).hashes]
        return Frontier(self.size, tuple(hashes))


def edge_parts(size: int) -> Iterator[tuple[int, Part]]:
    """Level and place of each partial tile that a tree of this size ends in."""
    level, count = 0, size
    while count:
        if count % WIDTH:
            yield level, Part(count // WIDTH, count % WIDTH)
        level, count = level + 1, count // WIDTH


def outgrown(path: str, size: int) -> bool:
    """Whether this is the path of a partial that is too small for a log of this size."""
    found = _PARTIAL.fullmatch(path)
    if found is None:
        return False
    level = int(found["level"]) if (found["level"] or "").isdigit() else 0
    held = int(re.sub(r"[x/]", "", found["number"])) * WIDTH + int(found["width"])
    return held < size >> 8 * level


def read_tile(raw: bytes, width: int) -> tuple[bytes, ...]:
    """The hashes of a tile's file. Raises TileError if there are not `width` of them."""
    if len(raw) != width * HASH_SIZE:
        raise TileError(f"a tile of {width} hashes has {width * HASH_SIZE} bytes, not {len(raw)}")
    return tuple(raw[at : at + HASH_SIZE] for at in range(0, len(raw), HASH_SIZE))


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: for each entry its length as a big-endian uint16, then its bytes."""
    pieces: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise TileError(f"an entry of {len(entry)} bytes does not fit a bundle")
        pieces += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(pieces)


def unpack_entries(raw: bytes) -> list[bytes]:
    """The entries of a bundle. Raises TileError if it is cut short or has more than 256."""
    entries: list[bytes] = []
    at, end = 0, len(raw)
    while at < end:
        start = at + 2
        at = start + int.from_bytes(raw[at:start], "big")
        if start > end or at > end:
            raise TileError("the entry bundle is cut short")
        entries.append(raw[start:at])
    if len(entries) > WIDTH:
        raise TileError(f"the entry bundle has {len(entries)} entries")
    return entries


def pack_data(lines: Sequence[bytes]) -> bytes:
    """A data bundle: a line an entry, each ending in LF."""
    for line in lines:
        if b"\n" in line:
            raise TileError("a data line cannot hold a newline")
    return b"".join(line + b"\n" for line in lines)


def unpack_data(raw: bytes) -> list[bytes]:
    """The lines of a data bundle without their LF. Raises TileError if the last one is cut short."""
    if not raw.endswith(b"\n"):
        raise TileError("the data bundle does not end in a newline")
    lines = raw[:-1].split(b"\n")
    if len(lines) > WIDTH:
        raise TileError(f"the data bundle has {len(lines)} lines")
    return lines


class Datum(NamedTuple):
    """What one data line holds: salt and data, or neither, because they were erased or are withheld."""

    salt: bytes | None
    data: bytes | None
    state: str  # "shown", "erased" or "withheld"


def data_line(salt: bytes | None, data: bytes | None) -> bytes:
    """The line of one entry: `<salt hex> <data JSON>`, or `erased`."""
    if salt is None or data is None:
        return ERASED
    return salt.hex().encode() + b" " + data


def read_data_line(line: bytes) -> Datum:
    """Read `data_line`. Raises TileError if it has another form."""
    if line in {ERASED, WITHHELD}:
        return Datum(None, None, line.decode())
    written, found, data = line.partition(b" ")
    try:
        salt = bytes.fromhex(written.decode("ascii"))
    except ValueError as error:
        raise TileError("a data line begins with its salt in hex") from error
    if not found or not data or salt.hex().encode() != written or len(salt) != _SALT_BYTES:
        raise TileError("a data line is <64 hex of salt> <data>, erased or withheld")
    return Datum(salt, data, "shown")
