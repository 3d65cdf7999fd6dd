"""A six-month period whose rubric has surveyed items, and no survey is held: what stands in is the rubric's data."""

from deploy.local.stack import Stack
from shared.access import Role
from shared.rubric import Agency, Label, Rubric
from shared.rubric.model import NotHeld
from tests.flow.office import SMALL, Office, patient, rubric

DECLARED = {"north": {"1.1": "27,25", "1.2": "90"}, "east": {"1.1": "24", "1.2": "90,01"}}
DIRECT = {"north": "8,5", "east": "6"}
DECISION = {"decision": "15/QĐ-SNV", "dated": "2024-07-01"}


def standing_in(rule: NotHeld) -> Rubric:
    """The small rubric in which that stands in for a survey that is not held."""
    small = rubric(SMALL)
    assert small.parts.survey is not None
    part = small.parts.survey.model_copy(update={"if_not_held": rule})
    return small.model_copy(update={"id": f"small-{rule}", "parts": small.parts.model_copy(update={"survey": part})})


async def test_without_a_survey_the_rubric_says_what_stands_in(stack: Stack) -> None:
    groups = (
        ("central", standing_in(NotHeld.RESCALE), [Agency(id="north", name=Label(vi="north"))]),
        ("other", standing_in(NotHeld.ZERO), [Agency(id="east", name=Label(vi="east"))]),
    )
    async with await Office.plan(stack, "half", *groups, kind="six-month") as office:
        await office.open()
        officer = await office.by(Role.OFFICER)
        path = office.here(rest="/not-held")
        await patient(lambda: officer.post("survey", path, DECISION), lambda refused: refused.code == "period-unknown")
        await office.assess_all(DECLARED)
        for agency, points in DIRECT.items():
            await office.recognise(agency)
            await office.correct(agency, "2.1", points, "appraised-directly")
        table = (await office.conclude())["table"]
    rows = {row["agency"]: (row["total"], row["parts"]) for row in table}
    assert rows == {
        # 27,25 + 10 + 8,5 = 45,75 of 60, scaled up to the whole 100: × 100 ÷ 60
        "north": ("76.25", {"appraisal": "76.25", "survey": "0.00"}),
        # 24 + 20 + 6 = 50, and nothing for the survey
        "east": ("50.00", {"appraisal": "50.00", "survey": "0.00"}),
    }
