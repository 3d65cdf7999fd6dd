"""What the scoring's routes share: the live view, the published index, and what decisions rest on."""

import asyncio
from typing import Any, Final

from fastapi import Response

from services.scoring.heads import Tree, archived_heads, archived_size, final_result
from services.scoring.index import DECIDER, STREAM, Index, Situation, evolve
from services.scoring.replay import Result
from services.scoring.scorecard import States
from services.scoring.views import Live, Look, Published, fold_published, scored_logs
from shared.access import Caller
from shared.decider import Rejected
from shared.events.scoring import Head, IndexPublished
from shared.ledger import Moment, Projection
from shared.service import Service
from shared.web import Terms, accepted

WAIT: Final = 10.0
"""Seconds that a request with `after` waits at most."""


class Desk:
    """What the routes share: the live view, the published index, and what decisions rest on."""

    def __init__(self, service: Service, live: Live) -> None:
        self.service = service
        self.live = live
        self.published = Projection(Published(), fold_published, "entry")
        self._applied = asyncio.Event()
        service.follower.applied.append(self._wake)

    def _wake(self, _: str) -> None:
        self._applied.set()
        self._applied = asyncio.Event()

    async def look(self, period: str) -> Look:
        """The period as it stands; Rejected `period-unknown`."""
        look = await self.live.look(self.service.engine, period)
        look.states.period.the_opened()
        return look

    async def look_after(self, period: str, version: int) -> Look:
        """The period once its version is above the one given, or as it stands after `WAIT` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT
        while True:
            applied = self._applied
            look = await self.look(period)
            left = until - loop.time()
            if look.version > version or left <= 0:
                return look
            try:
                # another replica may apply the entries: then nobody wakes this one
                await asyncio.wait_for(applied.wait(), min(left, 1.0))
            except TimeoutError:
                continue

    async def publication(self, period: str) -> Published:
        """What of the period is published."""
        found: Published
        [(_, found)] = await self.service.read(self.published.of(f"scoring/{period}"))
        return found

    async def own_head(self, period: str) -> tuple[Head, int]:
        """The scoring log's head, and how far the archive proves it."""
        log = f"scoring/{period}"
        frontier = (await self.service.ledger.heads()).get(log)
        if frontier is None:
            raise Rejected("period-unknown", "there is no such period", "period")
        tree = Tree(await self.service.ledger.read(log, 0, frontier.size))
        key = self.service.register.signing_key(log).verifier
        return tree.head(tree.size), await archived_size(self.service.objects, log, tree.size, tree, key)

    async def final(self, period: str) -> tuple[Look, Result | None, dict[str, int]]:
        """The period, its result at the heads of its finalising (None before it), and how far these are archived."""
        look = await self.look(period)
        finalised = look.states.appraisal.finalised
        if finalised is None:
            return look, None, {}
        return look, *await final_result(self.service.engine, self.service.objects, period, finalised)

    async def standing(self, period: str) -> tuple[Look, Situation, int]:
        """The period as it stands, what holds its publication up with how far the archive proves its heads, and the
        size of the scoring log. Nothing is computed again."""
        look = await self.look(period)
        finalised, archived = look.states.appraisal.finalised, dict[str, int]()
        if finalised is not None:
            _, _, archived = await archived_heads(self.service.engine, self.service.objects, period, finalised)
        own, held = await self.own_head(period)
        on = Situation(period, look.states, look.time, look.parked, {**archived, f"scoring/{period}": held})
        return look, on, own.size

    async def published_index(self, period: str, number: int | None = None) -> tuple[IndexPublished, Published, Look]:
        """The published index of a period: the last one, or that of a number from 1; Rejected `not-published`."""
        found = (await self.publication(period)).publication(number)
        assert found.manifest is not None
        return found.manifest, found, await self.look(period)

    def situation(self, moment: Moment, period: str, look: Look, archived: dict[str, int]) -> Situation:
        """What a decision rests on, at its moment."""
        folded = {service: moment.seen[log] for service, log in scored_logs(period).items()}
        return Situation(period, States.of(folded), moment.time, look.parked, archived)

    async def index(self, period: str) -> Index:
        """How far the index has come, from the scoring log's own entries."""
        log, state = f"scoring/{period}", Index()
        frontier = (await self.service.ledger.heads()).get(log)
        for entry in await self.service.ledger.read(log, 0, 0 if frontier is None else frontier.size):
            if entry.event is not None:
                state = evolve(state, entry.event)
        return state

    async def execute(self, period: str, caller: Caller, on: Terms, command: Any, *, rests: bool) -> Response:
        """Run a command on the period's index; `rests`: it rests on the followed logs."""
        sees = [self.live.folds.of(log) for log in scored_logs(period).values()] if rests else []
        result = await self.service.decide(DECIDER, period, STREAM, command, actor=caller.actor, sees=sees, **on)
        return accepted(result)

    async def archive_soon(self, period: str) -> None:
        """Have the publication archived at once."""
        log = f"scoring/{period}"
        self.service.archive_soon(log, (await self.service.ledger.heads())[log].size)
