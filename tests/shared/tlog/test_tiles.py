"""Tiles, bundles and their paths."""

from pathlib import Path

import pytest
from tlog_scales import tiles as other_tiles
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import DummySigner
from tlog_scales.writer import TilesWriter

from shared.tlog.merkle import EMPTY, leaf_hash
from shared.tlog.tiles import (
    Datum,
    Edge,
    Part,
    TileError,
    data_line,
    data_path,
    edge_parts,
    entries_path,
    outgrown,
    pack_data,
    pack_entries,
    parts,
    paths,
    read_data_line,
    read_tile,
    tile_path,
    unpack_data,
    unpack_entries,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "tlog"
ENTRIES = [f"entry {number}".encode() for number in range(70_000)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
SALT = bytes(range(32))


def test_paths_are_numbered_in_groups_of_three_digits() -> None:
    assert entries_path(0) == "tile/entries/000"
    assert entries_path(999, 1) == "tile/entries/999.p/1"
    assert tile_path(0, 1000) == "tile/0/x001/000"
    assert tile_path(63, 1_234_067, 255) == "tile/63/x001/x234/067.p/255"
    assert data_path(1_000_000) == "data/x001/x000/000"
    for number in (0, 7, 999, 1000, 1001, 999_999, 1_000_000, 1_234_067):
        assert tile_path(3, number, 5).split("/") == other_tiles.tile_path(3, number, 5)
    for number, width in ((-1, 1), (0, 0), (0, 257)):
        with pytest.raises(ValueError, match="no tile"):
            data_path(number, width)
    with pytest.raises(ValueError, match="level"):
        tile_path(64, 0)


def test_the_bundles_of_a_size_begin_with_the_one_that_the_start_lies_in() -> None:
    assert list(parts(0)) == []
    assert list(parts(255)) == [Part(0, 255)]
    assert list(parts(256)) == [Part(0, 256)]
    assert list(parts(600)) == [Part(0, 256), Part(1, 256), Part(2, 88)]
    assert list(parts(600, 256)) == [Part(1, 256), Part(2, 88)]
    assert list(parts(600, 255)) == [Part(0, 256), Part(1, 256), Part(2, 88)]
    assert list(parts(600, 590)) == [Part(2, 88)]
    assert list(parts(600, 600)) == []
    assert list(parts(512, 512)) == []
    assert (Part(2, 88).start, Part(2, 88).stop, Part(2, 88).is_full) == (512, 600, False)


def test_a_tree_of_70000_has_the_tiles_of_the_specification_s_example() -> None:
    edge, full = Edge().extend(LEAVES)
    assert sum(tile.level == 0 for tile in full) == 273
    assert sum(tile.level == 1 for tile in full) == 1
    assert [(tile.level, len(tile.hashes)) for tile in edge.partials()] == [(0, 112), (1, 17), (2, 1)]
    assert edge.frontier() == EMPTY.extend(LEAVES)
    written = {tile.path for tile in [*full, *edge.partials()]}
    assert written == {path for path in paths(70_000) if path.startswith("tile/") and "entries" not in path}
    assert len(list(paths(70_000))) == len(written) + 2 * 274


@pytest.mark.parametrize("batches", [(1,), (255, 1), (256,), (256, 256), (100, 500, 1), (65_536, 1), (300, 65_300)])
def test_tiles_written_in_batches_equal_those_of_another_library(tmp_path: Path, batches: tuple[int, ...]) -> None:
    writer = TilesWriter.create(tmp_path / "log", "example.org/log")
    edge, size = Edge(), 0
    files: dict[str, bytes] = {}
    for batch in batches:
        for entry in ENTRIES[size : size + batch]:
            writer.add_leaf(entry)
        writer.commit([DummySigner("example.org/log", 1)])
        edge, full = edge.extend(LEAVES[size : size + batch])
        size += batch
        files |= {tile.path: tile.to_bytes() for tile in full}
        assert edge.frontier().root() == writer.reader.calculate_root_hash()
    files |= {tile.path: tile.to_bytes() for tile in edge.partials()}
    files |= {entries_path(*part): pack_entries(ENTRIES[part.start : part.stop]) for part in parts(size)}
    for path in paths(size):
        if not path.startswith("data/"):
            assert (tmp_path / "log" / path).read_bytes() == files[path]


def test_another_library_reads_entries_and_proofs_from_these_files(tmp_path: Path) -> None:
    edge, full = Edge().extend(LEAVES[:600])
    for tile in [*full, *edge.partials()]:
        (tmp_path / tile.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / tile.path).write_bytes(tile.to_bytes())
    for part in parts(600):
        target = tmp_path / entries_path(*part)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pack_entries(ENTRIES[part.start : part.stop]))
    reader = TilesReader(LocalBackend(tmp_path))
    reader.set_size(600)
    assert reader.calculate_root_hash() == edge.frontier().root()
    for index in (0, 255, 256, 599):
        assert reader.get_entry(index) == ENTRIES[index]
        reader.get_inclusion_proof(index, 600).check(LEAVES[index], edge.frontier().root())


def test_an_edge_is_read_back_from_the_partial_tiles_of_its_size() -> None:
    for size in (0, 1, 256, 257, 65_536, 65_792, 70_000):
        edge, _ = Edge().extend(LEAVES[:size])
        assert Edge.of(size, {tile.level: tile.hashes for tile in edge.partials()}) == edge
        assert [(tile.level, Part(tile.number, len(tile.hashes))) for tile in edge.partials()] == list(edge_parts(size))


def test_an_edge_is_not_read_from_the_tiles_of_another_size() -> None:
    edge, _ = Edge().extend(LEAVES[:300])
    hashes = {tile.level: tile.hashes for tile in edge.partials()}
    for size in (0, 299, 556, 301):
        with pytest.raises(TileError):
            Edge.of(size, hashes)


def test_a_log_outgrows_partials_that_are_smaller_and_no_others() -> None:
    size = 70_000
    for path in ("tile/0/273.p/111", "tile/entries/272.p/255", "data/000.p/1", "tile/1/001.p/16", "tile/1/000.p/3"):
        assert outgrown(path, size)
    for path in paths(size):
        assert not outgrown(path, size)
    for path in ("tile/0/273.p/113", "tile/entries/274.p/1", "tile/2/000.p/2", "data/x001/000.p/1", "tile/0/000"):
        assert not outgrown(path, size)
    for path in ("checkpoint", "checkpoints/3", "tile/64/000.p/1", "other/000.p/1"):
        assert not outgrown(path, size)


def test_a_bundle_is_the_golden_file_and_is_read_back() -> None:
    entries = [b'{"position":"0"}', b"", b"x" * 300]
    raw = pack_entries(entries)
    assert raw == (GOLDEN / "entries").read_bytes()
    assert unpack_entries(raw) == entries
    assert unpack_entries(b"") == []


def test_a_bundle_that_is_cut_short_or_too_long_is_refused() -> None:
    raw = pack_entries([b"abc", b"defg"])
    for length in set(range(1, len(raw))) - {5}:
        with pytest.raises(TileError, match="cut short"):
            unpack_entries(raw[:length])
    with pytest.raises(TileError, match="257"):
        unpack_entries(pack_entries([b"x"] * 257))
    with pytest.raises(TileError, match="does not fit"):
        pack_entries([b"x" * 65_536])
    assert unpack_entries(pack_entries([b"x" * 65_535])) == [b"x" * 65_535]


def test_a_tile_file_has_exactly_its_hashes() -> None:
    assert read_tile(bytes(64), 2) == (bytes(32), bytes(32))
    for raw in (bytes(63), bytes(96), b""):
        with pytest.raises(TileError):
            read_tile(raw, 2)


def test_a_data_bundle_is_the_golden_file_and_is_read_back() -> None:
    lines = [data_line(SALT, '{"points":"0.5","tên":"Bảo hiểm"}'.encode()), data_line(None, None)]
    raw = pack_data(lines)
    assert raw == (GOLDEN / "data").read_bytes()
    assert unpack_data(raw) == lines
    assert read_data_line(lines[0]) == Datum(SALT, '{"points":"0.5","tên":"Bảo hiểm"}'.encode(), "shown")
    assert read_data_line(lines[1]) == Datum(None, None, "erased")
    assert read_data_line(b"withheld") == Datum(None, None, "withheld")


def test_a_malformed_data_bundle_or_line_is_refused() -> None:
    with pytest.raises(TileError):
        pack_data([b"two\nlines"])
    for raw in (b"", b"erased", b"erased\n" * 257):
        with pytest.raises(TileError):
            unpack_data(raw)
    salt = SALT.hex().encode()
    for line in (b"", salt, salt + b" ", salt.upper() + b" {}", salt[:-2] + b" {}", b"zz" * 32 + b" {}", b"ERASED"):
        with pytest.raises(TileError):
            read_data_line(line)
