"""A scoring service on a real database and object store, with a period that it follows; no broker is needed."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import httpx
import pytest_asyncio
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from deploy.migrate import migrate
from services.scoring import api, index
from services.scoring.views import Live, beside
from shared import web
from shared.access import Role, actor_id
from shared.events import Entry
from shared.issuer import mint
from shared.objects import Bucket
from shared.service import Service
from shared.tlog.checkpoint import Checkpoint, sign_checkpoint
from shared.tlog.merkle import EMPTY, leaf_hash
from shared.tlog.note import SigningKey
from tests.services.scoring.samples import PERIOD, Story
from tests.shared.local_app import AUDIENCE, ISSUER, client_of, settings_in

SCORING = f"scoring/{PERIOD}"
_FOLLOWED = text("INSERT INTO followed VALUES (:log, :position, :header, :salt, :data)")
_CURSOR = text("""
    INSERT INTO cursor (log, size, frontier, key) VALUES (:log, :size, :frontier, :key)
    ON CONFLICT (log) DO UPDATE SET size = excluded.size, frontier = excluded.frontier
""")


class ServiceDatabase(Protocol):
    """A database with the schema of a service."""

    url: str
    owner_url: str
    admin_url: str


class S3Stack(Protocol):
    """Of the local stack, where its object store is."""

    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str


@dataclass
class Scoring:
    """A running scoring service, as HTTP and the database show it."""

    service: Service
    live: Live
    client: httpx.AsyncClient
    folder: Path
    admin: AsyncEngine
    followed: dict[str, int] = field(default_factory=dict)

    def bearer(self, *roles: Role, sub: str = "someone", agency: str | None = None) -> dict[str, str]:
        """The headers of a person with these roles."""
        token = mint(self.folder / "issuer.jwk", issuer=ISSUER, audience=AUDIENCE, sub=sub, roles=roles, agency=agency)
        return {"Authorization": f"Bearer {token}"}

    def actor(self, sub: str) -> str:
        """The actor id of a person."""
        return actor_id(self.service.settings.identity_secret, ISSUER, sub)

    async def play(self, at: datetime) -> None:
        """Set the deployment's clock."""
        async with self.admin.begin() as connection:
            await connection.execute(text("UPDATE clock_offset SET delta = :at - clock_timestamp()"), {"at": at})

    async def follow(self, story: Story, upto: Mapping[str, int] | None = None) -> None:
        """Apply what of the story was not yet followed, each log in one transaction as the follower does it."""
        for log, entries in story.logs.items():
            stop = len(entries) if upto is None else upto.get(log, 0)
            await self.apply(log, entries[self.followed.get(log, 0) : stop])

    async def apply(self, log: str, entries: list[Entry], *, fail: bool = False) -> None:
        """Apply the next entries of a log in one transaction; with `fail` it is rolled back after all."""
        if not entries:
            return
        async with self.service.engine.connect() as connection, connection.begin() as transaction:
            await self._store(connection, log, entries)
            rows = await connection.execute(text("SELECT log, size FROM cursor"))
            sizes = {row.log: row.size for row in rows}
            await self.live.apply(connection, log, entries, sizes)
            if fail:
                await transaction.rollback()
        if not fail:
            self.followed[log] = entries[-1].position + 1

    async def _store(self, connection: object, log: str, entries: list[Entry]) -> None:
        execute = connection.execute  # type: ignore[attr-defined]
        rows = [
            {"log": log, "position": entry.position, "header": entry.leaf, "salt": entry.salt, "data": entry.data}
            for entry in entries
        ]
        await execute(_FOLLOWED, rows)
        known = await execute(text("SELECT header FROM followed WHERE log = :log ORDER BY position"), {"log": log})
        frontier = EMPTY.extend([leaf_hash(header) for header in known.scalars()])
        await execute(
            _CURSOR,
            {
                "log": log,
                "size": frontier.size,
                "frontier": frontier.to_bytes(),
                "key": str(key_of(log).verifier),
            },
        )

    async def archive(self, log: str, size: int, root: bytes, key: SigningKey | None = None) -> None:
        """Put a checkpoint of a log into the archive."""
        note = sign_checkpoint(Checkpoint(f"parindex.test/{log}", size, root), key or key_of(log))
        await self.service.objects.put_once(Bucket.PROOF, f"{log}/checkpoints/{size}", note)

    async def archive_all(self, story: Story) -> None:
        """Archive the story's logs as they stand."""
        for log, head in story.heads.items():
            await self.archive(log, head.size, bytes.fromhex(head.root))

    async def archive_own(self) -> None:
        """Archive the scoring log as it stands."""
        frontier = (await self.service.ledger.heads())[SCORING]
        await self.archive(SCORING, frontier.size, frontier.root(), self.service.register.signing_key(SCORING))


def key_of(log: str) -> SigningKey:
    """The key of a followed log."""
    return SigningKey.from_seed(f"parindex.test/{log}", bytes(range(32)))


@asynccontextmanager
async def _no_parts(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest_asyncio.fixture
async def scoring(database: ServiceDatabase, stack: S3Stack, tmp_path: Path) -> AsyncIterator[Scoring]:
    """The service with its scoring log open."""
    await migrate(database.owner_url, "scoring", make_url(database.url).username)
    settings = settings_in(
        tmp_path,
        service="scoring",
        database_url=database.url,
        s3_endpoint=stack.s3_endpoint,
        s3_access_key=stack.s3_access_key,
        s3_secret_key=stack.s3_secret_key,
        s3_prefix=f"t{secrets.token_hex(6)}",
    )
    live = Live()
    service = Service(settings, follows=("submission", "appraisal", "survey"), apply=live.apply, beside=beside)
    app = web.create_app(
        "scoring",
        settings,
        lifespan=_no_parts,
        routers=[api.router(service, live)],
        problems=api.PROBLEMS,
        ready=service.ready,
        progress=service.progress,
    )
    admin = create_async_engine(database.admin_url)
    await service.objects.ensure_buckets()
    async with client_of(app) as client:
        await service.register.start()
        await service.register.open(SCORING)
        await service.ledger.execute(
            index.DECIDER,
            SCORING,
            index.STREAM,
            lambda _: index.Start(PERIOD, 0),
            actor="scoring",
            door="reaction",
            key="start",
            digest=b"",
        )
        yield Scoring(service, live, client, tmp_path, admin)
        await service.ledger.close()
        await service.objects.close()
        await service.engine.dispose()
    await admin.dispose()
