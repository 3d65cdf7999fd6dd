"""Replay: a period's result computed again from its logs at stated heads; the same code for publication and audit."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.scorecard import READ, RELEVANT, SCORED, States, before, leaves, self_assessed
from shared.decider import Rejected
from shared.events import Entry
from shared.events.scoring import Head, Row
from shared.rubric import Card, LeafValue


class Step(NamedTuple):
    """One entry that moved an agency's card: the values of the items that it moved, and the provisional card after."""

    entry: Entry
    items: Mapping[str, LeafValue]
    card: Card


class Result(NamedTuple):
    """What a formula gives at heads: the table, the cards by agency, and the digest that names all of it."""

    formula: str
    heads: Mapping[str, Head]
    table: tuple[Row, ...]
    cards: Mapping[str, Card]
    digest: str


def replay(
    logs: Mapping[str, Sequence[Entry]], heads: Mapping[str, Head], *, formula: str = CURRENT, final: bool = True
) -> Result:
    """The result of the logs up to the heads; logs of other services than the three scored ones do not count.

    `logs` has at least the entries up to the heads, from position 0 on, by log name. With `final` open items count as
    0. Raises Rejected `formula-unknown`, `log-incomplete`, and what the rubric refuses.
    """
    if formula not in FORMULAS:
        raise Rejected("formula-unknown", f"this version of the software has no formula {formula}", "formula")
    scored = {log: head for log, head in sorted(heads.items()) if log.partition("/")[0] in SCORED}
    folded = {}
    for log, head in scored.items():
        service, entries = log.partition("/")[0], logs.get(log, ())[: head.size]
        if len(entries) < head.size:
            raise Rejected("log-incomplete", f"{log} has {len(entries)} of {head.size} entries", "heads")
        folded[service] = before(service).fold(service, entries)
    return result_of(States.of(folded), scored, formula=formula, final=final)


def result_of(states: States, heads: Mapping[str, Head], *, formula: str = CURRENT, final: bool = True) -> Result:
    """The result of states that were folded up to the heads."""
    rules = FORMULAS[formula]
    cards = {agency: rules.card(states, agency, final) for agency in sorted(states.period.agencies)}
    table = rules.table(states, cards) if states.period.opened is not None else ()
    return Result(formula, heads, table, cards, result_digest(formula, heads, table, cards))


def result_digest(formula: str, heads: Mapping[str, Head], table: Sequence[Row], cards: Mapping[str, Card]) -> str:
    """Hex SHA-256 over {formula, heads, table, cards} as canonical JSON (RFC 8785); `heads` are the scored logs'."""
    body = {
        "formula": formula,
        "heads": {log: head.model_dump(mode="json") for log, head in heads.items()},
        "table": [row.model_dump(mode="json", exclude_none=True) for row in table],
        "cards": {agency: card.model_dump(mode="json", exclude_none=True) for agency, card in cards.items()},
    }
    # all keys are ASCII, so sorting them by bytes is sorting them by UTF-16 units; there are no floats
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def history(logs: Mapping[str, Sequence[Entry]], agency: str, *, formula: str = CURRENT) -> Iterator[Step]:
    """How an agency's values came about, in the one order across logs: time, log name, position.

    `logs` are prefixes of one period's logs, by log name.
    """
    rules, values, standing = FORMULAS[formula], dict[str, LeafValue](), (True, False)
    folded = {service: before(service) for service in SCORED}
    entries = [
        entry
        for log, each in logs.items()
        for entry in each
        if log.partition("/")[0] in SCORED and entry.type in READ[log.partition("/")[0]]
    ]
    for entry in sorted(entries, key=lambda entry: (entry.time, entry.log, entry.position)):
        if getattr(entry.event, "agency", agency) != agency:
            continue
        service = entry.log.partition("/")[0]
        folded[service] = folded[service].fold(service, [entry])
        states = States.of(folded)
        if agency not in states.period.agencies or entry.type not in RELEVANT[service]:
            continue
        after, stands = leaves(states, agency), (self_assessed(states, agency), states.survey.not_held)
        moved = {item: value for item, value in after.items() if values.get(item) != value}
        moved |= {item: LeafValue() for item in values if item not in after}
        if moved or stands != standing:
            yield Step(entry, moved, rules.card(states, agency, False))
        values, standing = after, stands
