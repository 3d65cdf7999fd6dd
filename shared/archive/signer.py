"""The signer of checkpoints, with a memory that lets it never contradict itself."""

import asyncio
from collections.abc import Callable

from shared.objects import TEXT, Bucket, ObjectMissing, Objects
from shared.tlog.checkpoint import Checkpoint, sign_checkpoint
from shared.tlog.note import SigningKey


class SignerRefused(Exception):
    """The signer has signed a larger size of this log, or another root for this size."""


class Signer:
    """Signs checkpoints and keeps the last one of each log in the store, before it hands out the signature.

    `key_of` gives the key of an origin, `<deployment>/<service>/<period>`. The memory is the object
    `signer/<service>/<period>` of the proof bucket, read anew each time: another process may have signed meanwhile.
    """

    def __init__(self, objects: Objects, key_of: Callable[[str], SigningKey]) -> None:
        self._objects = objects
        self._key_of = key_of
        self._keys: dict[str, SigningKey] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def sign(self, checkpoint: Checkpoint) -> bytes:
        """The signed note. Raises SignerRefused; StoreError if the memory cannot be read or written."""
        origin = checkpoint.origin
        memory = f"signer/{checkpoint.log}"
        async with self._turns.setdefault(origin, asyncio.Lock()):
            last = await self._last(memory)
            if last is not None:
                _refuse_contradiction(last, checkpoint)
            if origin not in self._keys:
                self._keys[origin] = self._key_of(origin)
            note = sign_checkpoint(checkpoint, self._keys[origin])
            if last != checkpoint:
                await self._objects.put(Bucket.PROOF, memory, checkpoint.text().encode(), TEXT)
            return note

    async def _last(self, memory: str) -> Checkpoint | None:
        try:
            raw = await self._objects.get(Bucket.PROOF, memory)
        except ObjectMissing:
            return None
        try:
            return Checkpoint.parse(raw.decode())
        except ValueError as error:
            raise SignerRefused(f"{memory} cannot be read: {error}") from error


def _refuse_contradiction(last: Checkpoint, wanted: Checkpoint) -> None:
    if wanted.origin != last.origin:
        raise SignerRefused(f"the signer's memory of {wanted.origin} is of {last.origin}")
    if wanted.size < last.size:
        raise SignerRefused(f"{wanted.origin} was signed at size {last.size}; {wanted.size} is smaller")
    if wanted.size == last.size and wanted.root != last.root:
        raise SignerRefused(f"{wanted.origin} was signed with another root at size {last.size}")
