"""Checkpoints and policy files."""

import base64
from pathlib import Path

import pytest

from shared.tlog.checkpoint import (
    Checkpoint,
    CheckpointError,
    Policy,
    PolicyError,
    open_checkpoint,
    sign_checkpoint,
    unverified_checkpoint,
)
from shared.tlog.merkle import leaf_hash, root
from shared.tlog.note import COSIGNATURE, SigningKey, VerificationKey, log_key, sign

GOLDEN = Path(__file__).parents[2] / "golden" / "tlog"
ORIGIN = "parindex.test/submission/2024-year"
KEY = log_key(bytes(range(32)), ORIGIN)
ROOT = root(leaf_hash(f"entry {number}".encode()) for number in range(300))
CHECKPOINT = Checkpoint(ORIGIN, 300, ROOT)
ROOT64 = base64.b64encode(ROOT).decode()


def witness(number: int) -> VerificationKey:
    public = SigningKey.from_seed("w", bytes([number]) * 32).verifier.public
    return VerificationKey(f"witness.example/w{number}", COSIGNATURE, public)


def test_a_signed_checkpoint_is_the_golden_file() -> None:
    raw = sign_checkpoint(CHECKPOINT, KEY)
    assert raw == (GOLDEN / "checkpoint").read_bytes()
    assert open_checkpoint(raw, KEY.verifier) == CHECKPOINT
    assert unverified_checkpoint(raw) == CHECKPOINT
    assert CHECKPOINT.log == "submission/2024-year"


def test_the_empty_log_has_size_zero() -> None:
    empty = Checkpoint(ORIGIN, 0, root([]))
    assert Checkpoint.parse(empty.text()) == empty


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{ORIGIN}\n300\n",
        f"{ORIGIN}\n300\n{ROOT64}",
        f"{ORIGIN}\n300\n{ROOT64}\nextension\n",
        f"{ORIGIN}\n300\n{ROOT64}\n\n",
        f"\n300\n{ROOT64}\n",
        f"{ORIGIN}\n0300\n{ROOT64}\n",
        f"{ORIGIN}\n00\n{ROOT64}\n",
        f"{ORIGIN}\n+300\n{ROOT64}\n",
        f"{ORIGIN}\n-1\n{ROOT64}\n",
        f"{ORIGIN}\n 300\n{ROOT64}\n",
        f"{ORIGIN}\n3_00\n{ROOT64}\n",
        f"{ORIGIN}\n٣\n{ROOT64}\n",
        f"{ORIGIN}\n\n{ROOT64}\n",
        f"{ORIGIN}\n9223372036854775808\n{ROOT64}\n",
        f"{ORIGIN}\n{'9' * 5000}\n{ROOT64}\n",
        f"{ORIGIN}\n300\n{ROOT64[:-1]}\n",
        f"{ORIGIN}\n300\n{base64.b64encode(ROOT[:31]).decode()}\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint.parse(text)
    if text.endswith("\n"):
        with pytest.raises(CheckpointError):
            open_checkpoint(sign(text, KEY), KEY.verifier)


def test_a_checkpoint_is_believed_only_under_the_key_of_its_own_log() -> None:
    other = log_key(bytes(range(32)), "parindex.test/appraisal/2024-year")
    with pytest.raises(CheckpointError):
        sign_checkpoint(CHECKPOINT, other)
    with pytest.raises(CheckpointError, match="is of parindex"):
        open_checkpoint(sign(CHECKPOINT.text(), other), other.verifier)
    with pytest.raises(CheckpointError, match="no known key"):
        open_checkpoint(sign_checkpoint(CHECKPOINT, KEY), other.verifier)
    with pytest.raises(CheckpointError, match="UTF-8"):
        unverified_checkpoint(b"\xff\n1\n\n\n")


def test_a_policy_is_read_back_as_it_was_written() -> None:
    keys = {name: log_key(bytes(32), name).verifier for name in (f"parindex.test/{s}/register" for s in "abcd")}
    text = Policy(keys).text()
    assert text == (GOLDEN / "policy").read_text()
    assert Policy.parse(text) == Policy(keys)
    assert Policy.parse(text).keys["parindex.test/a/register"] == keys["parindex.test/a/register"]
    assert Policy.parse(text).is_witnessed([])


def test_a_quorum_needs_its_groups_and_witnesses() -> None:
    lines = [f"witness w{number} {witness(number)} https://w{number}.example/" for number in range(4)]
    text = "\n".join(
        [
            "# a policy with witnesses",
            f"  log\t{KEY.verifier}   https://example.org/log",
            *lines,
            "",
            "group two 2 w0 w1 w2",
            "group both all two w3",
            "quorum both",
            "",
        ]
    )
    policy = Policy.parse(text)
    assert Policy.parse(policy.text()) == policy
    w0, w1, w2, w3 = (witness(number) for number in range(4))
    assert policy.is_witnessed([w0, w2, w3])
    assert policy.is_witnessed([w0, w1, w2, w3])
    assert not policy.is_witnessed([w0, w3])
    assert not policy.is_witnessed([w0, w1, w2])
    assert not policy.is_witnessed([])


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([f"log {KEY.verifier}"], "no quorum"),
        ([f"log {KEY.verifier}", f"log {KEY.verifier}", "quorum none"], "line 2: a second line"),
        (
            [f"log {KEY.verifier}", f"log {VerificationKey('other', 1, KEY.verifier.public)}", "quorum none"],
            "line 2: a second line",
        ),
        ([f"log {witness(1)}", "quorum none"], "line 1: .* cannot sign"),
        ([f"witness w {KEY.verifier}", "quorum w"], "line 1: .* cannot cosign"),
        ([f"witness a {witness(1)}", f"witness b {witness(1)}", "quorum a"], "line 2: a second line"),
        ([f"witness a {witness(1)}", f"witness a {witness(2)}", "quorum a"], "line 2: the name a"),
        ([f"witness none {witness(1)}", "quorum none"], "line 1: the name none"),
        (["quorum none", "quorum none"], "line 2: a second quorum"),
        (["quorum w"], "line 1: w is not defined"),
        (["group g any w", "quorum g"], "line 1: w is not defined"),
        ([f"witness w {witness(1)}", "group g any w w", "quorum g"], "line 2: w is a member"),
        ([f"witness w {witness(1)}", "group g 2 w", "quorum g"], "line 2: 2 of 1"),
        ([f"witness w {witness(1)}", "group g 0 w", "quorum g"], "line 2: 0 of 1"),
        ([f"witness w {witness(1)}", "group g 01 w", "quorum g"], "line 2: not a decimal"),
        ([f"witness w {witness(1)}", "group g any", "quorum g"], "line 2: expected"),
        (["log not-a-key", "quorum none"], "line 1: a key is written"),
        (["nonsense", "quorum none"], "line 1: expected"),
        (["quorum none\r"], "line 1: a control character"),
    ],
)
def test_a_faulty_policy_is_refused_by_line(lines: list[str], reason: str) -> None:
    with pytest.raises(PolicyError, match=reason):
        Policy.parse("\n".join([*lines, ""]))
