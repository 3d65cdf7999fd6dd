"""The formula: cards and table of whole periods, among them a published one, to the digit."""

from datetime import date
from decimal import Decimal

import pytest

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.replay import replay
from shared.rubric import Ranking, Rubric
from tests.services.scoring.samples import PILOT, Story, direct_rubric, whole_story

# Vĩnh Phúc, index of 2019, QĐ 1007/QĐ-UBND of 24-4-2020, central agencies: rank, agency, total, direct part, survey
VINH_PHUC = """
1;bhxh;90.05;58.50;31.55
2;nhnn;89.88;57.75;32.13
3;kbnn;89.10;58.00;31.10
4;ca;87.34;55.00;32.34
5;thue;78.44;47.00;31.44
"""
LEAVES = 8
EACH = Decimal("7.5")


def declared(direct: Decimal) -> list[Decimal]:
    """Points of the direct part over the leaves, each in steps of 0,25 and at most its maximum."""
    points = []
    for left in range(LEAVES, 0, -1):
        points.append(Decimal(int(direct * 4 / left)) / 4)
        direct -= points[-1]
    assert direct == 0
    assert max(points) <= EACH
    return points


def test_the_published_result_of_vinh_phuc_comes_out_digit_for_digit() -> None:
    rubric = direct_rubric(LEAVES, "60", "40")
    rows = [row.split(";") for row in VINH_PHUC.split()]
    story = Story().open({"central": rubric}, {row[1]: "central" for row in rows})
    story.seat()
    for _, agency, _, direct, survey in rows:
        for number, points in enumerate(declared(Decimal(direct)), start=1):
            # one agency claimed the maximum and the council brought it down to the published value
            claimed = str(EACH) if (agency, number) == ("thue", 1) else str(points)
            story.declare(agency, f"1.{number}", claimed)
            story.appraise(agency, f"1.{number}", claimed)
        story.study(agency, item_2=survey)
        if agency == "thue":
            story.adjust(agency, "1.1", str(declared(Decimal(direct))[0]))
        story.close(agency)
    story.finalise([row[1] for row in rows])
    result = replay(story.logs, story.heads)
    assert [
        f"{row.rank};{row.agency};{row.total};{row.parts['appraisal']};{row.parts['survey']}" for row in result.table
    ] == VINH_PHUC.split()
    assert {row.agency: row.self_assessed for row in result.table}["thue"] > 47


def test_real_ballots_give_the_points_that_hand_arithmetic_gives() -> None:
    result = replay((story := whole_story()).logs, story.heads)
    # a-01: 8 ballots, (6 × 100 % + 2 × 50 %) ÷ 8 = 87,5 % of 8 = 7,00; a-02: 10 ballots, 5 × 100 % ÷ 10 = 50 % = 4,00
    # study 1,5; direct 2 + 2,5 + 3,5 + 1 = 9 and 2 + 2,5 + 3,75 + 1 = 9,25
    assert [(row.rank, row.agency, row.total) for row in result.table] == [
        (1, "a-01", Decimal("17.50")),
        (2, "a-02", Decimal("14.75")),
    ]
    assert result.table[0].parts == {"appraisal": Decimal("9.00"), "survey": Decimal("8.50")}
    assert result.table[0].name_vi == "Cơ quan a-01"


def three(skip: bool) -> list[tuple[int | None, str]]:
    ranking = Ranking(skip=skip)
    rubric = Rubric.model_validate({**PILOT.model_dump(), "ranking": ranking})
    story = Story().open({"g": rubric}, {"c": "g", "b": "g", "a": "g"})
    for agency, points in {"a": "1", "b": "2", "c": "2"}.items():
        story.appraise(agency, "2.1", points)
    return [(row.rank, row.agency) for row in replay(story.logs, story.heads).table]


@pytest.mark.parametrize(("skip", "last"), [(True, 3), (False, 2)])
def test_equal_totals_share_a_rank_and_the_next_is_skipped_as_the_rubric_says(skip: bool, last: int) -> None:
    assert three(skip) == [(1, "b"), (1, "c"), (last, "a")]


def test_ranks_are_inside_a_group_and_an_unranked_group_has_none() -> None:
    story = Story().open(
        {"central": PILOT, "observed": PILOT}, {"b": "central", "a": "central", "z": "observed"}, unranked=["observed"]
    )
    story.appraise("b", "2.1", "4")
    story.appraise("z", "2.1", "4")
    rows = replay(story.logs, story.heads).table
    assert [(row.group, row.rank, row.agency) for row in rows] == [
        ("central", 1, "b"),
        ("central", 2, "a"),
        ("observed", None, "z"),
    ]


def test_formulas_bear_their_names_and_dates() -> None:
    assert {name: formula.dated for name, formula in FORMULAS.items()} == {"par-index-2026-11": date(2026, 11, 24)}
    assert FORMULAS[CURRENT].name == CURRENT
