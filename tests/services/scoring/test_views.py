"""The live view on a real database: cards move in the transaction that brings their entries, and only then."""

import asyncio
import json

from sqlalchemy import text

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.replay import replay
from services.scoring.views import Live, beside
from shared.rubric import Card
from tests.services.scoring.conftest import Scoring
from tests.services.scoring.samples import APPRAISAL, PERIOD, PILOT, SUBMISSION, SURVEY, Story, whole_story


async def cards(scoring: Scoring) -> dict[str, Card]:
    return (await scoring.live.look(scoring.service.engine, PERIOD)).cards()


def replayed(story: Story) -> dict[str, Card]:
    return dict(replay(story.logs, story.heads, final=False).cards)


async def moved_at(scoring: Scoring) -> dict[str, dict[str, int]]:
    async with scoring.service.engine.connect() as connection:
        rows = await connection.execute(text("SELECT agency, heads FROM card"))
        return {agency: json.loads(heads) for agency, heads in rows}


async def test_the_live_cards_equal_a_replay_at_every_step(scoring: Scoring) -> None:
    story, told = whole_story(), Story()
    entries = sorted((entry for log in story.logs.values() for entry in log), key=lambda entry: entry.time)
    for number, entry in enumerate(entries):
        told.logs[entry.log].append(entry)
        await scoring.apply(entry.log, [entry])
        if number % 7 == 0 or number == len(entries) - 1:
            assert await cards(scoring) == replayed(told)


async def test_the_arrival_order_between_logs_does_not_matter(scoring: Scoring) -> None:
    story = whole_story()
    for log in (SURVEY, APPRAISAL, SUBMISSION):
        await scoring.apply(log, story.logs[log])
    assert await cards(scoring) == replayed(story)


async def test_only_the_cards_of_the_agencies_spoken_of_are_written(scoring: Scoring) -> None:
    story = whole_story()
    await scoring.follow(story)
    before = await moved_at(scoring)
    story.adjust("a-02", "2.1", "1")
    await scoring.follow(story)
    after = await moved_at(scoring)
    assert after["a-01"] == before["a-01"]
    assert after["a-02"] == {log: len(entries) for log, entries in story.logs.items()}


async def test_a_rolled_back_transaction_leaves_no_trace(scoring: Scoring) -> None:
    story = whole_story()
    await scoring.follow(story)
    before = await cards(scoring)
    late = [story.adjust("a-01", "2.1", "1"), story.adjust("a-01", "1.1.2", "1")]
    await scoring.apply(APPRAISAL, late, fail=True)
    look = await scoring.live.look(scoring.service.engine, PERIOD)
    assert look.cards() == before
    assert FORMULAS[CURRENT].card(look.states, "a-01", False) == before["a-01"]
    await scoring.apply(APPRAISAL, late[:1])
    await scoring.apply(APPRAISAL, late[1:])
    assert await cards(scoring) == replayed(story)


async def test_a_restarted_service_goes_on_from_the_database(scoring: Scoring) -> None:
    story = whole_story()
    await scoring.follow(story)
    scoring.live = Live()
    story.adjust("a-01", "2.1", "1")
    await scoring.follow(story)
    assert await cards(scoring) == replayed(story)


async def test_two_replicas_that_apply_two_logs_of_a_period_at_once_lose_nothing(scoring: Scoring) -> None:
    story = Story().open({"central": PILOT}, {"a-01": "central"})
    await scoring.follow(story)
    for points in ("1", "2", "3", "4"):
        story.declare("a-01", "2.1", points)
        story.appraise("a-01", "2.1", points)
    other = Scoring(scoring.service, Live(), scoring.client, scoring.folder, scoring.admin, dict(scoring.followed))

    async def one_by_one(replica: Scoring, log: str) -> None:
        for entry in story.logs[log][scoring.followed[log] :]:
            await replica.apply(log, [entry])

    await asyncio.gather(one_by_one(scoring, SUBMISSION), one_by_one(other, APPRAISAL))
    assert await cards(scoring) == replayed(story)


async def test_a_look_names_the_heads_that_it_was_folded_to(scoring: Scoring) -> None:
    story = whole_story()
    await scoring.follow(story)
    look = await scoring.live.look(scoring.service.engine, PERIOD)
    assert look.shown_heads() == {log: head.model_dump() for log, head in story.heads.items()}
    assert look.version == sum(len(entries) for entries in story.logs.values())


async def test_registers_are_no_part_of_a_score(scoring: Scoring) -> None:
    entry = whole_story().logs[SUBMISSION][0]
    assert beside("submission/register") == []
    async with scoring.service.engine.begin() as connection:
        await scoring.live.apply(connection, "submission/register", [entry], {"submission/register": 1})
        assert (await connection.execute(text("SELECT count(*) FROM card"))).scalar_one() == 0
