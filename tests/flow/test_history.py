"""An agency's history of values."""

from fractions import Fraction

import pytest

from shared.access import Role
from tests.flow import vinh_phuc
from tests.flow.office import Office

NUMBERS = ("self_assessed", "appraised", "council", "not_applicable")


@pytest.mark.parametrize("agency", [vinh_phuc.TAX, vinh_phuc.INSURANCE])
async def test_an_agencys_history_ends_in_the_values_of_its_card(published: Office, agency: str) -> None:
    officer = await published.by(Role.OFFICER)
    steps = (await officer.get("scoring", published.here(agency, "/history")))["steps"]
    card = (await published.card(agency))["card"]
    values = {item: value for step in steps for item, value in step["items"].items()}
    lines = {line["code"]: line for line in card["leaves"]}
    assert values.keys() == lines.keys()
    for item, value in values.items():
        assert {name: value.get(name) for name in NUMBERS} == {name: lines[item].get(name) for name in NUMBERS}, item
    last = steps[-1]["totals"]
    assert {name: Fraction(last[name]) for name in ("self_assessed", "appraised", "survey", "total")} == {
        name: Fraction(card[name]) for name in ("self_assessed", "appraised", "survey", "total")
    }


async def test_each_step_names_the_entry_that_moved_the_value_in_one_order_across_logs(published: Office) -> None:
    agency, item, _ = vinh_phuc.CORRECTED
    officer = await published.by(Role.OFFICER)
    steps = (await officer.get("scoring", published.here(agency, "/history")))["steps"]
    places = [(step["time"], step["log"], step["position"]) for step in steps]
    assert places == sorted(places)
    moved = [step for step in steps if item in step["items"]]
    assert [(step["log"].partition("/")[0], step["type"]) for step in moved] == [
        ("submission", "submission.points-declared.v1"),
        ("appraisal", "appraisal.item-appraised.v1"),
        ("appraisal", "appraisal.council-adjusted.v1"),
    ]
    sources = (await published.card(agency))["sources"][item]
    assert [step["position"] for step in moved] == [sources[name] for name in ("declared", "appraised", "council")]
    decisions = (await officer.get("appraisal", published.here(agency)))["decisions"]
    judged = [line["position"] for line in decisions if line["item"] == item]
    assert judged == [step["position"] for step in moved[1:]]


async def test_an_agency_reads_its_own_declarations_in_its_history_and_no_appraisal_before_its_date(
    published: Office,
) -> None:
    clerk = await published.by(Role.AGENCY, vinh_phuc.BANK)
    steps = (await clerk.get("scoring", published.here(vinh_phuc.BANK, "/history")))["steps"]
    assert {step["log"] for step in steps} == {f"submission/{published.period}"}
    assert [item for step in steps for item in step["items"]] == list(vinh_phuc.ITEMS)
    assert {name for step in steps for value in step["items"].values() for name in value} == {"self_assessed"}
