"""The desk of the appraisal: reads what surrounds a command in its own transaction and has the ledger decide it."""

from collections.abc import Callable
from typing import Any

from fastapi import Response

from services.appraisal import appraisal, council
from services.appraisal.case import Appraisal, Case
from services.appraisal.views import Appraised, Filed, fold_appraised, fold_filed
from shared.access import Caller, actor_id
from shared.decider import Decider
from shared.events import Event
from shared.ledger import EVERY, Moment, Projection, Seen
from shared.period import Period, fold_published
from shared.returns import Returns
from shared.returns import fold as fold_returns
from shared.service import Service
from shared.web import Terms, accepted


class Desk:
    """What the routes share: the service's projections, and a command's surroundings read in its transaction."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.filed = Projection(Filed(), fold_filed, "followed")
        self.returns = Projection(Returns(), fold_returns, "followed")
        self.published = Projection(False, fold_published, "followed")
        self.appraised = Projection(Appraised(), fold_appraised, "entry")

    async def read(self, period: str) -> tuple[Filed, Appraised, dict[str, dict[str, int]]]:
        """What was filed, the appraisal, and the heads of both at one moment; Rejected `period-unknown`."""
        logs = (f"submission/{period}", f"appraisal/{period}")
        (filed_size, filed), (own_size, own) = await self.service.read(
            self.filed.of(logs[0]), self.appraised.of(logs[1])
        )
        filed.period.the_opened()
        return filed, own, {logs[0]: {"size": filed_size}, logs[1]: {"size": own_size}}

    def case(self, moment: Moment, period: str, agency: str, actor: str, *, matched: bool = False) -> Case:
        """An agency's case at the moment of the decision; Rejected `agency-unknown`, `agency-withdrawn`."""
        filed: Filed = moment.seen[f"submission/{period}"]
        opened, filing = filed.period.the_opened(), filed.of(agency)
        return Case(
            actor=actor,
            agency=agency,
            group=filed.period.the_active(agency).group,
            time=moment.time,
            position=moment.position,
            rubric=filed.period.rubric_of(agency),
            council=opened.council,
            declared=filing.declared,
            answered=filing.answered,
            published=moment.seen[f"scoring/{period}"],
            matched=matched,
            reopened=filing.reopened,
        )

    def whole(self, moment: Moment, period: str, known: Period, actor: str) -> tuple[dict[str, Case], frozenset[str]]:
        """Every agency's case, and the agencies whose survey is complete; the decision has to see the survey's log."""
        returns: Returns = moment.seen[f"survey/{period}"]
        still_open = set(returns.open_agencies(known))
        cases = {agency: self.case(moment, period, agency, actor) for agency in known.active}
        return cases, frozenset(agency for agency in known.active if agency not in still_open)

    async def decide_on_agency(
        self,
        period: str,
        agency: str,
        caller: Caller,
        on: Terms,
        command: Callable[[Case], Any],
        decider: Decider[Appraisal, Any, Event] = appraisal.DECIDER,
    ) -> Response:
        """Run a command on one agency's appraisal, by the rules for such commands."""

        def build(moment: Moment) -> Any:
            matched = on["expected_version"] is not None
            return command(self.case(moment, period, agency, caller.actor, matched=matched))

        stream = appraisal.stream(agency)
        return await self._decide(decider, period, stream, council.STREAM, build, caller, on)

    async def decide_on_period(
        self,
        period: str,
        caller: Caller,
        on: Terms,
        command: Callable[[Moment, Period, bool], council.Command],
        more: tuple[Seen, ...] = (),
    ) -> Response:
        """Run a command on the period's appraisal as a whole."""

        def build(moment: Moment) -> council.Command:
            filed: Filed = moment.seen[f"submission/{period}"]
            return command(moment, filed.period, moment.seen[f"scoring/{period}"])

        return await self._decide(council.DECIDER, period, council.STREAM, EVERY, build, caller, on, more)

    async def _decide(
        self,
        decider: Decider[Any, Any, Any],
        period: str,
        stream: str,
        reads: str,
        command: Callable[[Moment], Any],
        caller: Caller,
        on: Terms,
        more: tuple[Seen, ...] = (),
    ) -> Response:
        sees: tuple[Seen, ...] = (self.filed.of(f"submission/{period}"), self.published.of(f"scoring/{period}"), *more)
        return accepted(
            await self.service.decide(
                decider, period, stream, command, actor=caller.actor, reads=(reads,), sees=sees, **on
            )
        )

    def actor(self, subject: str) -> str:
        """The actor id of a person of the configured issuer."""
        settings = self.service.settings
        return actor_id(settings.identity_secret, settings.issuer, subject)
