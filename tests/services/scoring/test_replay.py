"""Replay: the same result from the same prefixes, a digest that names all of it, and an agency's history."""

import hashlib
import json
from typing import Any

import pytest
import rfc8785

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.replay import history, replay
from shared.decider import Rejected
from shared.events import Entry
from shared.events.scoring import Head
from shared.rubric import LeafValue
from tests.services.scoring.samples import APPRAISAL, PILOT, SUBMISSION, SURVEY, Story, head_of, whole_story


def test_a_replay_equals_the_live_cards_at_the_same_heads() -> None:
    story = whole_story()
    live = {agency: FORMULAS[CURRENT].card(story.states, agency, False) for agency in ("a-01", "a-02")}
    assert replay(story.logs, story.heads, final=False).cards == live
    # with nothing open, final and provisional differ in the word alone
    assert replay(story.logs, story.heads).cards == {
        agency: card.model_copy(update={"final": True}) for agency, card in live.items()
    }


def test_entries_after_the_heads_do_not_count() -> None:
    story = whole_story()
    heads, before = story.heads, replay(story.logs, story.heads)
    story.adjust("a-01", "2.1", "0")
    assert replay(story.logs, heads) == before
    assert replay(story.logs, story.heads).digest != before.digest


def test_logs_and_heads_of_other_services_do_not_count() -> None:
    story = whole_story()
    result = replay(story.logs, {**story.heads, "scoring/2024-year": Head(size=9, root="0" * 64)})
    assert result == replay(story.logs, story.heads)


def test_erased_words_change_nothing() -> None:
    story = whole_story()
    whole = replay(story.logs, story.heads)
    opened = story.logs[APPRAISAL][0]  # a type that no fold reads stands for any erasable one
    story.logs[APPRAISAL][0] = Entry(opened.log, 0, opened.leaf, None, None)
    assert replay(story.logs, story.heads) == whole


def test_the_digest_is_over_canonical_json() -> None:
    result = replay((story := whole_story()).logs, story.heads)
    body: dict[str, Any] = {
        "formula": result.formula,
        "heads": {log: {"size": head.size, "root": head.root} for log, head in result.heads.items()},
        "table": [json.loads(row.model_dump_json(exclude_none=True)) for row in result.table],
        "cards": {agency: json.loads(card.model_dump_json(exclude_none=True)) for agency, card in result.cards.items()},
    }
    assert result.digest == hashlib.sha256(rfc8785.dumps(body)).hexdigest()


def test_missing_entries_are_refused() -> None:
    story = whole_story()
    heads = story.heads
    del story.logs[SURVEY][-1]
    with pytest.raises(Rejected, match="log-incomplete"):
        replay(story.logs, heads)


def test_an_unknown_formula_is_refused() -> None:
    story = whole_story()
    with pytest.raises(Rejected, match="formula-unknown"):
        replay(story.logs, story.heads, formula="par-index-1999")


def test_open_items_of_a_final_result_have_no_points() -> None:
    story = whole_story()
    heads = {**story.heads, APPRAISAL: head_of(story.logs[APPRAISAL][:3])}
    card = replay(story.logs, heads).cards["a-01"]
    assert card.appraised == 0
    assert not any(line.open for line in card.leaves)


def test_a_history_tells_each_value_with_the_entry_that_moved_it_in_one_order() -> None:
    story = whole_story()
    late = story.adjust("a-01", "2.1", "3.25")
    steps = list(history(story.logs, "a-01"))
    places = [(step.entry.time, step.entry.log, step.entry.position) for step in steps]
    assert places == sorted(places)
    moved = [(step.entry.log, item) for step in steps for item in step.items]
    assert moved == [
        (SUBMISSION, "1.1.1"),
        (SUBMISSION, "1.1.2"),
        (SUBMISSION, "2.1"),
        (SURVEY, "3.1"),
        (SURVEY, "3.2"),
        (APPRAISAL, "1.1.1"),
        (APPRAISAL, "1.1.2"),
        (APPRAISAL, "2.1"),
        (APPRAISAL, "2.2"),
        (APPRAISAL, "2.1"),
    ]
    assert steps[-1].entry == late
    assert steps[-1].card == FORMULAS[CURRENT].card(story.states, "a-01", False)
    assert steps[0].items["1.1.1"] == LeafValue(self_assessed=2)


def test_a_history_does_not_depend_on_the_order_in_which_the_logs_are_given() -> None:
    story = whole_story()
    one = [(step.entry.log, step.entry.position) for step in history(story.logs, "a-02")]
    reversed_logs = dict(reversed(story.logs.items()))
    assert [(step.entry.log, step.entry.position) for step in history(reversed_logs, "a-02")] == one


def test_an_agency_that_did_not_submit_loses_its_self_assessed_points_with_the_closing() -> None:
    story = Story().open({"central": PILOT}, {"a-01": "central"})
    story.declare("a-01", "2.1", "4")
    closing = story.close_without("a-01")
    *_, last = history(story.logs, "a-01")
    assert (last.entry, last.items) == (closing, {"2.1": LeafValue()})
