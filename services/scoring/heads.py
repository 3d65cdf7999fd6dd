"""The heads of a result: computed from this service's own copy of the logs, and held by the archive."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scoring.index import head_sizes
from services.scoring.replay import Result, replay
from services.scoring.scorecard import Finalised
from shared.events import Entry
from shared.events.scoring import Head
from shared.ledger import read_entries
from shared.objects import Bucket, Objects
from shared.tlog.checkpoint import CheckpointError, open_checkpoint
from shared.tlog.merkle import EMPTY, leaf_hash
from shared.tlog.note import VerificationKey
from shared.tlog.tiles import checkpoint_path

_CURSOR: Final = text("SELECT size, key FROM cursor WHERE log = :log")
_logger = logging.getLogger(__name__)


class Tree:
    """The roots of one log over this service's own copy of its entries."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.size = len(entries)
        self._leaves = [leaf_hash(entry.leaf) for entry in entries]

    def root(self, size: int) -> bytes:
        """The root over the first `size` entries."""
        return EMPTY.extend(self._leaves[:size]).root()

    def head(self, size: int) -> Head:
        """The head at that size."""
        return Head(size=size, root=self.root(size).hex())


async def archived_size(objects: Objects, log: str, size: int, tree: Tree, key: VerificationKey) -> int:
    """The size of the smallest archived checkpoint that covers the head of that size and proves it; 0 if there is none.

    It is read back, bears the log's signature, and has this service's own root at its size. A larger one than the head
    proves it as well: one root commits to all of its prefixes. A checkpoint with another root is not passed over.
    """
    if size == 0:
        return 0
    prefix = f"{log}/{checkpoint_path(0)[:-1]}"
    names = [name.removeprefix(prefix) for name in await objects.list(Bucket.PROOF, prefix)]
    for covering in sorted(int(name) for name in names if name.isascii() and name.isdigit()):
        if covering < size:
            continue
        if covering > tree.size:
            return 0
        try:
            held = open_checkpoint(await objects.get(Bucket.PROOF, f"{log}/{checkpoint_path(covering)}"), key)
        except CheckpointError as error:
            _logger.error("the archive's checkpoint %d of %s: %s", covering, log, error)
            return 0
        if (held.size, held.root) != (covering, tree.root(covering)):
            _logger.error("the archive's checkpoint %d of %s has another root than its entries here", covering, log)
            return 0
        return covering
    return 0


async def entries_of(engine: AsyncEngine, log: str) -> tuple[list[Entry], VerificationKey | None]:
    """A followed log's entries up to the cursor, and its key once the register has named it."""
    async with engine.connect() as connection:
        row = (await connection.execute(_CURSOR, {"log": log})).one_or_none()
        if row is None:
            return [], None
        entries = await read_entries(connection, "followed", log, 0, row.size)
    return entries, None if row.key is None else VerificationKey.parse(row.key)


async def archived_heads(
    engine: AsyncEngine, objects: Objects, period: str, finalised: Finalised
) -> tuple[dict[str, list[Entry]], dict[str, Tree], dict[str, int]]:
    """The logs that a finalising sets heads for, their trees, and how far the archive proves each of them."""
    logs, trees, archived = dict[str, list[Entry]](), dict[str, Tree](), dict[str, int]()
    for log, size in head_sizes(period, finalised).items():
        logs[log], key = await entries_of(engine, log)
        trees[log] = await asyncio.to_thread(Tree, logs[log])
        archived[log] = 0 if key is None else await archived_size(objects, log, size, trees[log], key)
    return logs, trees, archived


async def final_result(
    engine: AsyncEngine, objects: Objects, period: str, finalised: Finalised
) -> tuple[Result, dict[str, int]]:
    """The result at the heads that a finalising sets, and how far the archive proves each of these logs.

    Raises Rejected `log-incomplete` while this service has not yet applied what the finalising saw.
    """
    logs, trees, archived = await archived_heads(engine, objects, period, finalised)
    heads = {log: trees[log].head(size) for log, size in head_sizes(period, finalised).items()}
    return await asyncio.to_thread(replay, logs, heads), archived
