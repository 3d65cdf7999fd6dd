"""Publication is refused while anything is open, each by its name."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from deploy.client import Refused
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, rubric, until

Open = frozenset[tuple[str, ...]]

NORTH, EAST = "north", "east"
DECLARED: Final = {NORTH: {"1.1": "20", "1.2": "95"}, EAST: {"1.1": "10", "1.2": "80"}}
UNSEATED: Final[Open] = frozenset({("council-missing",)})
NOT_FINAL: Final[Open] = frozenset({("appraisal-not-final",)})
NOT_CLOSED: Final[Open] = frozenset({("agency-open", NORTH), ("agency-open", EAST)})
UNCOVERED: Final[Open] = frozenset(("survey-open", agency, item) for agency in (NORTH, EAST) for item in ("3.1", "3.2"))
POLLED: Final[Open] = frozenset({("survey-open", "poll")})


def leaves(agency: str, *items: str) -> Open:
    """Items without points."""
    return frozenset(("leaf-open", agency, item) for item in items)


async def only(office: Office, *expected: Open) -> None:
    """Exactly these obstacles stand, once scoring has applied what was done."""
    found: Open = frozenset()

    async def shown() -> bool:
        nonlocal found
        found = await office.obstacles()
        return found == frozenset().union(*expected)

    try:
        await until(shown)
    except AssertionError:
        assert found == frozenset().union(*expected)


async def refused(code: str, call: Callable[..., Awaitable[Any]], *args: Any) -> list[dict[str, str]]:
    """The errors of a refusal with that code."""
    with pytest.raises(Refused) as refusal:
        await call(*args)
    assert refusal.value.code == code
    errors: list[dict[str, str]] = refusal.value.problem.get("errors", [])
    return errors


async def test_publication_is_refused_while_anything_is_open_each_by_name(stack: Stack) -> None:
    agencies = [Agency(id=name, name=Label(vi=name)) for name in (NORTH, EAST)]
    async with await Office.plan(stack, "obstacles", ("central", rubric(SMALL), agencies)) as office:
        closes = await _prepare(office)
        await _appraise(office, closes)
        await _close(office)
        await _publish(office)


async def _prepare(office: Office) -> datetime:
    """Nothing is there; then council, campaign and self-assessments, of which the last moves nothing."""
    await office.begin()
    items = leaves(NORTH, "1.1", "1.2", "2.1") | leaves(EAST, "1.1", "1.2", "2.1")
    everything = UNSEATED | items | UNCOVERED | NOT_CLOSED | NOT_FINAL
    await only(office, everything)
    officer = await office.by(Role.OFFICER)
    for decision in ("consolidation", "publication"):
        errors = await refused("obstacles-remain", officer.post, "scoring", office.here(rest=f"/{decision}"))
        named = {tuple(error[name] for name in ("code", "place", "item") if name in error) for error in errors}
        assert everything <= named
        assert ("approval-missing" in {error["code"] for error in errors}) == (decision == "publication")
    await office.seat()
    await only(office, items, UNCOVERED, NOT_CLOSED, NOT_FINAL)
    closes = await office.campaign("poll", "central", timedelta(minutes=30))
    await only(office, items, POLLED, NOT_CLOSED, NOT_FINAL)
    await office.assess_all(DECLARED)
    await only(office, items, POLLED, NOT_CLOSED, NOT_FINAL)
    return closes


async def _appraise(office: Office, closes: datetime) -> None:
    """Leaf after leaf gets its points; two are asked about, one answers, the other lets the time pass."""
    await office.assign("central", "1", "2", "3")
    await office.recognise(NORTH)
    await only(office, leaves(NORTH, "2.1"), leaves(EAST, "1.1", "1.2", "2.1"), POLLED, NOT_CLOSED, NOT_FINAL)
    await office.recognise(EAST)
    for agency, rest in ((NORTH, leaves(EAST, "2.1")), (EAST, Open())):
        await office.correct(agency, "2.1", "5", "appraised-directly")
        await only(office, rest, POLLED, NOT_CLOSED, NOT_FINAL)
    asked = [await office.ask(agency, "1.2", closes) for agency in (NORTH, EAST)]
    north, east = Open({("explanation-open", NORTH, "1.2")}), Open({("explanation-open", EAST, "1.2")})
    await only(office, north, east, POLLED, NOT_CLOSED, NOT_FINAL)
    officer = await office.by(Role.OFFICER)
    errors = await refused("leaf-open", officer.post, "appraisal", office.here(NORTH, "/closing"))
    assert [(error["item"], error["code"]) for error in errors] == [("1.2", "explanation-open")]
    await office.answer(NORTH, "1.2", asked[0])
    await only(office, east, POLLED, NOT_CLOSED, NOT_FINAL)
    await refused("campaign-still-open", office.complete, "poll")
    await office.forward(closes)
    await only(office, POLLED, NOT_CLOSED, NOT_FINAL)
    await office.complete("poll")
    await only(office, NOT_CLOSED, NOT_FINAL)


async def _close(office: Office) -> None:
    """The agencies are closed, the appraisal is final; a later word of the council makes that outdated."""
    officer = await office.by(Role.OFFICER)
    await office.close(NORTH)
    await only(office, Open({("agency-open", EAST)}), NOT_FINAL)
    errors = await refused("period-open", officer.post, "appraisal", office.here(rest="/finalisation"))
    assert ("agency-open", EAST) in {(error["code"], error["item"]) for error in errors}
    await office.close(EAST)
    await only(office, NOT_FINAL)
    await office.finalise()
    await only(office)
    await office.adjust(EAST, "1.1", "12,5")
    await only(office, Open({("finalising-outdated", f"appraisal/{office.period}")}))
    await office.finalise()
    await only(office)


async def _publish(office: Office) -> None:
    """Consolidated, approved by another person, published: once, and then nothing of it may move."""
    here = office.here()
    both = await office.by(Role.OFFICER)
    await refused("not-consolidated", office.approve, "0" * 64)
    digest = (await office.consolidate())["digest"]
    errors = await refused("obstacles-remain", both.post, "scoring", f"{here}/publication")
    assert "approval-missing" in {error["code"] for error in errors} <= {"approval-missing", "heads-not-archived"}
    await refused("digest-differs", office.approve, "0" * 64)
    await refused("same-person", office.approve, digest, True)
    await office.approve(digest)
    index = await office.publish()
    assert [(row["rank"], row["agency"]) for row in index["table"]] == [(1, NORTH), (2, EAST)]
    assert index["digest"] == digest
    for decision in ("consolidation", "publication"):
        await refused("already-published", both.post, "scoring", f"{here}/{decision}")
