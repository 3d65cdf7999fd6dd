"""The Merkle tree against RFC 6962's reference tree and against two libraries that share no code with it."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree
from tlog_scales.reader import TilesReader
from tlog_scales.tlog import ConsistencyProof

from shared.tlog.merkle import (
    EMPTY,
    EMPTY_ROOT,
    Frontier,
    ProofError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from shared.tlog.tiles import Edge

LARGEST = 300
ENTRIES = [f"entry {number}".encode() for number in range(LARGEST)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [root(LEAVES[:size]) for size in range(LARGEST + 1)]

# The tree of Certificate Transparency's reference tests: entries, then the root after each of them.
REFERENCE_ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
REFERENCE_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Folder:
    """Tiles in memory, as the independent reader wants to read them."""

    def __init__(self, leaves: list[bytes]) -> None:
        edge, full = Edge().extend(leaves)
        self.files = {tile.path: tile.to_bytes() for tile in [*full, *edge.partials()]}

    def get(self, *path: str) -> bytes | None:
        return self.files.get("/".join(path))


def some(size: int) -> list[int]:
    """Numbers below `size` on both sides of each place where a tree is split, and a few others."""
    powers = [1 << bit for bit in range(size.bit_length())]
    near = {power + step for power in powers for step in (-1, 0, 1)} | {0, size // 3, size - 2, size - 1}
    return sorted(number for number in near if 0 <= number < size)


@pytest.fixture(scope="module")
def other_tree() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")  # type: ignore[no-untyped-call]  # published without types
    for entry in ENTRIES:
        tree.append_entry(entry)
    return tree


def test_the_reference_tree_has_the_reference_roots() -> None:
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in REFERENCE_ENTRIES]
    assert [root(leaves[:size]).hex() for size in range(1, 9)] == REFERENCE_ROOTS
    assert root([]) == EMPTY_ROOT == sha256(b"").digest()


def test_roots_of_all_sizes_equal_those_of_another_library(other_tree: InmemoryTree) -> None:
    assert ROOTS[1:] == [other_tree.get_root(size) for size in range(1, LARGEST + 1)]


def test_the_frontier_names_the_root_at_every_size_however_it_grew() -> None:
    one_by_one = EMPTY
    for size in range(LARGEST + 1):
        assert one_by_one == EMPTY.extend(LEAVES[:size])
        assert one_by_one.root() == ROOTS[size]
        assert one_by_one.size == size
        if size < LARGEST:
            one_by_one = one_by_one.append(LEAVES[size])


@settings(deadline=None)  # a busy machine is no error
@given(st.lists(st.integers(0, 70), max_size=12))
def test_a_frontier_that_grows_in_batches_equals_one_that_grew_at_once(batches: list[int]) -> None:
    grown, total = EMPTY, 0
    for batch in batches:
        leaves = [leaf_hash(str(number).encode()) for number in range(total, total + batch)]
        grown, total = grown.extend(leaves), total + batch
    assert grown == EMPTY.extend(leaf_hash(str(number).encode()) for number in range(total))


def test_a_frontier_is_read_back_from_its_bytes_and_only_with_its_size() -> None:
    for size in range(LARGEST + 1):
        frontier = EMPTY.extend(LEAVES[:size])
        raw = frontier.to_bytes()
        assert len(raw) == 32 * size.bit_count()
        assert Frontier.from_bytes(size, raw) == frontier
    for size, raw in ((3, b"\x00" * 32), (1, b"\x00" * 31), (0, b"\x00" * 32), (-1, b"\x00" * 32)):
        with pytest.raises(ValueError, match="frontier"):
            Frontier.from_bytes(size, raw)


def test_inclusion_paths_of_all_sizes_equal_those_of_another_library(other_tree: InmemoryTree) -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size) if size < 40 else some(size):
            proof = inclusion_proof(LEAVES[:size], index)
            assert [LEAVES[index], *proof] == other_tree.prove_inclusion(index + 1, size).path
            verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


def test_consistency_paths_of_all_sizes_equal_those_of_another_library() -> None:
    for size in range(1, LARGEST + 1):
        reader = TilesReader(Folder(LEAVES[:size]))
        reader.set_size(size)
        for old in [*(range(size) if size < 40 else some(size)), size]:
            proof = consistency_proof(LEAVES[:size], old)
            if old:  # that library has no path from the empty tree; the RFC asks for none
                other: ConsistencyProof = reader.get_consistency_proof(old, size)
                assert proof == other.node_hashes
                other.check(ROOTS[old], ROOTS[size])
            verify_consistency(old, ROOTS[old], size, ROOTS[size], proof)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 255, 256, 257])
def test_an_inclusion_proof_holds_for_nothing_else(size: int) -> None:
    for index in some(size):
        leaf, proof, expected = LEAVES[index], inclusion_proof(LEAVES[:size], index), ROOTS[size]
        changed = [[*proof[:at], bytes(32), *proof[at + 1 :]] for at in range(len(proof))]
        for wrong in [*changed, proof[:-1] if proof else [bytes(32)], [*proof, bytes(32)]]:
            with pytest.raises(ProofError):
                verify_inclusion(leaf, index, size, wrong, expected)
        for wrong_index in {index + 1, index - 1, size}:
            with pytest.raises(ProofError):
                verify_inclusion(leaf, wrong_index, size, proof, expected)
        with pytest.raises(ProofError):
            verify_inclusion(bytes(32), index, size, proof, expected)
        with pytest.raises(ProofError):
            verify_inclusion(leaf, index, size, proof, bytes(32))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 255, 256, 257])
def test_a_consistency_proof_holds_for_nothing_else(size: int) -> None:
    for old in [*some(size), size]:
        proof = consistency_proof(LEAVES[:size], old)
        changed = [[*proof[:at], bytes(32), *proof[at + 1 :]] for at in range(len(proof))]
        shorter = [proof[:-1]] if proof else []
        for wrong in [*changed, *shorter, [*proof, bytes(32)]]:
            with pytest.raises(ProofError):
                verify_consistency(old, ROOTS[old], size, ROOTS[size], wrong)
        with pytest.raises(ProofError):
            verify_consistency(old, bytes(32), size, ROOTS[size], proof)
        if old:
            with pytest.raises(ProofError):
                verify_consistency(old, ROOTS[old], size, bytes(32), proof)


def test_a_tree_never_begins_with_a_larger_one() -> None:
    with pytest.raises(ProofError):
        verify_consistency(3, ROOTS[3], 2, ROOTS[2], [])
    with pytest.raises(ValueError, match="outside"):
        consistency_proof(LEAVES[:2], 3)
    with pytest.raises(ValueError, match="outside"):
        inclusion_proof(LEAVES[:2], 2)
