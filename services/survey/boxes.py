"""Tokens and ballot boxes in the database: issuing, casting, and the timer that empties the boxes into the log."""

import asyncio
import hashlib
import json
import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import ballot, campaign
from services.survey.ballot import EMPTY, Box
from shared.decider import Rejected
from shared.ledger import EVERY, Ledger, Moment, Projection
from shared.returns import Campaign, Returns
from shared.rubric import FormTally

ATTEMPTS: Final = 5

_logger = logging.getLogger(__name__)

_PLACE = "period = :period AND campaign = :campaign AND agency = :agency AND form = :form"
_ISSUE = text("""
    INSERT INTO token (hash, period, campaign, agency, form)
    SELECT hash, :period, :campaign, :agency, :form FROM unnest(CAST(:hashes AS bytea[])) AS hash
""")
_SET_UP = text("""
    INSERT INTO box (period, campaign, agency, form, current, waiting)
    VALUES (:period, :campaign, :agency, :form, :empty, :empty) ON CONFLICT DO NOTHING
""")
_SPEND = text("""
    UPDATE token SET spent = true WHERE hash = :hash AND NOT spent RETURNING period, campaign, agency, form
""")
_FIND = text("""
    SELECT token.period, token.campaign, token.agency, token.form, spent, closed, deployment_clock() AS clock
    FROM token JOIN box USING (period, campaign, agency, form) WHERE hash = :hash
""")
_IS_KNOWN = text("SELECT 1 FROM token WHERE hash = :hash")
_LOCK = text(f"SELECT current, closed, deployment_clock() AS clock FROM box WHERE {_PLACE} FOR UPDATE")  # noqa: S608 - constants
_ADD = text(f"UPDATE box SET current = :current WHERE {_PLACE}")  # noqa: S608 - constants
_OPEN = text("""
    SELECT period, campaign, agency, form, current, waiting, turn FROM box WHERE NOT closed
    ORDER BY period, campaign, agency, form
""")
_OPEN_OF = text("SELECT count(*) FROM box WHERE period = :period AND campaign = :campaign AND NOT closed")
# ballots come into `current` at any time, so what turns is what is there when the row is locked
_TURN = text(f"""
    UPDATE box SET waiting = current, current = :empty, turn = turn + 1
    WHERE {_PLACE} AND turn = :turn AND NOT closed
""")  # noqa: S608 - constants
_CLOSE = text(f"""
    UPDATE box SET waiting = :empty, current = :empty, closed = true
    WHERE {_PLACE} AND turn = :turn AND current = :current AND NOT closed
""")  # noqa: S608 - constants


@dataclass(frozen=True)
class Place:
    """Where a ballot belongs."""

    period: str
    campaign: str
    agency: str
    form: str

    @property
    def log(self) -> str:
        """The log of its period's survey."""
        return f"survey/{self.period}"


class BoxMoved(Exception):
    """The box is not as it was read: another replica was faster, or a last ballot came."""


