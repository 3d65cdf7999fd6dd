"""The faults of a rubric: what cannot be computed is an error, what is doubtful a warning; both name the place."""

from typing import Any

import pytest

from shared.rubric import Rubric, RubricError, check, require_computable
from tests.shared.rubric.build import extra, part, raw_rubric, rubric, survey_leaf, tree_leaf


def findings(scheme: Rubric) -> list[tuple[str, str, str]]:
    return [(finding.severity, finding.place, finding.message) for finding in check(scheme)]


def one(*items: dict[str, Any], maximum: str = "10", **head: Any) -> Rubric:
    return rubric({"1": list(items)}, **{"parts": {"appraisal": part(maximum)}, "total": {"scale": maximum}, **head})


def level(name: str, points: str) -> dict[str, Any]:
    return {"id": name, "label": {"vi": name}, "points": points}


LEVELS: dict[str, Any] = {"kind": "levels", "levels": [level("full", "10"), level("half", "5"), level("none", "0")]}


def steps(*rows: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"kind": "steps", "steps": list(rows), **more}


def test_a_sound_rubric_has_no_finding() -> None:
    scheme = one(tree_leaf("1.1", rule=LEVELS))
    assert check(scheme) == []
    require_computable(scheme)


def branch(on: str, *cases: tuple[str, ...], **more: Any) -> dict[str, Any]:
    return {"kind": "branch", "on": on, "cases": [{"when": list(when), "rule": LEVELS} for when in cases], **more}


