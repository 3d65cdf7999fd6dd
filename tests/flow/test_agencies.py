"""Agencies that join, are renamed or leave while a period runs: results bear the names of their time."""

from typing import Any, Final

import pytest

from deploy.client import Refused
from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label
from tests.flow.office import SMALL, Office, not_applied_yet, patient, rubric

STUDIED: Final = {"3.1": "20", "3.2": "10"}
DECLARED: Final = {"1.1": "20", "1.2": "95"}
BY: Final = {"decision": "381/QĐ-BTC", "dated": "2025-02-26"}


async def _change(office: Office, path: str, **body: Any) -> None:
    await (await office.by(Role.OFFICER)).post("submission", path, {**BY, **body})


async def test_a_merger_within_a_period_leaves_the_old_card_unranked_and_ranks_the_new_agency(stack: Stack) -> None:
    agencies = [Agency(id=name, name=Label(vi=f"Cơ quan {name}")) for name in ("north", "east")]
    async with await Office.plan(stack, "merger", ("central", rubric(SMALL), agencies)) as office:
        await office.open()
        await office.assess("east", DECLARED)
        joining = {"agency": "west", "group": "central", "name": {"vi": "Cơ quan hợp nhất"}, "predecessor": "east"}
        await _change(office, office.here(rest="/agencies"), **joining)
        name = {"vi": "Cơ quan khu vực I", "en": "Region I"}
        await _change(office, office.here("north", "/renaming"), name=name)
        await _change(office, office.here("east", "/withdrawal"), successor="west")
        office.groups["west"] = office.groups["east"]
        await office.assess_all({"north": {"1.1": "10", "1.2": "95"}, "west": DECLARED})

        with pytest.raises(Refused) as refusal:
            await office.declare("east", "1.1", "10")
        assert refusal.value.code == "agency-withdrawn"
        await patient(lambda: office.recognise("north"), not_applied_yet)
        with pytest.raises(Refused) as refusal:
            await office.recognise("east")
        assert refusal.value.code == "agency-withdrawn"

        await office.recognise("west")
        for agency in ("north", "west"):
            await office.correct(agency, "2.1", "5", "appraised-directly")
            await office.study(agency, STUDIED)
        await office.close("north", "west")
        await office.finalise()
        assert await office.obstacles() == frozenset()
        await office.approve((await office.consolidate())["digest"])
        index = await office.publish()

    assert [(row.get("rank"), row["agency"], row["name_vi"], row["total"]) for row in index["table"]] == [
        (1, "west", "Cơ quan hợp nhất", "75.00"),
        (2, "north", "Cơ quan khu vực I", "65.00"),
        (None, "east", "Cơ quan east", "0.00"),
    ]
    assert [row["agency"] for row in index["table"] if row.get("withdrawn")] == ["east"]