class Boxes:
    """The ballot boxes of one survey service, emptied every `interval` seconds; `returns` projects its own logs."""

    def __init__(self, ledger: Ledger, returns: Projection[Returns], interval: float) -> None:
        self._ledger = ledger
        self._returns = returns
        self._interval = interval
        self._campaigns: dict[tuple[str, str], Campaign] = {}

    async def cast(self, token: str, answers: Mapping[str, str | None]) -> None:
        """Spend a token and add its ballot to the current box, both or neither; nothing else is written anywhere.

        Rejected `token-unknown`, `token-spent`, `campaign-not-open`, `campaign-closed`, `question-unknown`,
        `option-unknown`, `ledger-unavailable`.
        """
        spending = ballot.token_hash(token)
        try:
            async with self._ledger.engine.begin() as connection:
                place = await _spend(connection, spending)
                asked = await self._campaign(connection, place)
                given = ballot.read(asked.forms[place.form], answers)
                row = (await connection.execute(_LOCK, asdict(place))).one()
                campaign.check_open(asked, row.clock)
                if row.closed:  # emptied for good while this ballot waited for the lock
                    raise _closed()
                box = ballot.cast(Box(current=_load(row.current)), given)
                await connection.execute(_ADD, {**asdict(place), "current": _dump(box.current)})
        except (SQLAlchemyError, OSError) as failure:
            # the statement and its parameters stay out of every log
            _logger.warning("a ballot could not be cast (%s)", type(failure).__name__)
            message = "the ballot may not have been counted: send it again, token-spent means that it was"
            raise Rejected("ledger-unavailable", message) from None

    async def find(self, token: str) -> tuple[Place, Campaign]:
        """Where the ballot of an unspent token belongs, and its campaign, which is open.

        Rejected `token-unknown`, `token-spent`, `campaign-not-open`, `campaign-closed`, `ledger-unavailable`.
        """
        sought = ballot.token_hash(token)
        try:
            async with self._ledger.engine.connect() as connection:
                row = (await connection.execute(_FIND, {"hash": sought})).one_or_none()
                if row is None:
                    raise _unknown()
                if row.spent:
                    raise _spent()
                place = Place(row.period, row.campaign, row.agency, row.form)
                asked = await self._campaign(connection, place)
        except (SQLAlchemyError, OSError) as failure:
            _logger.warning("an invitation could not be looked up (%s)", type(failure).__name__)
            raise Rejected("ledger-unavailable", "the invitation cannot be looked up now; try again") from None
        campaign.check_open(asked, row.clock)
        if row.closed:
            raise _closed()
        return place, asked

    def issue(self, place: Place, tokens: Sequence[str]) -> Callable[[AsyncConnection], Awaitable[None]]:
        """What stores the hashes of fresh tokens, in the transaction that appends `invitations-issued`."""
        hashes = [ballot.token_hash(token) for token in tokens]

        async def store(connection: AsyncConnection) -> None:
            await connection.execute(_ISSUE, {**asdict(place), "hashes": hashes})
            await connection.execute(_SET_UP, {**asdict(place), "empty": _dump(EMPTY)})

        return store

    async def knows(self, token: str) -> bool:
        """Whether the token is a stored one, spent or not."""
        async with self._ledger.engine.connect() as connection:
            found = await connection.execute(_IS_KNOWN, {"hash": ballot.token_hash(token)})
            return found.one_or_none() is not None

    async def run(self) -> None:
        """Empty the boxes again and again until cancelled: a timer does, never a request, so that none can time it."""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.empty()
            except (SQLAlchemyError, OSError, Rejected) as failure:
                _logger.warning("the ballot boxes could not be read (%s); they will be again", type(failure).__name__)

    async def empty(self) -> None:
        """Turn every box whose campaign is open, close every box whose campaign has closed."""
        now = await self._ledger.now()
        moves = []
        for place, box, turn in await self._open_boxes():
            async with self._ledger.engine.connect() as connection:
                asked = await self._campaign(connection, place)
            moves.append(self._close(place, box, turn) if now >= asked.opened.closes else self._turn(place, box, turn))
        for outcome in await asyncio.gather(*moves, return_exceptions=True):
            if isinstance(outcome, BoxMoved):
                continue  # its turn comes again
            if isinstance(outcome, Exception):
                why = outcome.code if isinstance(outcome, Rejected) else type(outcome).__name__
                _logger.warning("a ballot box was not emptied (%s); it will be tried again", why)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def close(self, period: str, name: str) -> None:
        """Close all boxes of a campaign that has closed, without waiting for the timer: no ballot can come any more.

        Rejected `campaign-still-open`, `boxes-not-empty`.
        """
        for _ in range(ATTEMPTS):
            boxes = [each for each in await self._open_boxes() if (each[0].period, each[0].campaign) == (period, name)]
            outcomes = await asyncio.gather(*(self._close(*each) for each in boxes), return_exceptions=True)
            failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            if not failures:
                return
            for failure in failures:
                if not isinstance(failure, BoxMoved):
                    raise failure
        raise _not_empty(name)

    def all_closed(self, period: str, name: str) -> Callable[[AsyncConnection], Awaitable[None]]:
        """What refuses a completion (`boxes-not-empty`) while a box of the campaign may hold ballots."""

        async def check(connection: AsyncConnection) -> None:
            if (await connection.execute(_OPEN_OF, {"period": period, "campaign": name})).scalar_one():
                raise _not_empty(name)

        return check

    async def _open_boxes(self) -> list[tuple[Place, Box, int]]:
        async with self._ledger.engine.connect() as connection:
            rows = (await connection.execute(_OPEN)).all()
        return [
            (
                Place(row.period, row.campaign, row.agency, row.form),
                Box(_load(row.current), _load(row.waiting)),
                row.turn,
            )
            for row in rows
        ]

    async def _turn(self, place: Place, box: Box, turn: int) -> None:
        taken, after = ballot.turn(box)
        if after == box:
            return

        async def move(connection: AsyncConnection) -> None:
            await _move(connection, _TURN, place, turn)

        if not taken.ballots:
            async with self._ledger.engine.begin() as connection:
                await move(connection)
            return
        own = (place.campaign, place.agency, place.form)
        await self._append(place, lambda _: campaign.RecordResponses(*own, taken), move)

    async def _close(self, place: Place, box: Box, turn: int) -> None:
        own, taken = (place.campaign, place.agency, place.form), ballot.rest(box)

        async def move(connection: AsyncConnection) -> None:
            await _move(connection, _CLOSE, place, turn, current=_dump(box.current))

        await self._append(place, lambda at: campaign.CloseBox(*own, taken, at.time), move)

    async def _append(
        self,
        place: Place,
        command: Callable[[Moment], campaign.Command],
        move: Callable[[AsyncConnection], Awaitable[None]],
    ) -> None:
        """Append what was taken out in the transaction that takes it out; nothing in the entry leads to a request."""
        key = uuid.uuid4().hex
        await self._ledger.execute(
            campaign.DECIDER,
            place.log,
            campaign.campaign_stream(place.campaign),
            command,
            reads=(EVERY,),
            actor=self._ledger.service,
            door="box",
            key=key,
            digest=hashlib.sha256(key.encode()).digest(),
            within=move,
        )

    async def _campaign(self, connection: AsyncConnection, place: Place) -> Campaign:
        """The campaign, from memory: what it opened with does not change, and closed boxes say the rest."""
        key = (place.period, place.campaign)
        if key not in self._campaigns:
            _, returns = await self._returns.read(connection, place.log)
            self._campaigns[key] = returns.campaigns[place.campaign]
        return self._campaigns[key]


