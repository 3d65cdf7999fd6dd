"""Proof files (C2SP tlog-proof): that an entry stands in a log, checkable offline with the log's key alone."""

from dataclasses import dataclass

from shared.tlog.checkpoint import Checkpoint, open_checkpoint, parse_number
from shared.tlog.merkle import HASH_SIZE, ProofError, leaf_hash, verify_inclusion
from shared.tlog.note import VerificationKey, decode64, encode64

HEADING = "c2sp.org/tlog-proof@v1"
SUFFIX = ".tlog-proof"
MAX_HASHES = 63


@dataclass(frozen=True)
class Proof:
    """An entry's index, its inclusion path from the leaf's sibling up, and the signed checkpoint that it leads to."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def to_bytes(self) -> bytes:
        """The proof file."""
        lines = [HEADING, f"index {self.index}", *(encode64(digest) for digest in self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, raw: bytes) -> "Proof":
        """Read a proof file; nothing in it is verified yet. Raises ProofError.

        An `extra` line, which the format allows and nobody signs, is skipped.
        """
        head, found, checkpoint = raw.partition(b"\n\n")
        if not found:
            raise ProofError("a proof has an empty line before its checkpoint")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise ProofError("the proof's lines are not ASCII") from error
        if lines.pop(0) != HEADING:
            raise ProofError(f"a proof begins with {HEADING}")
        try:
            if lines and lines[0].startswith("extra "):
                decode64(lines.pop(0).removeprefix("extra "))
            if not lines or not lines[0].startswith("index "):
                raise ProofError("a proof names its index")
            index = parse_number(lines.pop(0).removeprefix("index "))
            hashes = tuple(decode64(line) for line in lines)
        except ProofError:
            raise
        except ValueError as error:
            raise ProofError(f"the proof cannot be read: {error}") from error
        if len(hashes) > MAX_HASHES or any(len(digest) != HASH_SIZE for digest in hashes):
            raise ProofError(f"a proof has at most {MAX_HASHES} hashes of {HASH_SIZE} bytes")
        return cls(index, hashes, checkpoint)

    def verify(self, entry: bytes, vkey: VerificationKey) -> Checkpoint:
        """The verified checkpoint, in whose tree the entry stands at the index. Raises CheckpointError, ProofError."""
        checkpoint = open_checkpoint(self.checkpoint, vkey)
        verify_inclusion(leaf_hash(entry), self.index, checkpoint.size, self.hashes, checkpoint.root)
        return checkpoint
