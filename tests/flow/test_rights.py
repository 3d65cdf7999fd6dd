"""Who may read what of the scoring, before the publication and after it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import pytest
import pytest_asyncio

from deploy.client import Client, Refused
from deploy.local import clock
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow import vinh_phuc
from tests.flow.office import SMALL, Office, rubric

NORTH, EAST = "north", "east"
READ: Final = "read"
"""In the tables below: the answer comes, instead of a refusal with the code given."""
WIDE: Final = dict.fromkeys(
    ("table", "obstacles", "progress", "export", "card", "other-card", "history", "strengths"), READ
)
OWN: Final = {
    "table": "role-missing", "obstacles": "role-missing", "progress": READ, "export": "role-missing", "card": READ,
    "other-card": "other-agency", "history": READ, "strengths": READ,
}  # fmt: skip
FIELD: Final = {
    "table": "role-missing", "obstacles": "role-missing", "progress": READ, "export": "role-missing", "card": READ,
    "other-card": READ, "history": READ, "strengths": READ,
}  # fmt: skip
MAY: Final[dict[tuple[Role | None, str | None, str], dict[str, str]]] = {
    (Role.OFFICER, None, ""): WIDE,
    (Role.APPROVER, None, ""): WIDE,
    (Role.AUDITOR, None, ""): WIDE,
    (Role.COUNCIL_CHAIR, None, "chair"): WIDE,
    (Role.COUNCIL, None, "member-1"): WIDE,
    (Role.COUNCIL, None, "member-of-another-council"): dict.fromkeys(WIDE, "not-seated"),
    (Role.AGENCY, NORTH, ""): OWN,
    (Role.AGENCY_HEAD, NORTH, ""): OWN,
    (Role.APPRAISER, None, "of-field-1"): FIELD,
    (Role.MONITOR, None, "of-field-2"): FIELD,
    (Role.APPRAISER, None, "of-nothing"): {
        "table": "role-missing", "obstacles": "role-missing", "progress": "field-not-assigned",
        "export": "role-missing", "card": "field-not-assigned", "other-card": "field-not-assigned",
        "history": "field-not-assigned", "strengths": "field-not-assigned",
    },
    (Role.SURVEY_OFFICER, None, ""): dict.fromkeys(WIDE, "role-missing"),
    (Role.OPS, None, ""): dict.fromkeys(WIDE, "role-missing"),
    (None, None, ""): dict.fromkeys(WIDE, "token-missing"),
}  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def halfway(stack: Stack) -> AsyncIterator[Office]:
    """A period whose north is appraised; agencies see appraised points from an hour ahead only."""
    now = await clock.now(stack.owner_url("submission"))
    agencies = [Agency(id=name, name=Label(vi=name)) for name in (NORTH, EAST)]
    plan = Office.plan(
        stack, "rights", ("central", rubric(SMALL), agencies), appraised_points_visible_from=now + timedelta(hours=1)
    )
    async with await plan as office:
        await office.open()
        await office.assign("central", "1", name="of-field-1")
        await office.assign("central", "2", role=Role.MONITOR, name="of-field-2")
        await office.assess_all({NORTH: {"1.1": "20", "1.2": "95"}, EAST: {"1.1": "10", "1.2": "80"}})
        await office.recognise(NORTH)
        await office.correct(NORTH, "1.1", "18,75")
        await office.applied(await office.correct(NORTH, "2.1", "5", "appraised-directly"))
        yield office


async def _answer(client: Client, path: str) -> str:
    try:
        await client.get("scoring", path)
    except Refused as refused:
        return refused.code
    return READ


@pytest.mark.parametrize("who", MAY, ids=lambda who: " ".join(str(part) for part in who if part) or "public")
async def test_before_publication_each_role_reads_only_what_it_may(
    halfway: Office, who: tuple[Role | None, str | None, str]
) -> None:
    client = await halfway.by(*who)
    paths = {
        "table": halfway.here(rest="/table"),
        "obstacles": halfway.here(rest="/obstacles"),
        "progress": halfway.here(rest="/progress"),
        "export": halfway.here(rest="/export?what=ranking&format=json"),
        "card": halfway.here(NORTH, "/card"),
        "other-card": halfway.here(EAST, "/card"),
        "history": halfway.here(NORTH, "/history"),
        "strengths": halfway.here(NORTH, "/strengths"),
    }
    assert {name: await _answer(client, path) for name, path in paths.items()} == MAY[who]
    assert await _answer(client, f"/published/{halfway.period}") == "not-published"
    for rest in (f"/agencies/{NORTH}", f"/agencies/{NORTH}/strengths", "/export?what=ranking&format=json"):
        assert await _answer(client, f"/published/{halfway.period}{rest}") == "not-published"


async def _card(office: Office, role: Role, agency: str | None = None, name: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = await (await office.by(role, agency, name)).get("scoring", office.here(NORTH, "/card"))
    return answer


@pytest.mark.parametrize(("role", "name", "items"), [
    (Role.APPRAISER, "of-field-1", {"1.1", "1.2"}),
    (Role.MONITOR, "of-field-2", {"2.1"}),
])  # fmt: skip
async def test_appraisers_and_monitors_see_the_items_of_their_fields_and_no_total(
    halfway: Office, role: Role, name: str, items: set[str]
) -> None:
    answer = await _card(halfway, role, name=name)
    assert {line["code"] for line in answer["card"]["leaves"]} == items
    assert all("appraised" in line for line in answer["card"]["leaves"])
    assert answer["card"].keys() == {"rubric", "final", "fields", "criteria", "leaves"}
    assert answer["sources"].keys() == items
    steps = (await (await halfway.by(role, None, name)).get("scoring", halfway.here(NORTH, "/history")))["steps"]
    assert {item for step in steps for item in step["items"]} == items
    assert not any("totals" in step for step in steps)


async def test_an_agency_sees_appraised_points_on_its_own_card_only_from_the_date_on(halfway: Office) -> None:
    hidden = ("appraised", "council", "achieved", "total", "survey", "index", "exact", "band")
    for role in (Role.AGENCY, Role.AGENCY_HEAD):
        early = await _card(halfway, role, NORTH)
        lines = {line["code"]: line for line in early["card"]["leaves"]}
        assert (early["card"]["self_assessed"], lines["1.1"]["self_assessed"]) == ("40", "20")
        assert not [name for name in hidden if name in early["card"] or name in lines["1.1"]]
        assert all(source.keys() <= {"declared", "claimed"} for source in early["sources"].values())
    await halfway.forward(halfway.opening.appraised_points_visible_from)
    late = await _card(halfway, Role.AGENCY, NORTH)
    assert {line["code"]: line.get("appraised") for line in late["card"]["leaves"]} == {
        "1.1": "18.75", "1.2": "20", "2.1": "5", "3.1": None, "3.2": None,
    }  # fmt: skip
    assert late["card"]["total"] == "43.75"
    assert await _answer(await halfway.by(Role.AGENCY, NORTH), halfway.here(EAST, "/card")) == "other-agency"


@pytest.mark.parametrize("role", [None, Role.OPS, Role.AGENCY, Role.MONITOR, Role.SURVEY_OFFICER])
async def test_the_published_index_and_its_cards_are_for_everyone(published: Office, role: Role | None) -> None:
    client = await published.by(role, vinh_phuc.TAX if role is Role.AGENCY else None)
    index = await client.get("scoring", f"/published/{published.period}")
    assert index.keys() >= {"table", "heads", "archive", "digest", "formula", "decision"}
    assert {log.partition("/")[0] for log in index["heads"]} == {"submission", "appraisal", "survey", "scoring"}
    export = await client.get("scoring", f"/published/{published.period}/export?what=ranking&format=json")
    assert len(export["tables"][0]["rows"]) == len(vinh_phuc.NAMES)
    for agency in vinh_phuc.NAMES:
        card = await client.get("scoring", f"/published/{published.period}/agencies/{agency}")
        assert card["card"]["final"]


@pytest.mark.parametrize(("role", "agency", "code"), [
    (None, None, "token-missing"),
    (Role.OPS, None, "role-missing"),
    (Role.AGENCY, vinh_phuc.TAX, "other-agency"),
    (Role.MONITOR, None, "field-not-assigned"),
])  # fmt: skip
async def test_publication_opens_nothing_that_is_live(
    published: Office, role: Role | None, agency: str | None, code: str
) -> None:
    client = await published.by(role, agency)
    assert await _answer(client, published.here(vinh_phuc.BANK, "/card")) == code
