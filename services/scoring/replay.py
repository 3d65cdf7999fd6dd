"""Replay: a period's result computed again from its logs at stated heads; the same code for publication and audit."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import orjson

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.scorecard import SCORED, States, before
from shared.decider import Rejected
from shared.events import Entry
from shared.events.scoring import Head, Row
from shared.rubric import Card


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