BAND = {"id": "a", "label": {"vi": "A"}, "lower": {"at_least": "5"}}
ERRORS: list[tuple[str, Rubric, str, str]] = [
    ("duplicate code", one(tree_leaf("1.1", "5"), tree_leaf("1.1", "5")), "1.1", "occurs twice"),
    ("code of field and item", one(tree_leaf("1")), "1", "occurs twice"),
    ("no such part", one(tree_leaf("1.1"), tree_leaf("1.2", "1", part="bonus")), "1.2", "no part bonus"),
    (
        "duplicate level",
        one(tree_leaf("1.1", rule={"kind": "levels", "levels": [level("a", "10"), level("a", "0")]})),
        "1.1",
        "level a occurs twice",
    ),
    (
        "steps overlap at an end",
        one(tree_leaf("1.1", rule=steps({"at_least": "70", "points": "10"}, {"at_most": "70", "points": "0"}))),
        "1.1",
        "overlap at 70",
    ),
    (
        "steps overlap",
        one(tree_leaf("1.1", rule=steps({"at_least": "60", "points": "10"}, {"below": "70", "points": "0"}))),
        "1.1",
        "overlap at 60",
    ),
    (
        "steps overlap without end",
        one(tree_leaf("1.1", rule=steps({"points": "10"}, {"below": "70", "points": "0"}))),
        "1.1",
        "overlap",
    ),
    (
        "gap of a point",
        one(tree_leaf("1.1", rule=steps({"above": "70", "points": "10"}, {"below": "70", "points": "0"}))),
        "1.1",
        "after 70",
    ),
    (
        "gap",
        one(tree_leaf("1.1", rule=steps({"at_least": "80", "points": "10"}, {"below": "70", "points": "0"}))),
        "1.1",
        "after 70",
    ),
    (
        "gap at the top",
        one(
            tree_leaf(
                "1.1", rule=steps({"at_least": "70", "below": "100", "points": "10"}, {"below": "70", "points": "0"})
            )
        ),
        "1.1",
        "after 100",
    ),
    ("gap at the bottom", one(tree_leaf("1.1", rule=steps({"at_least": "1", "points": "10"}))), "1.1", "covers 0"),
    ("zero left out", one(tree_leaf("1.1", rule=steps({"above": "0", "points": "10"}))), "1.1", "covers 0"),
    (
        "empty step",
        one(
            tree_leaf("1.1", rule=steps({"at_least": "0", "points": "10"}, {"above": "9", "below": "9", "points": "0"}))
        ),
        "1.1",
        "holds no value",
    ),
    (
        "gap in a count",
        one(
            tree_leaf(
                "1.1",
                rule=steps(
                    {"at_least": "5", "points": "10"}, {"at_most": "3", "points": "0"}, measure={"kind": "count"}
                ),
            )
        ),
        "1.1",
        "after 3",
    ),
    (
        "overlap in a count",
        one(
            tree_leaf(
                "1.1",
                rule=steps({"above": "3", "points": "10"}, {"at_most": "4", "points": "0"}, measure={"kind": "count"}),
            )
        ),
        "1.1",
        "overlap at 4",
    ),
    (
        "no maximum to share",
        one(
            tree_leaf("1.1"),
            tree_leaf("1.2", None, part="penalty", rule={"kind": "yes-no"}),
            parts={"appraisal": part("10"), "penalty": extra()},
        ),
        "1.2",
        "maximum",
    ),
    ("branch on nothing", one(tree_leaf("1.1", rule=branch("9.9", ("full",)))), "1.1", "9.9"),
    ("branch on itself", one(tree_leaf("1.1", rule=branch("1.1", ("full",)))), "1.1", "comes back"),
    (
        "branch in a circle",
        one(tree_leaf("1.1", "5", rule=branch("1.2", ("full",))), tree_leaf("1.2", "5", rule=branch("1.1", ("full",)))),
        "1.1",
        "comes back",
    ),
    (
        "branch on a rate",
        one(tree_leaf("1.1", "5", rule=steps({"points": "5"})), tree_leaf("1.2", "5", rule=branch("1.1", ("90",)))),
        "1.2",
        "neither levels",
    ),
    (
        "branch on no answer",
        one(
            tree_leaf("1.1", "5", rule=LEVELS),
            tree_leaf("1.2", "5", rule=branch("1.1", ("full", "half", "none", "best"))),
        ),
        "1.2",
        "no answer best",
    ),
    (
        "branch twice",
        one(
            tree_leaf("1.1", "5", rule=LEVELS),
            tree_leaf("1.2", "5", rule=branch("1.1", ("full", "half"), ("half", "none"))),
        ),
        "1.2",
        "two cases hold for half",
    ),
    (
        "branch not whole",
        one(tree_leaf("1.1", "5", rule=LEVELS), tree_leaf("1.2", "5", rule=branch("1.1", ("full", "half")))),
        "1.2",
        "no case holds while item 1.1 is none",
    ),
    (
        "gate on nothing",
        one(tree_leaf("1.1"), bands=[BAND], gates=[{"id": "g", "label": {"vi": "G"}, "code": "9", "best_band": "a"}]),
        "gates.g",
        "no item 9",
    ),
    (
        "gate to nothing",
        one(tree_leaf("1.1"), bands=[BAND], gates=[{"id": "g", "label": {"vi": "G"}, "code": "1.1", "best_band": "z"}]),
        "gates.g",
        "no band z",
    ),
    (
        "bands out of order",
        one(tree_leaf("1.1"), bands=[BAND, {**BAND, "id": "b", "lower": {"above": "5"}}]),
        "bands.b",
        "best to lowest",
    ),
    (
        "band without an end above others",
        one(tree_leaf("1.1"), bands=[{"id": "b", "label": {"vi": "B"}}, BAND]),
        "bands.b",
        "lower end",
    ),
    ("band twice", one(tree_leaf("1.1"), bands=[BAND, {**BAND, "lower": None}]), "bands", "band a occurs twice"),
    (
        "least share of nothing",
        one(
            tree_leaf("1.1"),
            bands=[{**BAND, "requires": [{"kind": "least-share", "code": "7", "share": {"above": "1"}}]}],
        ),
        "bands.a",
        "no 7",
    ),
    (
        "lowest band of none",
        one(tree_leaf("1.1"), missing_self_assessment="lowest-band"),
        "missing_self_assessment",
        "no bands",
    ),
    (
        "bonus inside nothing",
        one(tree_leaf("1.1"), parts={"appraisal": part("10"), "bonus": extra(placement="inside", into="survey")}),
        "parts.bonus",
        "no part survey",
    ),
    ("no scale", one(tree_leaf("1.1", part="bonus"), parts={"bonus": extra()}), "parts", "neither"),
    (
        "empty part",
        one(tree_leaf("1.1"), parts={"appraisal": part("10"), "survey": part("10")}, total={"scale": "20"}),
        "parts.survey",
        "no item",
    ),
    (
        "reason twice",
        one(tree_leaf("1.1"), reasons=[{"id": "r", "label": {"vi": "R"}}, {"id": "r", "label": {"vi": "R"}}]),
        "reasons",
        "reason r occurs twice",
    ),
]


@pytest.mark.parametrize(
    ("scheme", "place", "message"), [case[1:] for case in ERRORS], ids=[case[0] for case in ERRORS]
)
def test_what_cannot_be_computed_is_an_error(scheme: Rubric, place: str, message: str) -> None:
    found = [finding for finding in check(scheme) if finding.severity == "error"]
    assert any(finding.place == place and message in finding.message for finding in found), found
    with pytest.raises(RubricError) as refused:
        require_computable(scheme)
    assert refused.value.code == "rubric-invalid"
    assert len(refused.value.errors) == len(found)


