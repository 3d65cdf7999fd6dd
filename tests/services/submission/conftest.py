"""The submission service: that of the running stack, or one of a test's own that it may stop and start again."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest_asyncio
from asgi_lifespan import LifespanManager

from services.submission.app import create
from shared.bus import Bus
from shared.issuer import Role, mint
from shared.objects import Objects
from shared.settings import Settings
from tests.services.submission.samples import opening
from tests.shared.conftest import prepare
from tests.shared.local_app import AUDIENCE, ISSUER, settings_in


class Stack(Protocol):
    """The local stack: where its parts are, and its issuer's tokens."""

    @property
    def kafka(self) -> str: ...
    @property
    def s3_endpoint(self) -> str: ...
    @property
    def s3_access_key(self) -> str: ...
    @property
    def s3_secret_key(self) -> str: ...
    @property
    def services(self) -> dict[str, str]: ...
    def token(self, sub: str, roles: Iterable[Role], agency: str | None = None) -> str: ...


class ServiceDatabase(Protocol):
    """A database with the schema of a service."""

    @property
    def url(self) -> str: ...


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    """Look every tenth of a second until it holds; TimeoutError if it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - what is waited for happens behind HTTP or the database
            await asyncio.sleep(0.1)


@dataclass
class Office:
    """A running service with a period and two agencies of the test's own, as callers of one kind or another see it."""

    client: httpx.AsyncClient
    token: Callable[[Role, str | None], str]
    bus: Bus
    store: Objects
    period: str
    agency: str
    other: str

    @property
    def own(self) -> str:
        """The path of the first agency."""
        return f"/periods/{self.period}/agencies/{self.agency}"

    async def call(
        self, role: Role, method: str, path: str, body: Any = None, agency: str | None = "", **headers: str
    ) -> httpx.Response:
        """Ask as one who has this role, for the first agency unless another or none is named."""
        token = self.token(role, self.agency if agency == "" else agency)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, json=body, headers={"Authorization": f"Bearer {token}", **named})

    async def open_period(self, **changes: Any) -> httpx.Response:
        """The answer to opening the period."""
        asked = opening(self.agency, self.other, **{"period": self.period, **changes})
        body = asked.model_dump(mode="json", by_alias=True)
        return await self.call(Role.OFFICER, "POST", "/periods", body, agency=None)


@pytest_asyncio.fixture
async def office(stack: Stack) -> AsyncIterator[Office]:
    """The service of the running stack."""
    mark = secrets.token_hex(4)
    keys = (stack.s3_access_key, stack.s3_secret_key)
    async with (
        httpx.AsyncClient(base_url=stack.services["submission"], timeout=20) as client,
        Objects(stack.s3_endpoint, *keys) as store,
    ):
        yield Office(
            client,
            lambda role, agency: stack.token(f"a-{role}", [role], agency),
            Bus(stack.kafka, "parindex"),
            store,
            f"p-{mark}",
            f"a-{mark}-01",
            f"a-{mark}-02",
        )


async def own_settings(stack: Stack, database: ServiceDatabase, folder: Path) -> Settings:
    """Settings of a service with database, buckets and topics of its own."""
    prefix = f"t{secrets.token_hex(6)}"
    settings = settings_in(
        folder,
        database_url=database.url,
        kafka=stack.kafka,
        kafka_prefix=prefix,
        s3_endpoint=stack.s3_endpoint,
        s3_access_key=stack.s3_access_key,
        s3_secret_key=stack.s3_secret_key,
        s3_prefix=prefix,
    )
    async with _store(settings) as store:
        await prepare(store)
    return settings


def _store(settings: Settings) -> Objects:
    return Objects(settings.s3_endpoint, settings.s3_access_key, settings.s3_secret_key, settings.s3_prefix)


@asynccontextmanager
async def running(settings: Settings, folder: Path) -> AsyncIterator[Office]:
    """A service in this process, from start to stop."""

    def token(role: Role, agency: str | None) -> str:
        issuer = folder / "issuer.jwk"
        return mint(issuer, issuer=ISSUER, audience=AUDIENCE, sub=f"a-{role}", roles=[role], agency=agency)

    app = create(settings)
    async with LifespanManager(app, startup_timeout=30, shutdown_timeout=30), _store(settings) as store:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://submission") as client:

            async def ready() -> bool:
                return (await client.get("/health/ready")).status_code == 200

            await until(ready)
            bus = Bus(settings.kafka, settings.kafka_prefix)
            yield Office(client, token, bus, store, "2024-year", "a-01", "a-02")
