"""The appraisal service, wired: it follows submission, survey and scoring."""

from fastapi import FastAPI

from services.appraisal import api, appraisal, council
from services.appraisal.api import PROBLEMS
from shared.events import Entry
from shared.events.submission import PeriodOpened, ReopeningClosed, SelfAssessmentClosed, SelfAssessmentSubmitted
from shared.ledger import EVERY
from shared.service import Service
from shared.settings import Settings
from shared.web import create_app, serve


def create(settings: Settings) -> FastAPI:
    """The application of one appraisal process."""
    service = Service(settings, follows=("submission", "survey", "scoring"))

    async def react(entry: Entry) -> None:
        """Open the log with its period, and each agency's appraisal with its submission or the closing without one."""
        log = f"appraisal/{entry.log.partition('/')[2]}"
        match entry.event:
            case PeriodOpened(period=period):
                await service.register.open(log)
                start = council.Start(period, entry.position)
                await service.reaction(
                    entry, "start", council.DECIDER, log, council.STREAM, lambda _: start, reads=(EVERY,)
                )
            case SelfAssessmentSubmitted(agency=agency):
                await _open(service, entry, log, agency, submitted=True)
            case SelfAssessmentClosed(not_submitted=agencies):
                for agency in agencies:
                    await _open(service, entry, log, agency, submitted=False)
            case ReopeningClosed(agency=agency, submitted=submitted):
                await _open(service, entry, log, agency, submitted=submitted)

    service.react = react
    return create_app(
        "parindex appraisal",
        settings,
        lifespan=service.run,
        routers=[api.router(service)],
        problems=PROBLEMS,
        ready=service.ready,
        progress=service.progress,
    )


async def _open(service: Service, entry: Entry, log: str, agency: str, *, submitted: bool) -> None:
    command = appraisal.Open(agency, submitted, entry.position)
    await service.reaction(
        entry,
        f"open/{agency}",
        appraisal.DECIDER,
        log,
        appraisal.stream(agency),
        lambda _: command,
        reads=(council.STREAM,),
    )


if __name__ == "__main__":
    serve(create)