WARNINGS: list[tuple[str, Rubric, str, str]] = [
    (
        "rounding above what it is of",
        one(tree_leaf("1.1", rule={"kind": "proportional", "of": "2.5", "rounding": {"digits": "0"}})),
        "1.1",
        "takes points to 3, above 2.5",
    ),
    ("unreachable maximum", one(tree_leaf("1.1", "11", rule=LEVELS), maximum="11"), "1.1", "gives at most 10"),
    ("level above the maximum", one(tree_leaf("1.1", "9", rule=LEVELS), maximum="9"), "1.1", "up to 10"),
    (
        "unreachable by share",
        one(tree_leaf("1.1", rule={"kind": "share", "levels": [{"id": "a", "label": {"vi": "A"}, "share": "75"}]})),
        "1.1",
        "at most 7.5",
    ),
    (
        "unreachable by rate",
        one(tree_leaf("1.1", rule={"kind": "proportional", "divisor": "120"})),
        "1.1",
        "at most 25/3",
    ),
    (
        "unreachable by count",
        one(tree_leaf("1.1", rule={"kind": "count", "unit": "1", "cap": "8"})),
        "1.1",
        "at most 8",
    ),
    ("part's items", one(tree_leaf("1.1", "9"), maximum="10"), "parts.appraisal", "sum to 9"),
    ("scale", one(tree_leaf("1.1"), total={"scale": "100"}), "parts", "the scale is 100"),
    (
        "printed maximum",
        Rubric.model_validate(
            {
                **raw_rubric({"1": [tree_leaf("1.1")]}, parts={"appraisal": part("10")}, total={"scale": "10"}),
                "fields": [{"code": "1", "label": {"vi": "L"}, "max": "20", "criteria": [tree_leaf("1.1")]}],
            }
        ),
        "1",
        "printed maximum is 20",
    ),
    ("off the step", one(tree_leaf("1.1", step="3", rule=LEVELS)), "1.1", "5 points is not a multiple"),
    (
        "bonus under its cap",
        one(
            tree_leaf("1.1"), tree_leaf("1.2", "1", part="bonus"), parts={"appraisal": part("10"), "bonus": extra("3")}
        ),
        "parts.bonus",
        "under the cap",
    ),
    ("lowest band has an end", one(tree_leaf("1.1"), bands=[BAND]), "bands", "no band"),
    (
        "text names a missing item",
        one(tree_leaf("1.1", guidance="Như tại mục 4.1.2 của Bảng này")),
        "1.1",
        "names 4.1.2",
    ),
    (
        "level names a missing item",
        one(
            tree_leaf(
                "1.1",
                rule={**LEVELS, "levels": [*LEVELS["levels"], {**level("x", "1"), "label": {"vi": "Như mục I.2.1"}}]},
            )
        ),
        "1.1",
        "names I.2.1",
    ),
    (
        "field names a missing item",
        Rubric.model_validate(
            {
                **raw_rubric({"1": [tree_leaf("1.1")]}, parts={"appraisal": part("10")}, total={"scale": "10"}),
                "fields": [{"code": "1", "label": {"vi": "Trừ tiêu chí 2.2"}, "criteria": [tree_leaf("1.1")]}],
            }
        ),
        "1",
        "names 2.2",
    ),
    (
        "band names a missing item",
        one(tree_leaf("1.1"), bands=[{"id": "a", "label": {"vi": "Đạt mục 3.3"}}]),
        "bands.a",
        "names 3.3",
    ),
    (
        "late beyond nothing",
        one(
            tree_leaf("1.1"),
            tree_leaf("1.2", "3", part="penalty", rule={"kind": "late-days", "per_day": "1", "beyond": "3"}),
            parts={"appraisal": part("10"), "penalty": extra()},
        ),
        "1.2",
        "last_day",
    ),
]


@pytest.mark.parametrize(
    ("scheme", "place", "message"), [case[1:] for case in WARNINGS], ids=[case[0] for case in WARNINGS]
)
def test_what_is_doubtful_is_a_warning(scheme: Rubric, place: str, message: str) -> None:
    found = findings(scheme)
    assert [severity for severity, _, _ in found] == ["warning"] * len(found)
    assert any(where == place and message in text for _, where, text in found), found
    require_computable(scheme)


OPTIONS = [{"id": name, "label": {"vi": name}} for name in ("a", "b", "dont-know")]
FORM = {
    "id": "citizens",
    "group": "citizens",
    "title": {"vi": "Phiếu"},
    "questions": [{"id": name, "text": {"vi": name}, "options": OPTIONS} for name in ("q1", "q2")],
}
ASK = {"group": "citizens", "form": "citizens", "question": "q1"}
SHARES = {"kind": "option-shares", "shares": {"a": "100", "b": "50"}}


