"""The submission service on the real local stack, with a database, buckets and topics of each test's own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest_asyncio
from asgi_lifespan import LifespanManager

from services.submission.app import create
from shared.access import Role, mint
from shared.bus import Bus
from shared.objects import Objects
from shared.settings import Settings
from tests.services.submission.samples import opening
from tests.shared.conftest import prepare
from tests.shared.local_app import AUDIENCE, ISSUER, settings_in


class Stack(Protocol):
    """Of the local stack, where broker and object store are."""

    kafka: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str


class ServiceDatabase(Protocol):
    """A database with the schema of a service."""

    url: str
    admin_url: str


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Look every tenth of a second until it holds; TimeoutError if it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - what is waited for happens behind HTTP or the database
            await asyncio.sleep(0.1)


@dataclass
class Office:
    """The running service as callers of one kind or another see it."""

    client: httpx.AsyncClient
    settings: Settings
    folder: Path

    @property
    def bus(self) -> Bus:
        return Bus(self.settings.kafka, self.settings.kafka_prefix)

    async def call(
        self, role: Role, method: str, path: str, body: Any = None, agency: str | None = "a-01", **headers: str
    ) -> httpx.Response:
        token = mint(
            self.folder / "issuer.jwk", issuer=ISSUER, audience=AUDIENCE, sub=f"a-{role}", roles=[role], agency=agency
        )
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, json=body, headers={"Authorization": f"Bearer {token}", **named})

    async def until_ready(self) -> None:
        """Wait until the register has its first two entries, so that periods can be opened."""

        async def ready() -> bool:
            logs = (await self.client.get("/health/progress")).json()["logs"]
            return bool(logs) and logs[0]["size"] >= 2

        await until(ready)

    async def open_period(self, **changes: Any) -> None:
        body = opening(**changes).model_dump(mode="json", by_alias=True)
        answer = await self.call(Role.OFFICER, "POST", "/periods", body, agency=None)
        assert answer.status_code == 201, answer.text


def office_settings(stack: Stack, database: ServiceDatabase, folder: Path) -> Settings:
    """Settings with names of this test's own."""
    prefix = f"t{secrets.token_hex(6)}"
    return settings_in(
        folder,
        database_url=database.url,
        kafka=stack.kafka,
        kafka_prefix=prefix,
        s3_endpoint=stack.s3_endpoint,
        s3_access_key=stack.s3_access_key,
        s3_secret_key=stack.s3_secret_key,
        s3_prefix=prefix,
    )


def objects_of(settings: Settings) -> Objects:
    return Objects(settings.s3_endpoint, settings.s3_access_key, settings.s3_secret_key, settings.s3_prefix)


@asynccontextmanager
async def running(settings: Settings, folder: Path) -> AsyncIterator[Office]:
    """The service from start to stop."""
    app = create(settings)
    async with LifespanManager(app, startup_timeout=30, shutdown_timeout=30):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://submission") as client:
            office = Office(client, settings, folder)
            await office.until_ready()
            yield office


@pytest_asyncio.fixture
async def office(stack: Stack, database: ServiceDatabase, tmp_path: Path) -> AsyncIterator[Office]:
    """The running service, no period open."""
    settings = office_settings(stack, database, tmp_path)
    async with objects_of(settings) as store:
        await prepare(store)
    async with running(settings, tmp_path) as office:
        yield office
