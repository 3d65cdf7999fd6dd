"""The published result of Vĩnh Phúc comes out of the running services."""

from decimal import Decimal
from fractions import Fraction

from tests.flow import vinh_phuc
from tests.flow.office import Office


async def test_the_published_result_of_vinh_phuc_comes_out_digit_for_digit_and_in_order(published: Office) -> None:
    index = await published.published()
    lines = [
        ";".join([str(row["rank"]), row["name_vi"], row["total"], row["parts"]["appraisal"], row["parts"]["survey"]])
        for row in index["table"]
    ]
    assert "\n".join(lines).replace(".", ",") == vinh_phuc.PUBLISHED.strip()
    assert index["decision"] == "12/QĐ-UBND"
    assert index["table"][0].keys() >= {"group", "agency", "self_assessed"}


async def test_the_one_agency_that_declared_otherwise_keeps_its_declaration_beside_the_councils_value(
    published: Office,
) -> None:
    agency, item, _ = vinh_phuc.CORRECTED
    [row] = [row for row in (await published.published())["table"] if row["agency"] == agency]
    assert (row["self_assessed"], row["parts"]["appraisal"]) == ("49", "47.00")
    card = (await published.card(agency))["card"]
    [line] = [line for line in card["leaves"] if line["code"] == item]
    assert [line[which] for which in ("self_assessed", "appraised", "council", "achieved")] == ["2", "2", "0", "0"]


async def test_every_published_total_is_the_exact_sum_of_items_in_steps_of_a_quarter(published: Office) -> None:
    for agency in vinh_phuc.NAMES:
        shown = await (await published.by(None)).get("scoring", f"/published/{published.period}/agencies/{agency}")
        points = {line["code"]: Fraction(line["achieved"]) for line in shown["card"]["leaves"]}
        survey = points.pop("9.1")
        assert len(points) == len(vinh_phuc.ITEMS)
        assert all((4 * each).denominator == 1 for each in points.values())
        assert sum(points.values()) + survey == Fraction(shown["card"]["total"])
        assert Decimal(shown["card"]["total"]) == Decimal(shown["card"]["exact"])
