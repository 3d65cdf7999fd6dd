"""The submission service: its parts wired together."""

import asyncio
import logging
from typing import Final

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from services.submission import api
from services.submission.desk import Desk
from services.submission.intake import Intake
from shared.decider import Rejected
from shared.service import Service
from shared.settings import Settings
from shared.web import create_app, serve

TICK: Final = 1.0
"""Seconds between two looks at what the clock has closed."""

_logger = logging.getLogger(__name__)


class Clock:
    """Closes what is due: the step of self-assessment at its last time, and requests without an answer."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def run(self) -> None:
        """Look once a tick until cancelled; what fails is looked at again."""
        while True:
            try:
                await self._desk.close_due()
            except (Rejected, SQLAlchemyError, OSError) as failure:
                what = failure.code if isinstance(failure, Rejected) else type(failure).__name__
                _logger.warning("closing what is due waits: %s", what)
            await asyncio.sleep(TICK)


def create(settings: Settings) -> FastAPI:
    """The application of one submission process."""
    service = Service(settings, follows=("appraisal", "scoring"))
    desk = Desk(service)
    intake = Intake(desk)
    service.tasks += [intake.run, Clock(desk).run]
    return create_app(
        "parindex submission",
        settings,
        lifespan=service.run,
        routers=[api.router(desk, intake)],
        problems=api.PROBLEMS,
        ready=service.ready,
        progress=service.progress,
    )


if __name__ == "__main__":
    serve(create)
