"""Signed notes: what is accepted, and everything that must not be."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tlog_scales.signing import PlainEd25519Signer
from tlog_scales.tlog import Checkpoint as OtherCheckpoint

from shared.tlog.checkpoint import Checkpoint
from shared.tlog.note import (
    COSIGNATURE,
    NoteError,
    SigningKey,
    VerificationKey,
    log_key,
    open_note,
    sign,
)

KEY = SigningKey.from_seed("parindex.example/submission/2025-year", bytes(range(32)))
OTHER = SigningKey.from_seed("other.example/log", bytes(range(1, 33)))
TEXT = "first line\n\nlast line\n"
NOTE = sign(TEXT, KEY)


def opened(raw: bytes) -> str:
    return open_note(raw, [KEY.verifier]).text


def test_a_signed_text_is_read_back_with_its_signer() -> None:
    note = open_note(sign(TEXT, KEY, OTHER), [OTHER.verifier, KEY.verifier])
    assert note.text == TEXT
    assert note.verified == [KEY.verifier, OTHER.verifier]


def test_keys_and_signatures_equal_those_of_another_library() -> None:
    other = PlainEd25519Signer(KEY.name, bytes(range(32)))
    assert other.vkey.key_id.to_bytes(4, "big") == KEY.verifier.key_id
    checkpoint = Checkpoint(KEY.name, 0, bytes(32))
    written = OtherCheckpoint.make_signed(checkpoint.origin, 0, bytes(32), [other]).serialize()
    assert sign(checkpoint.text(), KEY).decode() == written


def test_keys_are_read_back_as_they_were_written() -> None:
    assert VerificationKey.parse(str(KEY.verifier)) == KEY.verifier
    secret = KEY.secret_text()
    assert secret.startswith(f"PRIVATE+KEY+{KEY.name}+{KEY.verifier.key_id.hex()}+")
    assert SigningKey.parse(secret).verifier == KEY.verifier
    assert SigningKey.parse(secret).sign(TEXT) == KEY.sign(TEXT)


def test_a_signing_key_shows_its_secret_only_when_asked() -> None:
    seed = base64.b64encode(b"\x01" + bytes(range(32))).decode()
    assert seed in KEY.secret_text()
    assert seed not in f"{KEY} {KEY!r}"


@pytest.mark.parametrize(
    "change",
    [
        lambda vkey: vkey.replace("+", " ", 1),
        lambda vkey: vkey.upper(),
        lambda vkey: vkey[:-1],
        lambda vkey: vkey + "\n",
        lambda vkey: "x" + vkey,
        lambda vkey: "+" + vkey.split("+", 1)[1],
        lambda vkey: vkey.rsplit("+", 1)[0] + "+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
        lambda vkey: vkey.rsplit("+", 1)[0] + "+" + base64.b64encode(b"\x01" + bytes(31)).decode(),
    ],
)
def test_a_malformed_key_is_refused(change) -> None:  # type: ignore[no-untyped-def]  # a table of functions
    with pytest.raises(NoteError):
        VerificationKey.parse(change(str(KEY.verifier)))


@pytest.mark.parametrize("name", ["", "with space", "with+plus", "with\u00a0space", "with\nline"])
def test_a_key_name_that_a_note_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(NoteError, match="name"):
        SigningKey.from_seed(name, bytes(32))


def test_an_unknown_signer_is_ignored() -> None:
    assert opened(sign(TEXT, OTHER, KEY)) == TEXT
    same_name = SigningKey.from_seed(KEY.name, bytes(range(2, 34)))
    assert opened(sign(TEXT, same_name, KEY)) == TEXT


def test_a_note_that_no_known_key_signed_is_refused() -> None:
    with pytest.raises(NoteError, match="no known key"):
        opened(sign(TEXT, OTHER))
    with pytest.raises(NoteError, match="no known key"):
        open_note(NOTE, [])


def test_a_known_signature_that_fails_rejects_the_note_even_beside_a_good_one() -> None:
    bad_line = KEY.sign("another text\n").encode()
    with pytest.raises(NoteError, match="does not fit"):
        open_note(sign(TEXT, OTHER) + bad_line, [KEY.verifier, OTHER.verifier])
    with pytest.raises(NoteError, match="does not fit"):
        opened(NOTE + bad_line)


def test_every_changed_byte_of_text_and_signature_is_found() -> None:
    for at in range(len(NOTE)):
        changed = NOTE[:at] + bytes([NOTE[at] ^ 1]) + NOTE[at + 1 :]
        with pytest.raises(NoteError):
            opened(changed)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (NOTE.replace(b"first", b"fi\rst"), "control"),
        (NOTE.replace(b"\n", b"\r\n"), "control"),
        (NOTE.replace(b"first", b"fi\tst"), "control"),
        (NOTE.replace(b"first", b"fi\xffst"), "UTF-8"),
        (NOTE[:-1], "newline"),
        (NOTE + b"\n", "newline"),
        (TEXT.encode(), "em dash"),
        (b"", "newline"),
        (NOTE.replace("—".encode(), b"-"), "em dash"),
        (NOTE.replace("— ".encode(), "—  ".encode()), "name"),
        (NOTE[:-1] + b" \n", "base64"),
        (NOTE + "— other.example/log AAAAAAA=\n".encode() * 100, "more than 100"),
        (NOTE + "— other.example/log AAAA\n".encode(), "too short"),
        (NOTE + "— other.example/log AAA=AAAA\n".encode(), "base64"),
        (b"x" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_a_malformed_note_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(NoteError, match=reason):
        opened(raw)


def test_base64_that_is_not_canonical_is_refused() -> None:
    line = NOTE.decode().rstrip("\n")
    assert line.endswith("=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = line.rstrip("=")[-1]
    padding = len(line) - len(line.rstrip("="))
    twin = line.rstrip("=")[:-1] + alphabet[alphabet.index(last) + 1] + "=" * padding
    encoded, other = line.split(" ")[-1], twin.split(" ")[-1]
    assert base64.b64decode(encoded) == base64.b64decode(other)
    with pytest.raises(NoteError, match="canonical"):
        opened((twin + "\n").encode())
    with pytest.raises(NoteError, match="base64"):
        opened((line.rstrip("=") + "\n").encode())


def test_a_text_that_cannot_stand_in_a_note_is_not_signed() -> None:
    for text in ("no newline", "tab\t\n", "return\r\n"):
        with pytest.raises(NoteError):
            sign(text, KEY)
    with pytest.raises(NoteError):
        sign(TEXT)


def test_a_log_key_depends_on_secret_and_origin_alone() -> None:
    first = log_key(bytes(32), "parindex.test/submission/2024-year")
    assert first.name == "parindex.test/submission/2024-year"
    assert first.verifier == log_key(bytes(32), "parindex.test/submission/2024-year").verifier
    assert first.verifier.public != log_key(bytes(32), "parindex.test/appraisal/2024-year").verifier.public
    assert first.verifier.public != log_key(b"\x01" * 32, "parindex.test/submission/2024-year").verifier.public
    with pytest.raises(NoteError):
        log_key(bytes(31), "parindex.test/submission/2024-year")


def test_a_witness_cosignature_covers_its_time_and_the_text() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    witness = VerificationKey("witness.example/w1", COSIGNATURE, private.public_key().public_bytes_raw())
    signature = private.sign(b"cosignature/v1\ntime 1735689600\n" + TEXT.encode())
    timed = witness.key_id + (1735689600).to_bytes(8, "big") + signature
    line = f"— {witness.name} {base64.b64encode(timed).decode()}\n".encode()
    assert open_note(NOTE + line, [KEY.verifier, witness]).verified == [KEY.verifier, witness]
    later = witness.key_id + (1735689601).to_bytes(8, "big") + signature
    line = f"— {witness.name} {base64.b64encode(later).decode()}\n".encode()
    with pytest.raises(NoteError, match="does not fit"):
        open_note(NOTE + line, [KEY.verifier, witness])
