"""Signed notes (C2SP signed-note): text, its Ed25519 signatures, and the keys that make and check them."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ED25519 = 1
COSIGNATURE = 4
MAX_BYTES = 1_000_000
MAX_SIGNATURES = 100
_KEY_ID_BYTES = 4
_KEY_BYTES = 32


class NoteError(ValueError):
    """A note or a key that is malformed, or a note that no known key vouches for."""


class VerificationKey(NamedTuple):
    """A public key with the name that stands beside its signatures.

    `algorithm` is the signature type byte: 1 for Ed25519 over the text, 4 for a witness's timed cosignature.
    """

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name ‖ LF ‖ algorithm ‖ public key)."""
        return _key_id(self.name, self.algorithm, self.public)

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode64(bytes([self.algorithm]) + self.public)}"

    @classmethod
    def parse(cls, vkey: str) -> "VerificationKey":
        """Read `<name>+<8 hex of key id>+<base64 of algorithm ‖ public key>`. Raises NoteError."""
        name, key_id, raw = _parse_key(vkey)
        key = cls(name, raw[0], raw[1:])
        if key.algorithm not in {ED25519, COSIGNATURE}:
            raise NoteError(f"the key of {name} has the unknown algorithm {key.algorithm}")
        if key.key_id.hex() != key_id:
            raise NoteError(f"the key id of {name} does not belong to its key")
        return key

    def verify(self, text: str, signature: bytes) -> None:
        """Check one signature (without the key id) over a note's text. Raises NoteError."""
        message = text.encode()
        if self.algorithm == COSIGNATURE:
            seconds = int.from_bytes(signature[:8], "big")
            message, signature = f"cosignature/v1\ntime {seconds}\n".encode() + message, signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise NoteError(f"the signature of {self.name} does not fit the text") from error


class SigningKey:
    """A private Ed25519 key with its name. Neither `str` nor `repr` shows the secret."""

    def __init__(self, name: str, seed: bytes) -> None:
        check_name(name)
        if len(seed) != _KEY_BYTES:
            raise NoteError(f"a seed has {_KEY_BYTES} bytes")
        self.name = name
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerificationKey(name, ED25519, self._private.public_key().public_bytes_raw())

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> "SigningKey":
        """The key of a 32-byte seed."""
        return cls(name, seed)

    @classmethod
    def parse(cls, secret_text: str) -> "SigningKey":
        """Read back `secret_text`. Raises NoteError, which does not show the secret."""
        kind, found, rest = secret_text.partition("PRIVATE+KEY+")
        if kind or not found:
            raise NoteError("a signing key begins with PRIVATE+KEY+")
        name, key_id, raw = _parse_key(rest)
        if raw[0] != ED25519:
            raise NoteError(f"the signing key of {name} is not an Ed25519 key")
        key = cls(name, raw[1:])
        if key.verifier.key_id.hex() != key_id:
            raise NoteError(f"the key id of {name} does not belong to its key")
        return key

    def secret_text(self) -> str:
        """`PRIVATE+KEY+<name>+<8 hex of key id>+<base64 of 01 ‖ seed>`: a secret, for a key file only."""
        raw = encode64(bytes([ED25519]) + self._private.private_bytes_raw())
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{raw}"

    def sign(self, text: str) -> str:
        """The signature line over a note's text, ending in LF."""
        signature = self.verifier.key_id + self._private.sign(text.encode())
        return f"— {self.name} {encode64(signature)}\n"

    def __repr__(self) -> str:
        return f"SigningKey({self.name})"


class Note(NamedTuple):
    """An opened note: its text and the known keys whose signatures were checked, in the order of the lines."""

    text: str
    verified: list[VerificationKey]


def log_key(secret: bytes, origin: str) -> SigningKey:
    """The key of one log: HKDF-SHA-256 of its generation's 32-byte secret, bound to the log's origin."""
    if len(secret) != _KEY_BYTES:
        raise NoteError(f"a generation's secret has {_KEY_BYTES} bytes")
    info = b"parindex log key v1\n" + origin.encode()
    return SigningKey(origin, HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(secret))


def sign(text: str, *keys: SigningKey) -> bytes:
    """The note of a text with one signature line a key. Raises NoteError if the text cannot stand in a note."""
    if not keys:
        raise NoteError("a note needs a signature")
    if not text.endswith("\n"):
        raise NoteError("a note's text ends in a newline")
    _check_characters(text)
    return (text + "\n" + "".join(key.sign(text) for key in keys)).encode()


def open_note(raw: bytes, keys: Iterable[VerificationKey]) -> Note:
    """Split a note at its last empty line and check the signatures of the known keys.

    A signature by a key that is not given is ignored. Raises NoteError if the note is malformed, if the signature of a
    known key fails, or if no known key has signed.
    """
    known: dict[tuple[str, bytes], VerificationKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise NoteError(f"two keys share the name {key.name} and a key id")
    text, lines = _split(raw)
    verified: list[VerificationKey] = []
    for line in lines:
        name, key_id, signature = _parse_signature(line)
        signer = known.get((name, key_id))
        if signer is None:
            continue
        signer.verify(text, signature)
        if signer not in verified:
            verified.append(signer)
    if not verified:
        raise NoteError("no known key has signed the note")
    return Note(text, verified)


def _split(raw: bytes) -> tuple[str, list[str]]:
    if len(raw) > MAX_BYTES:
        raise NoteError(f"the note has more than {MAX_BYTES} bytes")
    try:
        message = raw.decode()
    except UnicodeDecodeError as error:
        raise NoteError("the note is not UTF-8") from error
    _check_characters(message)
    head, found, tail = message.rpartition("\n\n")
    if not found or not tail.endswith("\n"):
        raise NoteError("the note has no text, empty line and signature lines, each ending in a newline")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError(f"the note has more than {MAX_SIGNATURES} signatures")
    return head + "\n", lines


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    mark, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if mark != "—":
        raise NoteError("a signature line begins with an em dash and a space")
    check_name(name)
    raw = decode64(encoded)
    if len(raw) <= _KEY_ID_BYTES:
        raise NoteError(f"the signature of {name} is too short")
    return name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:]


def _check_characters(text: str) -> None:
    if any(character < " " and character != "\n" for character in text):
        raise NoteError("the note has a control character other than the newline")


def _parse_key(text: str) -> tuple[str, str, bytes]:
    """Name, key id in hex and raw key (algorithm byte first) of a written key."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise NoteError("a key is written <name>+<key id>+<base64>")
    name, key_id, encoded = parts
    check_name(name)
    raw = decode64(encoded)
    if len(raw) != 1 + _KEY_BYTES:
        raise NoteError(f"the key of {name} does not have {_KEY_BYTES} bytes")
    return name, key_id, raw


def _key_id(name: str, algorithm: int, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:_KEY_ID_BYTES]


def check_name(name: str) -> None:
    """Refuse a key name that a note cannot hold. Raises NoteError."""
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise NoteError("a key's name is not empty and has neither spaces nor a plus sign")


def encode64(raw: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return b64encode(raw).decode()


def decode64(text: str) -> bytes:
    """Read canonical standard base64 and nothing else. Raises NoteError."""
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError) as error:
        raise NoteError("malformed base64") from error
    if encode64(raw) != text:
        raise NoteError("base64 that is not canonical")
    return raw