def surveyed(
    forms: list[dict[str, Any]] | None = None, respondents: tuple[str, ...] = ("citizens",), **rule: Any
) -> Rubric:
    body = {"kind": "survey", "questions": [ASK], "aggregation": SHARES, "outside": ["dont-know"], **rule}
    return rubric(
        {"1": [{**survey_leaf("1.1"), "rule": body}]},
        parts={"survey": part("10")},
        total={"scale": "10"},
        forms=[FORM] if forms is None else forms,
        respondents=[{"id": name, "label": {"vi": name}} for name in respondents],
    )


def test_a_sound_survey_item_has_no_finding() -> None:
    assert check(surveyed(questions=both("50"))) == []


def both(weight: str) -> list[dict[str, Any]]:
    return [{**ASK, "weight": "50"}, {**ASK, "question": "q2", "weight": weight}]


SURVEYS: list[tuple[str, Rubric, str, str]] = [
    ("no such form", surveyed(questions=[{**ASK, "form": "officials"}]), "error", "no form officials"),
    ("no such question", surveyed(questions=[{**ASK, "question": "q9"}]), "error", "question q9"),
    ("asked twice", surveyed(questions=[ASK, ASK]), "error", "occurs twice"),
    ("another group", surveyed(questions=[{**ASK, "group": "officials"}]), "error", "is put to citizens"),
    ("unknown group", surveyed(respondents=("officials",)), "error", "no respondent group"),
    ("unknown option", surveyed(aggregation={"kind": "top-levels", "top": ["z"]}), "error", "no option z"),
    ("share and outside", surveyed(outside=["dont-know", "a"]), "error", "outside the base"),
    (
        "share above 100",
        surveyed(aggregation={"kind": "option-shares", "shares": {"a": "110", "b": "0"}}),
        "error",
        "above 100",
    ),
    ("group twice", surveyed(weights=[{"group": "citizens", "weight": "50"}] * 2), "error", "two weights"),
    ("group without a weight", surveyed(weights=[{"group": "officials", "weight": "100"}]), "error", "has no weight"),
    (
        "weight without a question",
        surveyed(weights=[{"group": "citizens", "weight": "50"}, {"group": "x", "weight": "50"}]),
        "error",
        "no question",
    ),
    (
        "pooled with two weights",
        surveyed(
            forms=[FORM, {**FORM, "id": "paper"}],
            combine="pooled",
            questions=[ASK, {**ASK, "form": "paper", "weight": "2"}],
        ),
        "error",
        "pooled question q1",
    ),
    (
        "blank as an option",
        surveyed(
            forms=[
                {
                    **FORM,
                    "questions": [
                        {"id": "q1", "text": {"vi": "q"}, "options": [*OPTIONS, {"id": "blank", "label": {"vi": "-"}}]}
                    ],
                }
            ]
        ),
        "error",
        "blank",
    ),
    ("question of no item", surveyed(), "warning", "no item of the rubric reads this question"),
    ("option without a share", surveyed(outside=[]), "warning", "option dont-know has no share"),
    (
        "no full share",
        surveyed(aggregation={"kind": "option-shares", "shares": {"a": "90", "b": "0"}}),
        "warning",
        "best share is 90",
    ),
    ("group weights", surveyed(weights=[{"group": "citizens", "weight": "99.99"}]), "warning", "sum to 99.99"),
    ("question weights", surveyed(questions=both("50.03")), "warning", "sum to 100.03"),
    (
        "pooled weights",
        surveyed(combine="pooled", weights=[{"group": "citizens", "weight": "100"}]),
        "warning",
        "no group weights",
    ),
]


@pytest.mark.parametrize(
    ("scheme", "severity", "message"), [case[1:] for case in SURVEYS], ids=[case[0] for case in SURVEYS]
)
def test_the_faults_of_survey_items(scheme: Rubric, severity: str, message: str) -> None:
    found = findings(scheme)
    assert any(kind == severity and message in text for kind, _, text in found), found


def test_errors_come_before_warnings() -> None:
    scheme = one(tree_leaf("1.1", "9", rule=LEVELS), tree_leaf("1.1", "1"))
    assert [finding.severity for finding in check(scheme)] == ["error", "warning", "warning"]


def test_a_field_that_fits_no_entry_is_an_error() -> None:
    long = [tree_leaf(f"1.{n}", "1", guidance="ẵ" * 2000) for n in range(60)]
    found = findings(one(*long, maximum="60"))
    assert [(kind, place) for kind, place, _ in found] == [("error", "1")]
