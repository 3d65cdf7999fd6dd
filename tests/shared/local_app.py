"""One service's settings and application for tests, with keys of a local issuer and nothing on the network."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from asgi_lifespan import LifespanManager
from fastapi import APIRouter, FastAPI

from shared import issuer, web
from shared.access import Role
from shared.settings import Settings

ISSUER = "https://issuer.parindex.test"
AUDIENCE = "parindex"


def values(folder: Path) -> dict[str, str]:
    """A whole set of settings, name → text, its files written into the folder."""
    private, public = issuer.new_issuer()
    files = {
        "issuer.jwk": private,
        "jwks.json": public,
        "key.json": json.dumps({"generation": "2024", "secret": "07" * 32}),
        "identity.hex": "01" * 32 + "\n",
        "service.hex": "02" * 32 + "\n",
        "registers.policy": "quorum none\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return {
        "service": "submission",
        "deployment": "parindex.test",
        "database_url": "postgresql+asyncpg://submission:hidden-password@127.0.0.1:5432/submission",
        "kafka": "127.0.0.1:9092",
        "s3_endpoint": "http://127.0.0.1:8333",
        "s3_access_key": "access",
        "s3_secret_key": "hidden-key",
        "key_file": str(folder / "key.json"),
        "identity_secret_file": str(folder / "identity.hex"),
        "service_secret_file": str(folder / "service.hex"),
        "registers_file": str(folder / "registers.policy"),
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks": str(folder / "jwks.json"),
        "port": "0",
    }


def settings_in(folder: Path, **changed: Any) -> Settings:
    return Settings.model_validate({**values(folder), **changed})


def token(folder: Path, *roles: Role, agency: str | None = None, ttl: timedelta = timedelta(hours=1)) -> str:
    """A token of the issuer whose keys `values` wrote."""
    return issuer.mint(
        folder / "issuer.jwk", issuer=ISSUER, audience=AUDIENCE, sub="an-officer", roles=roles, agency=agency, ttl=ttl
    )


async def nothing_waits() -> Mapping[str, str | None]:
    return {"ledger": None}


async def no_progress() -> Mapping[str, Any]:
    return {"logs": {}}


@asynccontextmanager
async def no_parts(_: FastAPI) -> AsyncIterator[None]:
    yield


def app_of(
    settings: Settings,
    *routers: APIRouter,
    problems: Mapping[str, web.Problem] | None = None,
    ready: web.Ready = nothing_waits,
    untraced: Sequence[str] = (),
) -> FastAPI:
    return web.create_app(
        "submission",
        settings,
        lifespan=no_parts,
        routers=routers,
        problems=problems or {},
        ready=ready,
        progress=no_progress,
        untraced=untraced,
    )


@asynccontextmanager
async def client_of(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the started application, in this process."""
    async with LifespanManager(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://submission.parindex.test") as client:
            yield client
