"""Rubric and period files: what is read, what is refused and where, and the files that come with the software."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from shared.rubric import (
    FormTally,
    LeafValue,
    Mode,
    PartName,
    PeriodOpening,
    Rubric,
    RubricError,
    card,
    check,
    days_late,
    declare,
    join,
    load_period,
    load_rubric,
    normalise,
    opening,
    period_schema,
    points,
    ranking,
    rubric_schema,
    self_assessed_total,
    split,
    survey_points,
)
from shared.rubric.files import parse_yaml
from shared.rubric.rules import Levels, Shares, Survey
from tests.shared.rubric.build import part, raw_rubric, tree_leaf

DEPLOY = Path(__file__).parents[3] / "deploy"
RUBRICS = sorted((DEPLOY / "rubrics").glob("*.yaml"))
PERIODS = sorted((DEPLOY / "periods").glob("*.yaml"))


def shipped(name: str) -> Rubric:
    return load_rubric((DEPLOY / "rubrics" / f"{name}.yaml").read_text(encoding="utf-8"))


def as_yaml(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, allow_unicode=True)


def test_figures_are_read_as_they_are_written() -> None:
    text = as_yaml(raw_rubric({"1": [tree_leaf("1.1", "0.50")]}))
    unquoted = (
        text.replace("max: '0.50'", "max: 0.50").replace("code: '1'", "code: 1").replace("code: '1.1'", "code: 1.1")
    )
    assert unquoted != text
    assert str(load_rubric(unquoted).leaf("1.1").max) == "0.50"


def test_a_file_may_have_decimal_commas_and_an_entry_may_not() -> None:
    rule = {"kind": "steps", "steps": [{"at_least": "97,5", "points": "0,5"}, {"below": "97.5", "points": "0"}]}
    raw = raw_rubric({"1": [tree_leaf("1.1", "0,5", rule=rule)]}, parts={"appraisal": part("1.234,5")})
    read = load_rubric(as_yaml(raw))
    assert (str(read.leaf("1.1").max), str(read.parts.base()[PartName.APPRAISAL].max)) == ("0.5", "1234.5")
    assert str(points(read.leaf("1.1"), "97,5")) == "0.5"
    jsonschema.validate({**raw, "parts": {"appraisal": part("50,5")}}, rubric_schema())
    with pytest.raises(ValidationError):
        Rubric.model_validate(raw)
    with pytest.raises(RubricError, match="is not a number"):
        load_rubric(as_yaml(raw_rubric({"1": [tree_leaf("1.1", "0,5,5")]})))


def test_a_number_that_is_tagged_as_binary_is_refused() -> None:
    text = as_yaml(raw_rubric({"1": [tree_leaf("1.1", "0.50")]})).replace("max: '0.50'", "max: !!float 0.50")
    with pytest.raises(RubricError, match=r"fields\[0\]\.criteria\[0\]\.max: a figure is written as a string"):
        load_rubric(text)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("id: a\n  b: [", "line 2", "mapping values"),
        ("id: a\nid: b\n", "line 2", "written twice"),
        ("a: &x 1\nb: *x\n", "line 2", "aliases"),
    ],
)
def test_text_that_is_no_yaml_is_refused_with_its_line(text: str, line: str, message: str) -> None:
    with pytest.raises(RubricError, match=message) as refused:
        load_rubric(text)
    assert (refused.value.code, refused.value.field) == ("file-invalid", line)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- b\n", "[" * 5000, "a: \x00"])
def test_what_is_no_rubric_at_all_is_refused(text: str) -> None:
    with pytest.raises(RubricError) as refused:
        load_rubric(text)
    assert refused.value.code in {"file-invalid", "rubric-invalid"}


def test_every_fault_of_form_is_named_with_line_and_path() -> None:
    raw = raw_rubric({"1": [tree_leaf("1.1", "-1"), tree_leaf("1.2", mode="guessed"), tree_leaf("1.3", colour="red")]})
    text = as_yaml(raw)
    with pytest.raises(RubricError) as refused:
        load_rubric(text)
    assert refused.value.code == "rubric-invalid"
    places = [fault["field"] for fault in refused.value.errors]
    assert places == ["fields[0].criteria[0].max", "fields[0].criteria[1].mode", "fields[0].criteria[2].colour"]
    lines = text.splitlines()
    for fault, written in zip(refused.value.errors, ("max:", "mode: guessed", "colour: red"), strict=True):
        number = int(fault["detail"].split(":")[0].removeprefix("line "))
        assert written in lines[number - 1]


def test_a_missing_field_is_named() -> None:
    raw = raw_rubric({"1": [tree_leaf("1.1")]})
    del raw["reasons"]
    with pytest.raises(RubricError) as refused:
        load_rubric(as_yaml(raw))
    assert refused.value.field == "reasons"


@pytest.mark.parametrize(
    "broken",
    [
        tree_leaf("1.1", mode="survey"),
        tree_leaf("1.1", rule={"kind": "imported"}),
        tree_leaf("1.1", None),
        tree_leaf("1 1"),
        tree_leaf("1.1", rule={"kind": "guess"}),
        tree_leaf("1.1", rule={"kind": "steps", "steps": [{"at_least": "1", "above": "1", "points": "1"}]}),
        tree_leaf("1.1", rule={"kind": "proportional", "floor": {"at_least": "1", "above": "1"}}),
        tree_leaf("1.1", rule={"kind": "count", "unit": "0"}),
        tree_leaf("1.1", step="0"),
    ],
)
def test_an_item_that_contradicts_itself_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(RubricError) as refused:
        load_rubric(as_yaml(raw_rubric({"1": [broken]})))
    assert refused.value.code == "rubric-invalid"


@pytest.mark.parametrize("path", RUBRICS, ids=lambda path: path.stem)
def test_a_shipped_rubric_can_be_computed_and_fits_the_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    scheme = load_rubric(text)
    assert [finding for finding in check(scheme) if finding.severity == "error"] == []
    jsonschema.validate(parse_yaml(text), rubric_schema())
    assert not scheme.official


@pytest.mark.parametrize("path", RUBRICS, ids=lambda path: path.stem)
def test_a_rubric_survives_a_log(path: Path) -> None:
    scheme = load_rubric(path.read_text(encoding="utf-8"))
    head, fields = split(scheme)
    stored = [piece.model_dump_json(exclude_none=True) for piece in (head, *fields)]
    assert max(len(piece.encode()) for piece in stored) < 256 * 1024
    read = [type(piece).model_validate_json(text) for piece, text in zip((head, *fields), stored, strict=True)]
    assert join(read[0], read[1:]) == scheme  # type: ignore[arg-type]  # the head, then the fields
    assert Rubric.model_validate_json(scheme.model_dump_json(exclude_none=True)) == scheme


@pytest.mark.parametrize(("name", "schema"), [("rubric", rubric_schema), ("period", period_schema)])
def test_the_committed_schemas_are_those_of_the_code(name: str, schema: Any) -> None:
    committed = json.loads((DEPLOY / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert committed == schema()
    jsonschema.Draft202012Validator.check_schema(committed)


def test_the_illustrative_rubric_is_labelled_and_uses_every_kind_of_rule() -> None:
    scheme = shipped("hanoi-illustrative")
    assert check(scheme) == []
    assert len(scheme.leaves) >= 60
    assert scheme.note.vi == "Minh họa, không phải phụ lục chính thức"
    assert len(scheme.fields) == 9
    sums = {name: sum(leaf.max or 0 for leaf in scheme.leaves.values() if leaf.part is name) for name in PartName}
    assert (sums[PartName.APPRAISAL], sums[PartName.SURVEY]) == (50, 50)
    kinds = {leaf.rule.kind for leaf in scheme.leaves.values()}
    assert kinds == {
        "yes-no",
        "levels",
        "share",
        "steps",
        "proportional",
        "count",
        "late-days",
        "by-hand",
        "branch",
        "survey",
    }
    assert {form.group for form in scheme.forms} == {"officials", "citizens", "businesses"}
    assert all(leaf.label.en and leaf.label.vi for leaf in scheme.leaves.values())
    assert {mode for leaf in scheme.leaves.values() for mode in [leaf.mode]} == set(Mode)


def test_the_illustrative_rubric_scores_a_perfect_agency_at_one_hundred() -> None:
    scheme = shipped("hanoi-illustrative")
    data = {"yes-no": "yes", "steps": "100", "proportional": "100%", "count": "9", "by-hand": "1"}
    answers: dict[str, str] = {}
    values: dict[str, LeafValue] = {}
    tallies = {
        form.id: FormTally(200, {each.id: {each.options[0].id: 200} for each in form.questions})
        for form in scheme.forms
    }
    for leaf in scheme.leaves.values():
        rule = leaf.rule
        if leaf.part is PartName.PENALTY:
            values[leaf.code] = LeafValue(appraised=Decimal(0))
        elif isinstance(rule, Survey):
            values[leaf.code] = LeafValue(appraised=survey_points(leaf, tallies).points)
        else:
            best = rule.levels[0].id if isinstance(rule, Levels | Shares) else data.get(rule.kind, "9")
            best = "100" if leaf.code == "5.2.2" else "150" if leaf.code == "9.1.4" else best
            answers[leaf.code] = normalise(leaf, best, answers)
            values[leaf.code] = LeafValue(appraised=points(leaf, best, answers))
    result = card(scheme, values, final=True)
    assert [str(line.points) for line in result.parts] == ["50.00", "50.00", "0.00", "0.00"]
    assert (str(result.total), result.band) == ("100.00", "excellent")


PUBLISHED = """1;Bảo hiểm xã hội tỉnh;90,05;58,50;31,55
2;Ngân hàng Nhà nước tỉnh;89,88;57,75;32,13
3;Kho bạc Nhà nước tỉnh;89,10;58,00;31,10
4;Công an tỉnh;87,34;55,00;32,34
5;Cục Thuế tỉnh;78,44;47,00;31,44"""


def spread(scheme: Rubric, direct: Decimal) -> dict[str, Decimal]:
    """The direct points over the items, from the first one on, in steps that the items take."""
    values, left = {}, direct
    by_hand = [leaf for leaf in scheme.leaves.values() if leaf.rule.kind == "by-hand"]
    for code, datum in (("1.1", "timely"), ("3.1", "45/50"), ("7.1", "3")):
        _, values[code] = declare(scheme, code, datum)
        left -= values[code]
    for leaf in by_hand:
        assert leaf.max is not None
        datum = str(min(left, leaf.max)).replace(".", ",")
        _, values[leaf.code] = declare(scheme, leaf.code, datum)
        left -= values[leaf.code]
    assert left == 0
    return values


def test_the_published_result_of_vinh_phuc_comes_out_digit_for_digit() -> None:
    scheme = shipped("vinh-phuc-2019")
    assert check(scheme) == []
    cards, rows = {}, {}
    for line in reversed(PUBLISHED.splitlines()):
        _, name, _, direct, survey = line.split(";")
        declared = spread(scheme, Decimal(direct.replace(",", ".")))
        assert len(declared) >= 8
        imported = survey_points(scheme.leaf("9.1"), {}, imported=Decimal(survey.replace(",", ".")))
        values = {code: LeafValue(self_assessed=value, appraised=value) for code, value in declared.items()}
        cards[name] = card(scheme, {**values, "9.1": LeafValue(appraised=imported.points)}, final=True)
        assert self_assessed_total(scheme, declared) == cards[name].self_assessed
    for rank, name in ranking(cards, scheme.ranking):
        parts = [str(part.points) for part in cards[name].parts]
        rows[rank] = ";".join(
            [str(rank), name, str(cards[name].total).replace(".", ","), *(p.replace(".", ",") for p in parts)]
        )
    assert "\n".join(rows[rank] for rank in sorted(rows)) == PUBLISHED


def test_the_rows_of_ca_mau_are_verbatim() -> None:
    scheme = shipped("ca-mau-2013")
    assert [tuple(finding) for finding in check(scheme)] == [
        ("warning", "1", "its items' maxima sum to 7, its printed maximum is 20")
    ]
    plan = scheme.leaf("1.1.4")
    assert plan.label.vi == "Mức độ thực hiện kế hoạch CCHC"
    assert [int(points(plan, rate)) for rate in ("90,01", "90", "70", "69,99")] == [2, 1, 1, 0]
    assert points(scheme.leaf("1.1.1"), "late") == Decimal("0.5")
    values = {code: LeafValue(appraised=leaf.max) for code, leaf in scheme.leaves.items()}
    assert str(card(scheme, values, final=True).total) == "8.00"  # the bonus stands outside the seven points


@pytest.mark.parametrize("path", PERIODS, ids=lambda path: path.stem)
def test_a_shipped_period_opens_with_its_rubrics(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    period = load_period(text)
    jsonschema.validate(parse_yaml(text), period_schema())
    rubrics = {
        group.rubric: load_rubric((path.parent / group.rubric).read_text(encoding="utf-8")) for group in period.groups
    }
    opened = opening(period, rubrics)
    assert opened.rubric_of(period.groups[0].id) == rubrics[period.groups[0].rubric]
    assert PeriodOpening.model_validate_json(opened.model_dump_json(exclude_none=True)) == opened


def test_the_pilot_of_2024_ends_before_30_november() -> None:
    period = load_period((DEPLOY / "periods" / "hanoi-2024-year.yaml").read_text(encoding="utf-8"))
    assert period.deadlines["self-assessment"].due == datetime(2024, 11, 29, 17, tzinfo=UTC)
    assert [agency.id for agency in period.groups[0].agencies] == ["agency-01", "agency-02", "agency-03", "agency-04"]
    assert period.council.carries(6)
    assert not period.council.carries(5)


def pilot(**changes: Any) -> dict[str, Any]:
    text = (DEPLOY / "periods" / "hanoi-2024-year.yaml").read_text(encoding="utf-8")
    raw: dict[str, Any] = json.loads(load_period(text).model_dump_json(exclude_none=True))
    return {**raw, **changes}


AGENCY = {"id": "a", "name": {"vi": "A"}}
GROUP = {"id": "g", "name": {"vi": "G"}, "rubric": "r.yaml", "agencies": [AGENCY]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"period": "register"}, "register"),
        ({"period": "Năm"}, "pattern"),
        ({"deadlines": {"appeal": {"due": "2025-01-01T00:00:00+07:00"}}}, "lacks self-assessment"),
        ({"deadlines": {"self-assessment": {"due": "2025-01-01T00:00:00"}}}, "timezone"),
        (
            {"deadlines": {"self-assessment": {"due": "2025-01-02T00:00:00Z", "last": "2025-01-01T00:00:00Z"}}},
            "before due",
        ),
        ({"span": {"from": "2024-12-31", "to": "2024-01-01"}}, "ends before"),
        ({"groups": [GROUP, GROUP]}, "group g occurs twice"),
        ({"groups": [GROUP, {**GROUP, "id": "h"}]}, "agency a occurs twice"),
        ({"publication": "some"}, "everything"),
        ({"council": {"members": "0"}}, "greater than or equal to 1"),
    ],
)
def test_a_period_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RubricError, match=message) as refused:
        load_period(json.dumps(pilot(**changes)))
    assert refused.value.code == "period-invalid"


def test_an_opening_has_exactly_the_rubrics_that_its_groups_use() -> None:
    period = load_period(json.dumps(pilot(groups=[GROUP])))
    with pytest.raises(RubricError, match=r"r\.yaml was not read"):
        opening(period, {})
    body = json.loads(opening(period, {"r.yaml": shipped("ca-mau-2013")}).model_dump_json(exclude_none=True))
    spare = json.loads(shipped("vinh-phuc-2019").model_dump_json(exclude_none=True))
    with pytest.raises(ValidationError, match="no group uses"):
        PeriodOpening.model_validate({**body, "rubrics": [*body["rubrics"], spare]})
    with pytest.raises(ValidationError, match="no rubric has the id"):
        PeriodOpening.model_validate({**body, "rubrics": [spare]})


HANOI = timezone(timedelta(hours=7))
DUE = datetime(2024, 11, 30, tzinfo=HANOI)


@pytest.mark.parametrize(
    ("at", "days"),
    [
        (datetime(2024, 11, 29, 23, 59, 59, tzinfo=HANOI), 0),
        (datetime(2024, 11, 30, 0, 0, tzinfo=HANOI), 1),
        (datetime(2024, 11, 30, 23, 59, 59, tzinfo=HANOI), 1),
        (datetime(2024, 11, 30, 17, 0, tzinfo=UTC), 2),
        (datetime(2024, 12, 5, 8, 0, tzinfo=HANOI), 6),
    ],
)
def test_lateness_is_counted_in_calendar_days_of_hanoi(at: datetime, days: int) -> None:
    assert days_late(DUE, at) == days


def test_late_by_an_hour_on_the_same_day_is_one_day() -> None:
    due = datetime(2024, 11, 29, 17, tzinfo=HANOI)
    assert days_late(due, due - timedelta(microseconds=1)) == 0
    assert days_late(due, due + timedelta(hours=1)) == 1
