"""The formulas: from a period's states to the agencies' cards and the table, each under a name that never changes."""

from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Final, NamedTuple

from services.scoring.scorecard import States, leaves, not_held, self_assessed
from shared.events.scoring import Row
from shared.rubric import Card, card, ranking


class Formula(NamedTuple):
    """How an index is computed. Never edited, only added: its name covers fold, rules and rounding.

    `card(states, agency, final)` is one agency's card, `table(states, cards)` the rows, best first within each group.
    """

    name: str
    dated: date
    card: Callable[[States, str, bool], Card]
    table: Callable[[States, Mapping[str, Card]], tuple[Row, ...]]


def _card_2026_11(states: States, agency: str, final: bool) -> Card:
    return card(
        states.period.rubric_of(agency),
        leaves(states, agency),
        final=final,
        self_assessment=self_assessed(states, agency),
        not_held=not_held(states),
    )


def _table_2026_11(states: States, cards: Mapping[str, Card]) -> tuple[Row, ...]:
    """Groups in the order of the period; inside one by rank, equal ranks and unranked groups by agency id.

    Withdrawn agencies stand behind the ranked ones.
    """
    period, rows = states.period, list[Row]()
    for group in period.the_opened().groups:
        members = {
            agency: cards[agency]
            for agency in sorted(period.agencies)
            if period.agencies[agency].group == group.group and agency in cards
        }
        places: list[tuple[int | None, str]] = [(None, agency) for agency in members]
        active = {agency: card for agency, card in members.items() if agency not in period.withdrawn}
        if group.ranked and active:
            places = [*ranking(active, period.rubrics[group.group].ranking)]
            places += [(None, agency) for agency in members if agency not in active]
        rows += [_row(states, rank, agency, members[agency]) for rank, agency in places]
    return tuple(rows)


def _row(states: States, rank: int | None, agency: str, card: Card) -> Row:
    named = states.period.agencies[agency]
    return Row(
        group=named.group,
        rank=rank,
        agency=agency,
        name_vi=named.name_vi,
        name_en=named.name_en,
        self_assessed=card.self_assessed,
        parts={part.part.value: part.points for part in card.parts},
        total=card.total,
        band=card.band,
        withdrawn=agency in states.period.withdrawn or None,
    )


CURRENT: Final = "par-index-2026-11"
FORMULAS: Final[Mapping[str, Formula]] = MappingProxyType(
    {CURRENT: Formula(CURRENT, date(2026, 11, 24), _card_2026_11, _table_2026_11)}
)
