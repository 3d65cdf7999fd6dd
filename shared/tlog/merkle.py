"""The Merkle tree over a log: hashes, frontier, roots, inclusion and consistency proofs (RFC 9162 section 2.1)."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()


class ProofError(ValueError):
    """A proof does not lead to the root it is said to lead to."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(00 ‖ entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier(NamedTuple):
    """The hashes of the perfect subtrees that a tree of `size` leaves consists of, largest first.

    It is all that is needed to go on appending and to name the root: one hash for each bit that is set in `size`.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier after one more leaf hash."""
        hashes = self.hashes
        kept = len(hashes)
        height = self.size
        while height & 1:
            kept -= 1
            leaf = sha256(b"\x01" + hashes[kept] + leaf).digest()
            height >>= 1
        return Frontier(self.size + 1, (*hashes[:kept], leaf))

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier after these leaf hashes, in order; works level by level, one node hash a leaf."""
        row = list(leaves)
        added = len(row)
        kept = list(self.hashes)
        fresh: list[bytes] = []
        height = self.size
        while row:
            if height & 1:
                row.insert(0, kept.pop())
            if len(row) & 1:
                fresh.append(row.pop())
            row = _parents(row)
            height >>= 1
        return Frontier(self.size + added, (*kept, *reversed(fresh)))

    def root(self) -> bytes:
        """The tree's root hash, 32 bytes."""
        if not self.hashes:
            return EMPTY_ROOT
        *larger, root = self.hashes
        for left in reversed(larger):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        """The hashes, concatenated; the size is kept beside them."""
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, raw: bytes) -> "Frontier":
        """Read back `to_bytes`. Raises ValueError if the number of hashes does not belong to the size."""
        if size < 0 or len(raw) != HASH_SIZE * size.bit_count():
            raise ValueError(f"a frontier of size {size} cannot have {len(raw)} bytes")
        return cls(size, tuple(raw[at : at + HASH_SIZE] for at in range(0, len(raw), HASH_SIZE)))


EMPTY = Frontier()


def _parents(row: Sequence[bytes]) -> list[bytes]:
    """The node hashes over neighbouring pairs of a row of even length."""
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes (RFC 9162 section 2.1.1)."""
    return EMPTY.extend(leaves).root()


def _split(size: int) -> int:
    """The largest power of two below `size`, for a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path of the leaf at `index`, from its sibling up (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < len(leaves):
        raise ValueError(f"index {index} is outside a tree of {len(leaves)} leaves")
    path: list[bytes] = []
    start, stop = 0, len(leaves)
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(root(leaves[middle:stop]))
            stop = middle
        else:
            path.append(root(leaves[start:middle]))
            start = middle
    return path[::-1]


def _climb(place: int, last: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each sibling on the way to the root and whether it stands left (the steps that RFC 9162's two checks share)."""
    for sibling in path:
        if last == 0:
            raise ProofError("the proof is too long")
        is_left = place & 1 == 1 or place == last
        while is_left and not place & 1 and place:
            place, last = place >> 1, last >> 1
        yield sibling, is_left
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("the proof is too short")


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> None:
    """Check that the leaf hash stands at `index` of the tree of `size` leaves with the root `expected`.

    RFC 9162 section 2.1.3.2. Raises ProofError.
    """
    if not 0 <= index < size:
        raise ProofError(f"index {index} is outside a tree of {size} leaves")
    computed = leaf
    for sibling, is_left in _climb(index, size - 1, proof):
        computed = node_hash(sibling, computed) if is_left else node_hash(computed, sibling)
    if computed != expected:
        raise ProofError("the inclusion proof leads to another root")


def consistency_proof(leaves: Sequence[bytes], old: int) -> list[bytes]:
    """The proof that the first `old` leaves are a prefix of this tree (RFC 9162 section 2.1.4.1).

    It is empty if `old` is 0 or the whole tree: then there is nothing to prove.
    """
    if not 0 <= old <= len(leaves):
        raise ValueError(f"size {old} is outside a tree of {len(leaves)} leaves")
    if old in {0, len(leaves)}:
        return []
    path: list[bytes] = []
    start, stop, whole = 0, len(leaves), True
    while old < stop:
        middle = start + _split(stop - start)
        if old <= middle:
            path.append(root(leaves[middle:stop]))
            stop = middle
        else:
            path.append(root(leaves[start:middle]))
            start, whole = middle, False
    if not whole:
        path.append(root(leaves[start:stop]))
    return path[::-1]


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (new, new_root) begins with the tree (old, old_root).

    RFC 9162 section 2.1.4.2. Raises ProofError.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} leaves cannot begin with one of {old}")
    if old in {0, new}:
        if proof:
            raise ProofError("the proof is too long")
        if old_root != (new_root if old == new else EMPTY_ROOT):
            raise ProofError("two roots for one size")
        return
    path = [old_root, *proof] if old.bit_count() == 1 else list(proof)
    if not path:
        raise ProofError("the proof is too short")
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_computed = new_computed = path[0]
    for sibling, is_left in _climb(place, last, path[1:]):
        if is_left:
            old_computed = node_hash(sibling, old_computed)
        new_computed = node_hash(sibling, new_computed) if is_left else node_hash(new_computed, sibling)
    if old_computed != old_root:
        raise ProofError("the consistency proof leads to another old root")
    if new_computed != new_root:
        raise ProofError("the consistency proof leads to another new root")