def fresh_tokens(count: int) -> list[str]:
    """So many new tokens of 128 random bits each."""
    return [ballot.token(secrets.token_bytes(ballot.TOKEN_BYTES)) for _ in range(count)]


async def _spend(connection: AsyncConnection, spending: bytes) -> Place:
    row = (await connection.execute(_SPEND, {"hash": spending})).one_or_none()
    if row is not None:
        return Place(*row)
    if (await connection.execute(_IS_KNOWN, {"hash": spending})).one_or_none() is None:
        raise _unknown()
    raise _spent()


def _unknown() -> Rejected:
    return Rejected("token-unknown", "there is no such invitation", "token")


def _spent() -> Rejected:
    return Rejected("token-spent", "this invitation's ballot has been cast", "token")


def _closed() -> Rejected:
    return Rejected("campaign-closed", "the campaign has closed", "token")


async def _move(connection: AsyncConnection, statement: Any, place: Place, turn: int, **more: str) -> None:
    parameters = {**asdict(place), "turn": turn, "empty": _dump(EMPTY), **more}
    if (await connection.execute(statement, parameters)).rowcount != 1:
        raise BoxMoved


def _not_empty(name: str) -> Rejected:
    return Rejected("boxes-not-empty", f"ballots of {name} are not in the log yet; try again", "campaign")


def _dump(tally: FormTally) -> str:
    return json.dumps([tally.ballots, tally.counts], sort_keys=True, separators=(",", ":"))


def _load(stored: str) -> FormTally:
    ballots, counts = json.loads(stored)
    return FormTally(ballots, counts)
