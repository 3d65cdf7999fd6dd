"""What the survey's doors share: the service, its ballot boxes and projections, and how a command is run."""

from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import campaign
from services.survey.boxes import Boxes
from services.survey.page import Sheet
from services.survey.views import Heads
from shared.access import Caller
from shared.decider import Rejected
from shared.ledger import EVERY, Accepted, Moment, Projection, Seen
from shared.period import Period, fold_published
from shared.returns import Campaign, Returns, fold
from shared.rubric import Label
from shared.service import Service
from shared.web import Terms


class Desk:
    """What the routes share: the service, its ballot boxes and projections."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.returns = Projection(Returns(), fold, "entry")
        self.published = Projection(False, fold_published, "followed")
        self.boxes = Boxes(service.ledger, self.returns, service.settings.box_interval)

    def scoring(self, period: str) -> Seen:
        """The period's scoring log, as decisions read it."""
        return self.published.of(f"scoring/{period}")

    def sees(self, period: str) -> tuple[Seen, ...]:
        """The followed logs that most decisions rest on."""
        return self.service.periods.of(f"submission/{period}"), self.scoring(period)

    async def read(self, period: str) -> tuple[Period, Returns, Heads]:
        """The period and its survey at one moment; Rejected `period-unknown`."""
        logs = (f"submission/{period}", f"survey/{period}")
        (filed, known), (size, returns) = await self.service.read(
            self.service.periods.of(logs[0]), self.returns.of(logs[1])
        )
        known.the_opened()
        return known, returns, {logs[0]: {"size": filed}, logs[1]: {"size": size}}

    async def sheet(self, token: str) -> Sheet:
        """What the invitation asks. Rejected as `Boxes.find`."""
        place, asked = await self.boxes.find(token)
        try:
            [(_, known)] = await self.service.read(self.service.periods.of(f"submission/{place.period}"))
        except (SQLAlchemyError, OSError):
            raise Rejected("ledger-unavailable", "the form cannot be read now; try again") from None
        agency = known.the_agency(place.agency)
        return Sheet(asked.forms[place.form], Label(vi=agency.name_vi, en=agency.name_en), asked.opened.closes)

    async def the_campaign(self, period: str, name: str) -> Campaign:
        """The campaign of that name; Rejected `period-unknown`, `campaign-unknown`."""
        _, returns, _ = await self.read(period)
        if (found := returns.campaigns.get(name)) is None:
            raise Rejected("campaign-unknown", f"there is no campaign {name}", "campaign")
        return found

    async def decide(
        self,
        period: str,
        stream: str,
        command: Callable[[Moment], campaign.Command],
        caller: Caller,
        on: Terms,
        sees: tuple[Seen, ...],
        within: Callable[[AsyncConnection], Awaitable[None]] | None = None,
    ) -> Accepted:
        """Run a command on the period's survey; Rejected `period-unknown`."""
        return await self.service.decide(
            campaign.DECIDER,
            period,
            stream,
            command,
            actor=caller.actor,
            reads=(EVERY,),
            sees=sees,
            within=within,
            **on,
        )
