"""Strong and weak sides: where points were lost and why; the losses are exact."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.scorecard import Judged
from services.scoring.strengths import Sides, declared_sides, sides_of
from shared.rubric import Card, LeafValue, NotApplicable, PartName, Rubric, card
from shared.rubric.model import BASE_PARTS, ExtraPart
from tests.services.scoring.samples import PILOT, Story, whole_story

SCALED = list(NotApplicable)


def variant(not_applicable: NotApplicable = NotApplicable.SHRINK, **changes: Any) -> Rubric:
    return PILOT.model_copy(update={"not_applicable": not_applicable, **changes})


def value(points: str | None = None, declared: str | None = None, **more: Any) -> LeafValue:
    return LeafValue(
        self_assessed=None if declared is None else Decimal(declared),
        appraised=None if points is None else Decimal(points),
        **more,
    )


FULL = {code: value(str(leaf.max), str(leaf.max)) for code, leaf in PILOT.leaves.items()}


def sides(rubric: Rubric, values: Mapping[str, LeafValue], **how: Any) -> tuple[Card, Sides]:
    result = card(rubric, values, final=True, **how)
    return result, sides_of(rubric, result, Judged())


def causes(found: Sides, item: str) -> list[tuple[str, str]]:
    [side] = [side for side in found.sides if side.item == item]
    return [(cause.code, str(cause.points)) for cause in side.causes]


def told(story: Story, agency: str = "a-01", upto: int | None = None) -> Sides:
    states = story.states
    result = FORMULAS[CURRENT].card(states, agency, True)
    return sides_of(PILOT, result, states.appraisal.agencies[agency], upto)


def test_who_has_every_point_has_lost_nothing() -> None:
    result, found = sides(PILOT, FULL)
    assert (str(found.lost), found.weak, found.rests) == ("0", [], ())
    assert found.strong == list(PILOT.leaves)
    assert result.total == 20


def test_each_loss_bears_its_cause_from_the_declaration_to_the_council() -> None:
    story = whole_story()
    story.adjust("a-01", "2.1", "3")
    found = told(story)
    assert causes(found, "1.1.1") == []
    assert causes(found, "1.1.2") == [("declared-below-maximum", "1/2")]
    assert causes(found, "2.1") == [
        ("declared-below-maximum", "1/4"), ("corrected-by-appraiser", "1/4"), ("council", "1/2")
    ]  # fmt: skip
    assert causes(found, "3.1") == [("survey-share", "1")]
    assert found.weak == ["2.1", "3.1", "1.1.2", "3.2"]
    assert found.strong == ["1.1.1", "2.2"]


def test_a_correction_and_an_adjustment_bear_their_reason_codes() -> None:
    story = whole_story()
    late = story.adjust("a-01", "2.1", "3")
    [side] = [side for side in told(story).sides if side.item == "2.1"]
    assert [cause.reason_code for cause in side.causes] == [None, "as-declared", "evidence-missing"]
    [side] = [side for side in told(story, upto=late.position).sides if side.item == "2.1"]
    assert [cause.reason_code for cause in side.causes] == [None, "as-declared", None]


def test_what_the_council_gives_back_is_a_loss_below_zero() -> None:
    found = sides(PILOT, {**FULL, "2.1": value("2", "4", council=Decimal("3.5"))})[1]
    assert causes(found, "2.1") == [("corrected-by-appraiser", "2"), ("council", "-3/2")]
    assert found.lost == Fraction(1, 2)


@pytest.mark.parametrize(("values", "expected"), [
    ({}, [("not-declared", "4")]),
    ({"2.1": value("1")}, [("not-declared", "3")]),
    ({"2.1": value(None, "3")}, [("declared-below-maximum", "1"), ("not-appraised", "3")]),
    ({"2.1": value("2", "3")}, [("declared-below-maximum", "1"), ("corrected-by-appraiser", "1")]),
    ({"2.1": value(not_applicable=True)}, []),
])  # fmt: skip
def test_an_item_without_points_says_why(values: dict[str, LeafValue], expected: list[tuple[str, str]]) -> None:
    assert causes(sides(PILOT, values)[1], "2.1") == expected


def test_an_item_of_the_appraiser_alone_lost_below_its_maximum() -> None:
    assert causes(sides(PILOT, {"2.2": value("0.5")})[1], "2.2") == [("below-maximum", "1/2")]


def test_a_penalty_is_named_beside_the_scale_and_a_bonus_loses_nothing() -> None:
    [field, *fields] = variant().fields
    [criterion] = field.criteria
    first, second = (
        leaf.model_copy(update={"part": part})
        for leaf, part in zip(criterion.items, (PartName.PENALTY, PartName.BONUS), strict=True)  # type: ignore[union-attr]
    )
    changed = criterion.model_copy(update={"items": (first, second)})
    parts = PILOT.parts.model_copy(
        update={name: ExtraPart(label=PILOT.title, cap=None) for name in ("penalty", "bonus")}
    )
    rubric = variant(parts=parts, fields=(field.model_copy(update={"criteria": (changed,)}), *fields))
    rubric = Rubric.model_validate(rubric.model_dump(by_alias=True))
    result, found = sides(rubric, {**FULL, "1.1.1": value("1.5"), "1.1.2": value("2")})
    assert causes(found, "1.1.1") == [("penalty", "3/2")]
    assert causes(found, "1.1.2") == []
    base = sum(
        (Fraction(part.maximum or 0) - part.exact for part in result.parts if part.part in BASE_PARTS), Fraction(0)
    )
    assert found.lost == base == 5
    assert [(rest.cause, str(rest.points)) for rest in found.rests] == [("limits", "5")]


@pytest.mark.parametrize("rule", [NotApplicable.SCALE_PART, NotApplicable.SCALE_FIELD, NotApplicable.SCALE_CRITERION])
def test_where_what_remains_is_scaled_up_the_items_losses_are_all(rule: NotApplicable) -> None:
    values = {**FULL, "1.1.1": value(not_applicable=True), "1.1.2": value("1.5", "3")}
    result, found = sides(variant(rule), values)
    weight = Fraction(10, 8) if rule is NotApplicable.SCALE_PART else Fraction(5, 3)
    assert [side.of_total for side in found.sides if side.lost] == [Fraction(3, 2) * weight]
    assert (found.rests, found.lost) == ((), Fraction(3, 2) * weight)
    assert Fraction(20) - result.exact == found.lost


def test_an_item_that_left_the_whole_is_a_rest_and_no_loss_of_an_item() -> None:
    found = sides(PILOT, {**FULL, "2.1": value(not_applicable=True)})[1]
    assert found.weak == []
    assert [(str(rest.part), rest.cause, str(rest.points)) for rest in found.rests] == [
        ("appraisal", "not-applicable", "4")
    ]


def test_a_survey_that_was_not_held_makes_the_other_losses_weigh_double() -> None:
    values = {code: each for code, each in FULL.items() if not code.startswith("3")}
    result, found = sides(PILOT, {**values, "2.1": value("3", "3")}, not_held=[PartName.SURVEY])
    [side] = [side for side in found.sides if side.item == "2.1"]
    assert (str(side.lost), str(side.of_total)) == ("1", "2")
    assert found.lost == Fraction(20) - result.exact == 2
    assert {rest.cause for rest in found.rests} == {"not-held"}


POINTS = st.integers(0, 8).map(lambda eighths: Fraction(eighths, 8))


@st.composite
def values_of(draw: st.DrawFn) -> dict[str, LeafValue]:
    found = {}
    for code, leaf in PILOT.leaves.items():
        shares = [None if draw(st.booleans()) else draw(POINTS) for _ in range(3)]
        declared, appraised, council = (
            None if share is None else Decimal(str(leaf.max)) * share.numerator / share.denominator for share in shares
        )
        away = draw(st.integers(0, 4)) == 0
        found[code] = LeafValue(
            self_assessed=declared,
            appraised=None if away else appraised,
            council=None if away else council,
            not_applicable=away,
        )
    return found


@given(
    values=values_of(),
    rule=st.sampled_from(SCALED),
    total=st.sampled_from(["sum", "ratio"]),
    stage=st.sampled_from(["leaf", "part", "total"]),
    held=st.booleans(),
    final=st.booleans(),
)
def test_the_losses_sum_to_the_maximum_less_the_parts_and_the_causes_to_each_loss(
    values: dict[str, LeafValue], rule: NotApplicable, total: str, stage: str, held: bool, final: bool
) -> None:
    rubric = variant(
        rule,
        total=PILOT.total.model_copy(update={"rule": total}),
        rounding=PILOT.rounding.model_copy(update={"stage": stage, "digits": 1}),
    )
    result = card(rubric, values, final=final, not_held=[] if held else [PartName.SURVEY])
    found = sides_of(rubric, result, Judged())
    parts = [part for part in result.parts if part.part in BASE_PARTS]
    expected = sum((Fraction(part.maximum or 0) - part.exact for part in parts), Fraction(0))
    whole = sum((side.of_total for side in found.sides), Fraction(0)) + sum(
        (rest.points for rest in found.rests), Fraction(0)
    )
    assert whole == found.lost == expected
    for side in found.sides:
        assert sum((cause.points for cause in side.causes), Fraction(0)) == side.lost
    applies = not any(line.not_applicable for line in result.leaves)
    if held and applies and stage == "total":
        assert found.rests == ()


def test_before_appraised_points_are_shown_only_what_was_declared_counts() -> None:
    result = card(PILOT, {"1.1.1": value("0", "1"), "2.1": value("4", "4")}, final=False)
    found = declared_sides(PILOT, result)
    assert [(side.item, str(side.lost), [cause.code for cause in side.causes]) for side in found] == [
        ("1.1.1", "1", ["declared-below-maximum"]), ("1.1.2", "3", ["not-declared"]), ("2.1", "0", [])
    ]  # fmt: skip
    assert all(side.line.appraised is None and side.line.achieved is None for side in found)
