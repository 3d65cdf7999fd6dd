"""Tokens and ballot boxes in the database: issuing, casting, and the timer that empties the boxes into the log."""

import asyncio
import hashlib
import json
import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.survey import ballot, campaign
from services.survey.ballot import EMPTY, Box
from services.survey.paper import Paper, RowFault
from services.survey.paper import answers as paper_answers
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
_THOSE_OF = text("""
    SELECT hash, agency, form, spent FROM token
    WHERE hash = ANY(CAST(:hashes AS bytea[])) AND period = :period AND campaign = :campaign
""")
# in one order, so that two tables of paper ballots never wait for each other
_LOCK_ALL = text("""
    SELECT hash FROM token WHERE hash = ANY(CAST(:hashes AS bytea[])) AND NOT spent ORDER BY hash FOR UPDATE
""")
_SPEND_ALL = text("UPDATE token SET spent = true WHERE hash = ANY(CAST(:hashes AS bytea[]))")
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
                await _fill(connection, asked, place, [given])
        except (SQLAlchemyError, OSError) as failure:
            # the statement and its parameters stay out of every log
            _logger.warning("a ballot could not be cast (%s)", type(failure).__name__)
            message = "the ballot may not have been counted: send it again, token-spent means that it was"
            raise Rejected("ledger-unavailable", message) from None

    async def count(self, period: str, asked: Campaign, papers: Sequence[Paper]) -> list[RowFault]:
        """Spend the tokens of paper ballots and add these to their boxes, all in one transaction, as `cast` does one.

        What is wrong with the rows that do not count, in their order. Rejected `campaign-not-open`, `campaign-closed`,
        `ledger-unavailable`: then none counts.
        """
        try:
            async with self._ledger.engine.begin() as connection:
                given, faults = await _matched(connection, period, asked, papers)
                free = (await connection.execute(_LOCK_ALL, {"hashes": list(given)})).scalars().all()
                await connection.execute(_SPEND_ALL, {"hashes": free})
                faults += [RowFault(given[spent].row, "token-spent") for spent in given.keys() - free]
                boxes: dict[Place, list[Mapping[str, str]]] = {}
                for spending in free:
                    boxes.setdefault(given[spending].place, []).append(given[spending].answers)
                for place in sorted(boxes, key=astuple):
                    await _fill(connection, asked, place, boxes[place])
        except (SQLAlchemyError, OSError) as failure:
            _logger.warning("paper ballots could not be counted (%s)", type(failure).__name__)
            message = "the table may not have been counted: send it again, a row that was is then token-spent"
            raise Rejected("ledger-unavailable", message) from None
        return sorted(faults, key=lambda fault: fault.row)

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


async def _fill(connection: AsyncConnection, asked: Campaign, place: Place, given: Sequence[Mapping[str, str]]) -> None:
    """Add ballots that were `read` to the current box; Rejected `campaign-not-open`, `campaign-closed`."""
    row = (await connection.execute(_LOCK, asdict(place))).one()
    campaign.check_open(asked, row.clock)
    if row.closed:  # emptied for good while these ballots waited for the lock
        raise _closed()
    box = Box(current=_load(row.current))
    for answers in given:
        box = ballot.cast(box, answers)
    await connection.execute(_ADD, {**asdict(place), "current": _dump(box.current)})


class _Given(NamedTuple):
    """A paper ballot that may count."""

    row: int
    place: Place
    answers: Mapping[str, str]


async def _matched(
    connection: AsyncConnection, period: str, asked: Campaign, papers: Sequence[Paper]
) -> tuple[dict[bytes, _Given], list[RowFault]]:
    """The paper ballots that may count, by the hash of their token, and what is wrong with the others."""
    hashes = {paper.row: found for paper in papers if (found := ballot.hash_or_none(paper.token)) is not None}
    own = {"period": period, "campaign": asked.opened.campaign, "hashes": list(hashes.values())}
    known = {row.hash: row for row in (await connection.execute(_THOSE_OF, own)).all()}
    given: dict[bytes, _Given] = {}
    faults: list[RowFault] = []
    for paper in papers:
        spending = hashes.get(paper.row)
        row = None if spending is None else known.get(spending)
        if spending is None or row is None:
            faults.append(RowFault(paper.row, "token-unknown"))
        elif row.spent or spending in given:
            faults.append(RowFault(paper.row, "token-spent"))
        elif paper.agency.lower() not in ("", row.agency):
            faults.append(RowFault(paper.row, "agency-differs"))
        elif isinstance(answers := paper_answers(asked.forms[row.form], paper), RowFault):
            faults.append(answers)
        else:
            place = Place(period, asked.opened.campaign, row.agency, row.form)
            given[spending] = _Given(paper.row, place, ballot.read(asked.forms[row.form], answers))
    return given, faults


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
