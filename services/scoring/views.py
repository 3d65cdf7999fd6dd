"""The live view: the folded logs of a period, and the card of each agency, moved in the follower's transaction."""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from opentelemetry.trace import SpanKind
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.scorecard import RELEVANT, SCORED, Folded, States, before, leaves, not_held, self_assessed
from shared import telemetry
from shared.decider import Rejected
from shared.events import Entry
from shared.events.scoring import CardPublished, IndexPublished, RevisionOpened
from shared.follower import Head, heads
from shared.ledger import read_entries
from shared.rubric import Card

_SIZE = text("SELECT size FROM cursor WHERE log = :log")
_MOVE = text("""
    INSERT INTO card (period, agency, heads, card)
    SELECT :period, agency, :heads, card
    FROM unnest(CAST(:agencies AS text[]), CAST(:cards AS text[])) AS moved (agency, card)
    ON CONFLICT (period, agency) DO UPDATE SET heads = excluded.heads, card = excluded.card
""")
_CARDS = text("SELECT agency, card FROM card WHERE period = :period ORDER BY agency")
_NOW = text("""
    SELECT deployment_clock() AS time, ARRAY(SELECT log FROM parked WHERE log = ANY(:logs)) AS parked
""")


def scored_logs(period: str) -> dict[str, str]:
    """The three logs that a period's score is computed from: service → log name."""
    return {service: f"{service}/{period}" for service in SCORED}


def beside(log: str) -> list[str]:
    """The other two logs that a scored log's period is computed from; none for any other log."""
    return [other for other in scored_logs(_period(log)).values() if other != log] if _is_scored(log) else []


@dataclass
class Prefix:
    """A followed log as `Ledger.execute` takes it in `sees`; the state is a `Folded`."""

    log: str
    folds: "Folds"

    async def read(self, connection: AsyncConnection) -> tuple[int, Folded]:
        """The cursor in this transaction, and the state folded to it."""
        return await self.folds.read(connection, self.log)


class Folds:
    """The followed logs, folded, each kept in memory at its two newest sizes.

    A kept state is true of the log's first entries whether or not the transaction that brought them was committed,
    since entries are verified before they are folded; a rolled back one costs no more than a step to the size before.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[tuple[int, Folded], ...]] = {}

    def of(self, log: str) -> Prefix:
        """One log, as a decision rests on it."""
        return Prefix(log, self)

    async def read(self, connection: AsyncConnection, log: str) -> tuple[int, Folded]:
        """The log's cursor as this transaction sees it, and the state at that size."""
        size = (await connection.execute(_SIZE, {"log": log})).scalar_one_or_none() or 0
        return size, await self.at(connection, log, size)

    async def advance(self, connection: AsyncConnection, log: str, entries: Sequence[Entry]) -> Folded:
        """The state after the next entries of a log, which need not be read again."""
        start = entries[0].position
        folded = (await self.at(connection, log, start)).fold(_service(log), entries)
        self._keep(log, start + len(entries), folded)
        return folded

    async def at(self, connection: AsyncConnection, log: str, size: int) -> Folded:
        """The state after the first `size` entries of a log, which stand in the database or were folded before."""
        start, folded = next((kept for kept in self._kept.get(log, ()) if kept[0] <= size), (0, before(_service(log))))
        if start < size:
            folded = folded.fold(_service(log), await read_entries(connection, "followed", log, start, size))
            self._keep(log, size, folded)
        return folded

    def _keep(self, log: str, size: int, folded: Folded) -> None:
        others = [kept for kept in self._kept.get(log, ()) if kept[0] != size]
        self._kept[log] = tuple(sorted([(size, folded), *others], key=lambda kept: -kept[0])[:2])


class Live:
    """The live scorecards: what the follower calls with each batch of entries, and what is read of it."""

    def __init__(self) -> None:
        self.folds = Folds()

    async def apply(
        self, connection: AsyncConnection, log: str, entries: Sequence[Entry], sizes: Mapping[str, int]
    ) -> None:
        """Fold the next entries of a log and move the cards of the agencies that they speak of."""
        if not _is_scored(log):
            return
        relevant = RELEVANT[_service(log)]
        folded = await self.folds.advance(connection, log, entries)
        moving = [entry for entry in entries if entry.type in relevant]
        if not moving:
            return
        period, logs = _period(log), {_service(log): folded}
        stand = {name: sizes.get(name, 0) for name in scored_logs(period).values()}
        for other in beside(log):
            logs[_service(other)] = await self.folds.at(connection, other, stand[other])
        states = States.of(logs)
        agencies = moved_agencies(states, moving)
        if agencies:
            with _traced(log, moving):
                cards = await _cards(states, agencies)
                await connection.execute(
                    _MOVE,
                    {
                        "period": period,
                        "heads": json.dumps(stand, sort_keys=True),
                        "agencies": list(cards),
                        "cards": list(cards.values()),
                    },
                )

    async def look(self, engine: AsyncEngine, period: str) -> "Look":
        """A period's states, heads, clock and provisional cards, all of one moment of the database."""
        logs = list(scored_logs(period).values())
        async with engine.connect() as opened:
            connection = await opened.execution_options(isolation_level="REPEATABLE READ")
            found = await heads(connection, logs)
            folded = {_service(log): await self.folds.at(connection, log, found[log].size) for log in logs}
            rows = await connection.execute(_CARDS, {"period": period})
            now = (await connection.execute(_NOW, {"logs": logs})).one()
            cards = {row.agency: row.card for row in rows}
            return Look(States.of(folded), found, now.time, frozenset(now.parked), cards)


