"""The survey service, wired: it follows submission and scoring, and empties the ballot boxes."""

from fastapi import FastAPI

from services.survey import api, campaign
from services.survey.campaign import StartSurvey
from services.survey.desk import Desk
from shared.events import Entry
from shared.events.submission import PeriodStarted
from shared.ledger import EVERY
from shared.service import Service
from shared.settings import Settings
from shared.web import create_app, serve


def create(settings: Settings) -> FastAPI:
    """The application of one survey process."""
    service = Service(settings, follows=("submission", "scoring"))
    desk = Desk(service)

    async def react(entry: Entry) -> None:
        """Open the survey's log with the period, and say there if no survey is held."""
        if not isinstance(entry.event, PeriodStarted):
            return
        period = entry.log.partition("/")[2]
        await service.register.open(f"survey/{period}")
        await service.reaction(
            entry,
            "start",
            campaign.DECIDER,
            f"survey/{period}",
            campaign.PERIOD_STREAM,
            lambda at: StartSurvey(period, entry.position, at.seen[entry.log]),
            reads=(EVERY,),
            sees=(service.periods.of(entry.log),),
        )

    service.react = react
    service.tasks.append(desk.boxes.run)
    return create_app(
        "parindex survey",
        settings,
        lifespan=service.run,
        routers=[api.router(desk)],
        problems=api.PROBLEMS,
        ready=service.ready,
        progress=service.progress,
        untraced=api.UNTRACED,
    )


if __name__ == "__main__":
    serve(create)
