"""A survey by real ballots, its hundredths of a point worked out by hand."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Final

import pytest_asyncio

from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, rubric

CITIZENS, BUSINESSES = "citizen-form", "business-form"
Filled = Sequence[tuple[str | None, ...]]

# attitude and content of each citizen, attitude of each business; None is a question left blank
NORTH_CITIZENS: Final[Filled] = (
    ("a", "very"),
    ("a", "content"),
    ("b", "content"),
    ("c", "neutral"),
    ("d", "little"),
    ("dont-know", "not"),
    (None, "neutral"),
)
NORTH_BUSINESSES: Final[Filled] = (("a",), ("b",), ("b",), ("c",), ("c",), ("c",))
EAST_CITIZENS: Final[Filled] = (
    ("a", "very"),
    ("a", "very"),
    ("a", "content"),
    ("b", "content"),
    ("c", "content"),
    ("c", "neutral"),
    ("c", "not"),
    ("d", "dont-know"),
)
EAST_BUSINESSES: Final[Filled] = (("a",), ("a",), ("a",))
WEST_CITIZENS: Final[Filled] = (("a", "very"), ("a", "very"), ("a", "very"), ("a", "very"))

WORKED_OUT: Final[dict[str, dict[str, str | None]]] = {
    # 3.1: citizens: of 7 ballots 5 count (a don't-know and a blank are outside): (100+100+60+20+0) % ÷ 5 = 56 %;
    #      businesses (100+60+60+20+20+20) % ÷ 6 = 46,66… %; 60 × 56 % + 40 × 46,66… % = 52,266… %; × 25 = 13,0666…
    # 3.2: 3 of 7 citizens in the two top levels; 15 × 3 ÷ 7 = 6,4285…
    "north": {"3.1": "13.07", "3.2": "6.43"},
    # 3.1: three businesses are too few: left out, the citizens stand alone:
    #      (3×100 + 60 + 3×20 + 0) % ÷ 8 = 52,5 %; × 25 = 13,125, and half a hundredth is rounded up
    # 3.2: 5 of the 7 that say something; 15 × 5 ÷ 7 = 10,7142…
    "east": {"3.1": "13.13", "3.2": "10.71"},
    # four citizens and no business are too few for anything: both items leave the maximum
    "west": {"3.1": None, "3.2": None},
}
DECLARED: Final = {
    "north": {"1.1": "27,25", "1.2": "90"},
    "east": {"1.1": "24", "1.2": "90,01"},
    "west": {"1.1": "30", "1.2": "69,9"},
}
DIRECT: Final = {"north": "8,5", "east": "6", "west": "10"}
RESULT: Final[list[tuple[int, str, str, dict[str, str]]]] = [
    # 27,25 + 10 (exactly 90 % is in the middle step) + 8,5 = 45,75; with 13,07 + 6,43 = 19,50
    (3, "north", "65.25", {"appraisal": "45.75", "survey": "19.50"}),
    # 24 + 20 + 6 = 50; with 13,13 + 10,71 = 23,84
    (1, "east", "73.84", {"appraisal": "50.00", "survey": "23.84"}),
    # 30 + 0 + 10 = 40 of 60; no survey item applies, so the appraisal stands for the whole 100: 40 × 100 ÷ 60
    (2, "west", "66.67", {"appraisal": "66.67", "survey": "0.00"}),
]


def _answers(form: str, filled: Filled) -> list[dict[str, str | None]]:
    questions = ("attitude", "content") if form == CITIZENS else ("attitude",)
    return [dict(zip(questions, answers, strict=True)) for answers in filled]


@pytest_asyncio.fixture(scope="module")
async def surveyed(stack: Stack) -> AsyncIterator[Office]:
    """The published index of three agencies that were asked about by ballots."""
    agencies = [Agency(id=name, name=Label(vi=name)) for name in WORKED_OUT]
    async with await Office.plan(stack, "survey", ("central", rubric(SMALL), agencies)) as office:
        await office.open()
        closes = await office.campaign("poll", "central", timedelta(minutes=30))
        for agency, form, filled in (
            ("north", CITIZENS, NORTH_CITIZENS),
            ("north", BUSINESSES, NORTH_BUSINESSES),
            ("east", CITIZENS, EAST_CITIZENS),
            ("east", BUSINESSES, EAST_BUSINESSES),
            ("west", CITIZENS, WEST_CITIZENS),
        ):
            await office.ballots("poll", agency, form, _answers(form, filled))
        await office.assess_all(DECLARED)
        for agency, points in DIRECT.items():
            await office.recognise(agency)
            await office.correct(agency, "2.1", points, "appraised-directly")
        await office.forward(closes)
        await office.complete("poll")
        await office.conclude()
        yield office


async def test_the_survey_points_are_those_worked_out_by_hand(surveyed: Office) -> None:
    anyone = await surveyed.by(None)
    for agency, points in WORKED_OUT.items():
        card = (await anyone.get("scoring", f"/published/{surveyed.period}/agencies/{agency}"))["card"]
        lines = {line["code"]: line for line in card["leaves"]}
        assert {code: lines[code].get("achieved") for code in points} == points, agency
        assert [lines[code]["not_applicable"] for code in points] == [each is None for each in points.values()]


async def test_the_totals_add_the_survey_to_the_appraisal_or_let_it_stand_alone(surveyed: Office) -> None:
    table = (await surveyed.published())["table"]
    rows = [(row["rank"], row["agency"], row["total"], row["parts"]) for row in table]
    assert rows == sorted(RESULT, key=lambda row: row[0])


async def test_what_fewer_than_five_answered_is_shown_to_nobody(surveyed: Office) -> None:
    officer = await surveyed.by(Role.SURVEY_OFFICER)
    campaign = await officer.get("survey", surveyed.here(rest="/campaigns/poll"))
    forms = {(each["agency"], form["form"]): form for each in campaign["agencies"] for form in each["forms"]}
    for few in (("east", BUSINESSES), ("west", CITIZENS)):
        assert (forms[few]["too_few"], forms[few]["ballots"], forms[few]["counts"]) == (True, None, None)
    assert forms["north", BUSINESSES]["counts"] == {"attitude": {"a": 1, "b": 2, "c": 3}}
    assert forms["north", CITIZENS]["counts"]["attitude"]["blank"] == 1


async def test_no_card_tells_how_many_answered(surveyed: Office) -> None:
    anyone, officer = await surveyed.by(None), await surveyed.by(Role.OFFICER)
    for agency in WORKED_OUT:
        published = await anyone.get("scoring", f"/published/{surveyed.period}/agencies/{agency}")
        live = await officer.get("scoring", surveyed.here(agency, "/card"))
        history = await officer.get("scoring", surveyed.here(agency, "/history"))
        for answer in (published, live, history):
            assert not re.findall(r'"(?:ballots|counts|returned|invitations)"', json.dumps(answer))