class Look(NamedTuple):
    """A period at one moment: its states, the heads that they were folded to, the deployment's clock, parked logs, and
    the stored card of each agency as JSON."""

    states: States
    heads: Mapping[str, Head]
    time: datetime
    parked: frozenset[str]
    rows: Mapping[str, str]

    def card(self, agency: str) -> Card:
        """The provisional card of an agency of the period."""
        return _card(self.rows[agency])

    def cards(self) -> dict[str, Card]:
        """The provisional card of each agency."""
        return {agency: self.card(agency) for agency in self.rows}

    @property
    def version(self) -> int:
        """Grows with each entry of the three logs."""
        return sum(head.size for head in self.heads.values())

    def shown_heads(self) -> dict[str, dict[str, str | int]]:
        """The heads as an answer names them."""
        return {log: {"size": head.size, "root": head.root.hex()} for log, head in self.heads.items()}


class Published(NamedTuple):
    """What a prefix of a period's scoring log says is published last; a card counts under its manifest only.

    `earlier`: what was published before it was revised, oldest first; `pending`: cards without a manifest yet;
    `revising`: a revision is open.
    """

    manifest: IndexPublished | None = None
    cards: Mapping[str, CardPublished] = {}
    position: int = -1
    earlier: tuple["Published", ...] = ()
    pending: Mapping[str, CardPublished] = {}
    revising: bool = False

    def publication(self, number: int | None) -> "Published":
        """The publication of that number, counted from 1, or the last one; Rejected `not-published`."""
        known = (*self.earlier, self) if self.manifest is not None else ()
        if not known or (number is not None and number > len(known)):
            raise Rejected("not-published", f"of this period {len(known)} publications are known", "period")
        return known[-1 if number is None else number - 1]


def fold_published(published: Published, entries: Sequence[Entry]) -> Published:
    """The publication after more entries of the scoring log."""
    for entry in entries:
        match entry.event:
            case CardPublished() as card:
                published = published._replace(pending={**published.pending, card.agency: card})
            case IndexPublished() as manifest:
                past = (*published.earlier, published._replace(earlier=(), pending={}, revising=False))
                earlier = past if published.manifest is not None else ()
                published = Published(manifest, published.pending, entry.position, earlier)
            case RevisionOpened():
                published = published._replace(revising=True)
    return published


def moved_agencies(states: States, entries: Iterable[Entry]) -> list[str]:
    """The agencies of the period whose card these entries can move; one that names no agency can move them all."""
    named: set[str] = set()
    for entry in entries:
        agency = getattr(entry.event, "agency", None)
        if agency is None:
            return sorted(states.period.agencies)
        named.add(agency)
    return sorted(named & states.period.agencies.keys())


@contextmanager
def _traced(log: str, entries: Sequence[Entry]) -> Iterator[None]:
    """A span of the index's computation in the trace of each request whose entries move it."""
    with ExitStack() as spans:
        for traceparent in dict.fromkeys(entry.header.get("traceparent") for entry in entries):
            about: dict[str, str | int] = {telemetry.LOG: log, telemetry.COUNT: len(entries)}
            spans.enter_context(telemetry.span_from(telemetry.SPAN_INDEX, traceparent, SpanKind.INTERNAL, about))
        yield


async def _cards(states: States, agencies: Sequence[str]) -> dict[str, str]:
    """The provisional cards as JSON. Agencies of one group with equal values share one computation."""
    rules, known = FORMULAS[CURRENT], dict[tuple[object, ...], str]()
    cards = {}
    for agency in agencies:
        values = leaves(states, agency)
        same = (
            states.period.agencies[agency].group,
            self_assessed(states, agency),
            not_held(states),
            tuple(values.items()),
        )
        if same not in known:
            known[same] = rules.card(states, agency, False).model_dump_json(exclude_none=True)
            await asyncio.sleep(0)  # a card is milliseconds of computing: HTTP and heartbeats go in between
        cards[agency] = known[same]
    return cards


@lru_cache(256)
def _card(stored: str) -> Card:
    """A stored card, read once: most of a table's cards are the ones of the table before."""
    return Card.model_validate_json(stored)


def _service(log: str) -> str:
    return log.partition("/")[0]


def _period(log: str) -> str:
    return log.partition("/")[2]


def _is_scored(log: str) -> bool:
    return _service(log) in SCORED and _period(log) != "register"
