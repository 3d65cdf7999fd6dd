"""Publication is refused while anything is open, each by its name."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from deploy.client import Refused
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, rubric, until

NORTH, EAST = "north", "east"
DIRECT: Final = ("1.1", "1.2", "2.1")
DECLARED: Final = {NORTH: {"1.1": "20", "1.2": "95"}, EAST: {"1.1": "10", "1.2": "80"}}

Open = set[tuple[str, ...]]


def _leaves(*agencies: str, items: tuple[str, ...] = DIRECT) -> Open:
    return {("leaf-open", agency, item) for agency in agencies for item in items}


async def _only(office: Office, *expected: tuple[str, ...]) -> None:
    """Exactly these obstacles, once scoring has applied what was done."""
    found: Open = set()

    async def shown() -> bool:
        nonlocal found
        found = await office.obstacles()
        return found == set(expected)

    try:
        await until(shown)
    except AssertionError:
        assert found == set(expected)


async def _refused(code: str, call: Callable[..., Awaitable[Any]], *args: Any) -> Refused:
    with pytest.raises(Refused) as refusal:
        await call(*args)
    assert refusal.value.code == code
    return refusal.value


async def test_publication_is_refused_while_anything_is_open_each_by_name(stack: Stack) -> None:
    agencies = [Agency(id=name, name=Label(vi=name)) for name in (NORTH, EAST)]
    async with await Office.plan(stack, "obstacles", ("central", rubric(SMALL), agencies)) as office:
        await office.begin()
        at_last: Open = {("appraisal-not-final",)}
        closing = {("agency-open", NORTH), ("agency-open", EAST)} | at_last
        survey = {("survey-open", agency, item) for agency in (NORTH, EAST) for item in ("3.1", "3.2")}
        everything = {("council-missing",)} | _leaves(NORTH, EAST) | survey | closing
        await _only(office, *everything)
        await _each_is_refused_by_name(office, everything)

        await office.seat()
        await _only(office, *_leaves(NORTH, EAST), *survey, *closing)

        await office.assign("central", "1", "2", "3")
        closes = await office.campaign("poll", "central", timedelta(minutes=30))
        survey = {("survey-open", "poll")}
        await _only(office, *_leaves(NORTH, EAST), *survey, *closing)

        await office.assess_all(DECLARED)
        await _only(office, *_leaves(NORTH, EAST), *survey, *closing)  # what is declared is not appraised

        for left in _appraise(office):
            await (await left[0])
            await _only(office, *left[1], *survey, *closing)


def _appraise(office: Office) -> Iterator[Any]:
    yield None
