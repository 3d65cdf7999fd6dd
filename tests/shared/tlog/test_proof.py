"""Proof files."""

from pathlib import Path

import pytest

from shared.tlog.checkpoint import Checkpoint, CheckpointError, sign_checkpoint
from shared.tlog.merkle import ProofError, inclusion_proof, leaf_hash, root
from shared.tlog.note import log_key
from shared.tlog.proof import Proof

GOLDEN = Path(__file__).parents[2] / "golden" / "tlog"
KEY = log_key(bytes(range(32)), "parindex.test/submission/2024-year")
ENTRIES = [f"entry {number}".encode() for number in range(300)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
CHECKPOINT = Checkpoint(KEY.name, 300, root(LEAVES))
PROOF = Proof(258, tuple(inclusion_proof(LEAVES, 258)), sign_checkpoint(CHECKPOINT, KEY))


def test_a_proof_is_the_golden_file_and_proves_its_entry() -> None:
    raw = PROOF.to_bytes()
    assert raw == (GOLDEN / "entry-258.tlog-proof").read_bytes()
    assert Proof.parse(raw) == PROOF
    assert Proof.parse(raw).verify(ENTRIES[258], KEY.verifier) == CHECKPOINT


def test_the_only_entry_of_a_log_needs_no_hashes() -> None:
    one = Checkpoint(KEY.name, 1, root(LEAVES[:1]))
    proof = Proof(0, (), sign_checkpoint(one, KEY))
    assert Proof.parse(proof.to_bytes()).verify(ENTRIES[0], KEY.verifier) == one


def test_a_proof_proves_nothing_else() -> None:
    with pytest.raises(ProofError):
        PROOF.verify(ENTRIES[257], KEY.verifier)
    with pytest.raises(ProofError):
        Proof(257, PROOF.hashes, PROOF.checkpoint).verify(ENTRIES[258], KEY.verifier)
    with pytest.raises(CheckpointError):
        PROOF.verify(ENTRIES[258], log_key(bytes(32), KEY.name).verifier)


def test_extra_data_is_skipped() -> None:
    raw = PROOF.to_bytes().replace(b"\nindex", b"\nextra AAAA\nindex", 1)
    assert Proof.parse(raw) == PROOF


RAW = PROOF.to_bytes()
FIRST_HASH = RAW.split(b"\n")[2]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        RAW.replace(b"@v1", b"@v2", 1),
        RAW.replace(b"index 258", b"index 0258", 1),
        RAW.replace(b"index 258", b"index -258", 1),
        RAW.replace(b"index 258", b"258", 1),
        RAW.replace(b"index 258", b"index\n258", 1),
        RAW.replace(b"\nindex", b"\nextra AAA\nindex", 1),
        RAW.replace(FIRST_HASH, FIRST_HASH[:-1], 1),
        RAW.replace(FIRST_HASH, b"AAAA", 1),
        RAW.replace(FIRST_HASH, FIRST_HASH + b"\r", 1),
        RAW.replace(FIRST_HASH, b"\n".join([FIRST_HASH] * 64), 1),
        RAW.replace(FIRST_HASH, "\u0661".encode(), 1),
        RAW.split(b"\n\n")[0],
    ],
)
def test_a_malformed_proof_is_refused(raw: bytes) -> None:
    with pytest.raises(ProofError):
        Proof.parse(raw)
