"""Checkpoints: the signed statement of a log's size and root, and the policy that names whom to believe (C2SP)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from shared.tlog.merkle import HASH_SIZE
from shared.tlog.note import (
    COSIGNATURE,
    ED25519,
    NoteError,
    SigningKey,
    VerificationKey,
    decode64,
    encode64,
    open_note,
    sign,
)

MAX_SIZE = 2**63 - 1


class CheckpointError(ValueError):
    """A checkpoint that is malformed, of another log, or not signed by the log's key."""


class PolicyError(ValueError):
    """A policy file that cannot be read; the message names the line."""


def parse_number(text: str) -> int:
    """A decimal number from 0, ASCII digits, no leading zero. Raises ValueError."""
    if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0") or len(text) > len(str(MAX_SIZE)):
        raise ValueError("not a decimal number without leading zeros")
    number = int(text)
    if number > MAX_SIZE:
        raise ValueError("a number above 2^63 - 1")
    return number


class Checkpoint(NamedTuple):
    """A log's origin, its size in entries, and the root (32 bytes) of its tree at that size."""

    origin: str
    size: int
    root: bytes

    @property
    def log(self) -> str:
        """The log's name, `<service>/<period>`: its origin without the deployment."""
        return "/".join(self.origin.split("/")[-2:])

    def text(self) -> str:
        """The three lines that are signed: origin, size, base64 of the root."""
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read `text`, strictly: three lines, no extension lines. Raises CheckpointError."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise CheckpointError("a checkpoint has three lines: origin, size, root")
        origin, size, root = lines[:3]
        if not origin:
            raise CheckpointError("the checkpoint's origin is empty")
        try:
            checkpoint = cls(origin, parse_number(size), decode64(root))
        except ValueError as error:
            raise CheckpointError(f"the checkpoint of {origin}: {error}") from error
        if len(checkpoint.root) != HASH_SIZE:
            raise CheckpointError(f"the checkpoint's root does not have {HASH_SIZE} bytes")
        return checkpoint


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """The signed note of a checkpoint. The key's name must be the origin; raises CheckpointError."""
    if key.name != checkpoint.origin:
        raise CheckpointError(f"the key of {key.name} cannot sign for {checkpoint.origin}")
    return sign(checkpoint.text(), key)


def open_checkpoint(raw: bytes, vkey: VerificationKey) -> Checkpoint:
    """Check the log's signature and read the checkpoint; its origin must be the key's name. Raises CheckpointError."""
    try:
        note = open_note(raw, [vkey])
    except NoteError as error:
        raise CheckpointError(f"the checkpoint of {vkey.name}: {error}") from error
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != vkey.name:
        raise CheckpointError(f"the checkpoint is of {checkpoint.origin}, not of {vkey.name}")
    return checkpoint


def unverified_checkpoint(raw: bytes) -> Checkpoint:
    """What a signed checkpoint says, for its own writer or to find the key to open it with. Raises CheckpointError."""
    text, found, _ = raw.rpartition(b"\n\n")
    try:
        return Checkpoint.parse(text.decode() + "\n" if found else "")
    except UnicodeDecodeError as error:
        raise CheckpointError("the checkpoint is not UTF-8") from error


class Group(NamedTuple):
    """A policy's group: it vouches when at least `threshold` of its members do."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """Whom an auditor believes (C2SP tlog-policy): one key a log, witnesses, groups of them, and the quorum."""

    keys: Mapping[str, VerificationKey]
    witnesses: Mapping[str, VerificationKey] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    quorum: str = "none"

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Read a policy file. Raises PolicyError, which names the line."""
        reader = _PolicyReader()
        for number, line in enumerate(text.split("\n"), start=1):
            if any(character < " " and character != "\t" for character in line):
                raise PolicyError(f"line {number}: a control character")
            words = [word for word in line.replace("\t", " ").split(" ") if word]
            if not words or words[0].startswith("#"):
                continue
            try:
                reader.read(words[0], words[1:])
            except ValueError as error:
                raise PolicyError(f"line {number}: {error}") from error
        if reader.quorum is None:
            raise PolicyError("the policy has no quorum line")
        return cls(reader.keys, reader.witnesses, reader.groups, reader.quorum)

    def text(self) -> str:
        """The policy file: logs sorted by origin, then witnesses, groups and the quorum."""
        lines = [f"log {self.keys[origin]}" for origin in sorted(self.keys)]
        lines += [f"witness {name} {key}" for name, key in self.witnesses.items()]
        lines += [f"group {name} {group.threshold} {' '.join(group.members)}" for name, group in self.groups.items()]
        return "\n".join([*lines, f"quorum {self.quorum}", ""])

    def is_witnessed(self, verified: Iterable[VerificationKey]) -> bool:
        """Whether cosignatures that were checked under these keys make the quorum."""
        present = set(verified)

        def vouches(name: str) -> bool:
            group = self.groups.get(name)
            if group is None:
                return self.witnesses[name] in present
            return sum(vouches(member) for member in group.members) >= group.threshold

        return self.quorum == "none" or vouches(self.quorum)


class _PolicyReader:
    """What the lines of a policy file have said so far."""

    def __init__(self) -> None:
        self.keys: dict[str, VerificationKey] = {}
        self.witnesses: dict[str, VerificationKey] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._members: set[str] = set()

    def read(self, kind: str, words: list[str]) -> None:
        match kind, words:
            case "log", [vkey] | [vkey, _]:
                self._log(VerificationKey.parse(vkey))
            case "witness", [name, vkey] | [name, vkey, _]:
                self._witness(name, VerificationKey.parse(vkey))
            case "group", [name, threshold, first, *others]:
                self._group(name, threshold, (first, *others))
            case "quorum", [name]:
                self._quorum(name)
            case _:
                raise PolicyError(
                    "expected log <vkey>, witness <name> <vkey>, group <name> all|any|<k> <name>… or quorum <name>"
                )

    def _log(self, key: VerificationKey) -> None:
        if key.algorithm != ED25519:
            raise PolicyError(f"the key of {key.name} cannot sign checkpoints")
        if key.name in self.keys or any(key.public == other.public for other in self.keys.values()):
            raise PolicyError(f"a second line for the log or the key of {key.name}")
        self.keys[key.name] = key

    def _witness(self, name: str, key: VerificationKey) -> None:
        if key.algorithm != COSIGNATURE:
            raise PolicyError(f"the key of {name} cannot cosign")
        if any(key.public == other.public for other in self.witnesses.values()):
            raise PolicyError(f"a second line for the key of {name}")
        self._new_name(name)
        self.witnesses[name] = key

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        self._new_name(name)
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise PolicyError(f"{member} is not defined above")
            if member in self._members:
                raise PolicyError(f"{member} is a member of a group already")
            self._members.add(member)
        needed = {"any": 1, "all": len(members)}.get(threshold)
        if needed is None:
            needed = parse_number(threshold)
        if not 1 <= needed <= len(members):
            raise PolicyError(f"{needed} of {len(members)} members")
        self.groups[name] = Group(needed, members)

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise PolicyError("a second quorum")
        if name != "none" and name not in self.witnesses and name not in self.groups:
            raise PolicyError(f"{name} is not defined above")
        self.quorum = name

    def _new_name(self, name: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise PolicyError(f"the name {name} is taken")
