"""A survey service on a real database, with a period that it follows; Kafka and the object store are not needed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from services.survey import api, campaign
from services.survey.boxes import Boxes
from services.survey.desk import Desk
from shared import web
from shared.access import Role
from shared.events import Entry
from shared.ledger import EVERY
from shared.service import Service
from tests.services.survey.samples import DURING, SUBMISSION, SURVEY, entries, period, period_events
from tests.shared.local_app import client_of, settings_in, token

TABLES = Path(__file__).parents[3] / "deploy" / "postgres" / "002_survey.sql"


class ServiceDatabase(Protocol):
    """A database with the schema of a service."""

    url: str
    admin_url: str


@dataclass
class Survey:
    """A running survey service, as HTTP and the database show it."""

    service: Service
    desk: Desk
    client: httpx.AsyncClient
    folder: Path
    admin: AsyncEngine

    @property
    def boxes(self) -> Boxes:
        return self.desk.boxes

    def bearer(self, *roles: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {token(self.folder, *roles)}"}

    async def play(self, at: datetime) -> None:
        """Set the deployment's clock."""
        async with self.admin.begin() as connection:
            await connection.execute(text("UPDATE clock_offset SET delta = :at - clock_timestamp()"), {"at": at})

    async def follow(self, found: list[Entry]) -> None:
        """Have applied these entries of another service's log."""
        async with self.service.engine.begin() as connection:
            for entry in found:
                await connection.execute(
                    text("INSERT INTO followed VALUES (:log, :position, :header, :salt, :data)"),
                    {"log": entry.log, "position": entry.position, "header": entry.leaf}
                    | {"salt": entry.salt, "data": entry.data},
                )
            await connection.execute(
                text("INSERT INTO cursor (log, size) VALUES (:log, :size)"),
                {"log": found[0].log, "size": len(found)},
            )

    async def log(self) -> list[Entry]:
        return await self.service.ledger.read(SURVEY, 0, 1_000_000)

    async def ballots(self) -> int:
        """All ballots in the boxes."""
        return sum(box.current.ballots + box.waiting.ballots for _, box, _ in await self.boxes._open_boxes())


async def _set_up(admin_url: str, role: str) -> None:
    connection = await asyncpg.connect(make_url(admin_url).set(drivername="postgresql").render_as_string(False))
    try:
        if await connection.fetchval("SELECT to_regclass('box')") is None:
            await connection.execute(TABLES.read_text().replace(":service", role))
    finally:
        await connection.close()


@asynccontextmanager
async def _no_parts(_: FastAPI) -> AsyncIterator[None]:
    yield


@pytest.fixture
async def survey(database: ServiceDatabase, tmp_path: Path) -> AsyncIterator[Survey]:
    """The service with its period started, the clock in the midst of the campaign to come."""
    await _set_up(database.admin_url, make_url(database.url).username or "")
    settings = settings_in(tmp_path, service="survey", database_url=database.url)
    service = Service(settings, follows=("submission", "scoring"))
    desk = Desk(service)
    app = web.create_app(
        "survey",
        settings,
        lifespan=_no_parts,
        routers=[api.router(desk)],
        problems=api.PROBLEMS,
        ready=service.ready,
        progress=service.progress,
        untraced=api.UNTRACED,
    )
    admin = create_async_engine(database.admin_url)
    async with client_of(app) as client:
        survey = Survey(service, desk, client, tmp_path, admin)
        await survey.play(DURING)
        await survey.follow(entries(SUBMISSION, period_events()))
        await service.register.start()
        await service.register.open(SURVEY)
        await service.ledger.execute(
            campaign.DECIDER,
            SURVEY,
            campaign.PERIOD_STREAM,
            lambda _: campaign.StartSurvey("2024-year", 0, period()),
            actor="survey",
            door="reaction",
            key="start",
            digest=b"",
            reads=(EVERY,),
        )
        yield survey
        await service.ledger.close()
        await service.engine.dispose()
    await admin.dispose()
