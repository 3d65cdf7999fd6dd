"""Bands (xếp loại) and ranks (xếp hạng) of results."""

from collections.abc import Mapping
from fractions import Fraction

from shared.rubric.cards import Card
from shared.rubric.model import LeastShare, NoZero, PartName, Ranking, Rubric


def band(rubric: Rubric, card: Card, *, self_assessment: bool = True) -> str | None:
    """The id of the best band whose lower end the printed total reaches and whose needs the card meets, after gates.

    None where the rubric has no bands or the total is under all of them.
    """
    order = [band.id for band in rubric.bands]
    if order and not self_assessment and rubric.missing_self_assessment == "lowest-band":
        return order[-1]
    total = Fraction(card.total)
    reached = [
        place
        for place, band in enumerate(rubric.bands)
        if (band.lower is None or band.lower.holds(total)) and all(_met(need, card) for need in band.requires)
    ]
    if not reached:
        return None
    achieved = {line.code: Fraction(line.achieved or 0) for line in card.leaves}
    caps = [order.index(gate.best_band) for gate in rubric.gates if gate.when.holds(achieved[gate.code])]
    return order[max([reached[0], *caps])]


def ranking(cards: Mapping[str, Card], rule: Ranking) -> list[tuple[int, str]]:
    """(rank, agency), best first; agencies of one rank in the order of their ids."""
    order = sorted(cards, key=lambda agency: (-cards[agency].ranked_by, agency))
    ranks: list[tuple[int, str]] = []
    for place, agency in enumerate(order, start=1):
        if ranks and cards[ranks[-1][1]].ranked_by == cards[agency].ranked_by:
            rank = ranks[-1][0]
        else:
            rank = place if rule.skip or not ranks else ranks[-1][0] + 1
        ranks.append((rank, agency))
    return ranks


def _met(need: NoZero | LeastShare, card: Card) -> bool:
    if isinstance(need, NoZero):
        return all(achieved > 0 for achieved in _scored(need.level, card))
    if need.part is not None:
        parts = [part for part in card.parts if part.part is PartName(need.part)]
        return all(_reaches(need, Fraction(part.achieved), Fraction(part.applicable)) for part in parts)
    for leaf in card.leaves:
        if leaf.code == need.code:
            applicable = Fraction(0) if leaf.not_applicable else Fraction(leaf.maximum or 0)
            return _reaches(need, Fraction(leaf.achieved or 0), applicable)
    node = next(node for node in (*card.fields, *card.criteria) if node.code == need.code)
    return _reaches(need, Fraction(node.achieved), Fraction(node.applicable))


def _scored(level: str, card: Card) -> list[Fraction]:
    if level == "item":
        lines = [line for line in card.leaves if line.part in (PartName.APPRAISAL, PartName.SURVEY)]
        return [Fraction(line.achieved or 0) for line in lines if not line.not_applicable and line.maximum]
    nodes = card.criteria if level == "criterion" else card.fields
    return [Fraction(node.achieved) for node in nodes if node.applicable > 0]


def _reaches(need: LeastShare, achieved: Fraction, applicable: Fraction) -> bool:
    """Whether the share is reached; what does not apply asks for nothing."""
    return not applicable or need.share.holds(achieved / applicable * 100)
