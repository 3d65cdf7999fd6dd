"""The scoring service, wired: it follows submission, appraisal and survey, and keeps the scorecards live."""

from fastapi import FastAPI

from services.scoring import api, index
from services.scoring.index import Start
from services.scoring.views import Live, beside
from shared.events import Entry
from shared.events.submission import PeriodOpened
from shared.service import Service
from shared.settings import Settings
from shared.web import create_app, serve


def create(settings: Settings) -> FastAPI:
    """The application of one scoring process."""
    live = Live()
    service = Service(settings, follows=("submission", "appraisal", "survey"), apply=live.apply, beside=beside)

    async def react(entry: Entry) -> None:
        """Open the scoring log with its period."""
        if not isinstance(entry.event, PeriodOpened):
            return
        start = Start(entry.event.period, entry.position)
        log = f"scoring/{start.period}"
        await service.register.open(log)
        await service.reaction(entry, "start", index.DECIDER, log, index.STREAM, lambda _: start)

    service.react = react
    return create_app(
        "parindex scoring",
        settings,
        lifespan=service.run,
        routers=[api.router(service, live)],
        problems=api.PROBLEMS,
        ready=service.ready,
        progress=service.progress,
    )


if __name__ == "__main__":
    serve(create)
