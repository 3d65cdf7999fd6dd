"""Equal totals share a rank; whether the next rank is skipped, the rubric says."""

from typing import Final

from deploy.local.stack import Stack
from shared.rubric import Agency, Label, Ranking
from tests.flow.office import SMALL, Office, rubric

STUDIED: Final = {"3.1": "20", "3.2": "10"}
DECLARED: Final = {
    # with 5 points of the appraiser and 30 of the study: 75, twice 60 by other items, 45
    "first": {"1.1": "20", "1.2": "95"},
    "second": {"1.1": "15", "1.2": "80"},
    "third": {"1.1": "25", "1.2": "12"},
    "fourth": {"1.1": "10", "1.2": "69,99"},
}
SKIPPED: Final = [(1, "75.00"), (2, "60.00"), (2, "60.00"), (4, "45.00")]
NOT_SKIPPED: Final = [(1, "75.00"), (2, "60.00"), (2, "60.00"), (3, "45.00")]


async def test_two_equal_totals_share_a_rank_and_the_next_is_skipped_or_not_as_the_rubric_says(stack: Stack) -> None:
    skips = rubric(SMALL)
    dense = skips.model_copy(update={"id": "dense", "ranking": Ranking(skip=False, decimals=2)})
    groups = [
        (name, each, [Agency(id=f"{name}-{place}", name=Label(vi=place)) for place in DECLARED])
        for name, each in (("skipping", skips), ("dense", dense))
    ]
    async with await Office.plan(stack, "ranks", *groups) as office:
        await office.open()
        await office.assess_all({f"{name}-{place}": data for name, _, _ in groups for place, data in DECLARED.items()})
        for agency in office.groups:
            await office.recognise(agency)
            await office.correct(agency, "2.1", "5", "appraised-directly")
            await office.study(agency, STUDIED)
        await office.close()
        await office.finalise()
        table = (await office.consolidate())["table"]
    ranks = {name: [(row["rank"], row["total"]) for row in table if row["group"] == name] for name, _, _ in groups}
    assert ranks == {"skipping": SKIPPED, "dense": NOT_SKIPPED}
