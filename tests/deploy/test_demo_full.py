"""The full demonstration's material: both periods of a year, eleven agencies in two groups, papers and exports."""

import csv
import io
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.assessment import read_rows
from deploy.commands.demo import FULL, Act
from deploy.commands.officer import read_opening
from deploy.demo import ballots, booth, data, evidence, exports, story, whole
from deploy.demo.people import FIELDS
from shared.rubric import Mode, PartName, PeriodOpening, Rubric, appraise, check, declare, points
from shared.sheet import read_csv

SEVEN = (
    "Bộ Tư lệnh Thủ đô Hà Nội",
    "Tòa án nhân dân thành phố Hà Nội",
    "Viện Kiểm sát nhân dân thành phố Hà Nội",
    "Cục Thi hành án dân sự thành phố Hà Nội",
    "Cục Thống kê thành phố Hà Nội",
    "Cục Quản lý thị trường thành phố Hà Nội",
    "Chi nhánh Ngân hàng Chính sách xã hội thành phố Hà Nội",
)
OPENINGS = {act.file: read_opening(act.file) for act in FULL}
SIX_MONTHS, YEAR = OPENINGS.values()
CASES = [
    pytest.param(act, agency.id, OPENINGS[act.file].rubric_of(group.id), id=f"{act.file.stem}-{agency.id}")
    for act in FULL
    for group in OPENINGS[act.file].groups
    for agency in group.agencies
]


@pytest.fixture(scope="module")
def added() -> Rubric:
    return YEAR.rubric_of("added")


def test_the_year_has_both_its_periods_with_the_same_agencies_in_two_groups() -> None:
    assert [opening.kind for opening in (SIX_MONTHS, YEAR)] == ["six-month", "year"]
    assert SIX_MONTHS.groups == YEAR.groups
    first, second = YEAR.groups
    assert len(first.agencies) == 4
    assert tuple(agency.name.vi for agency in second.agencies) == SEVEN
    assert [each.id for each in (*first.agencies, *second.agencies)] == list(data.STRENGTHS) == list(data.LEANINGS)


def test_each_group_has_a_rubric_of_its_own_without_a_fault_that_says_it_is_not_the_official_one() -> None:
    assert len({group.rubric for group in YEAR.groups}) == len(YEAR.groups) == 2
    for rubric in YEAR.rubrics:
        assert not check(rubric)
        assert not rubric.official
        assert "Minh họa, không phải phụ lục chính thức" in rubric.note.vi


def test_the_added_rubric_weighs_appraisal_and_survey_fifty_each(added: Rubric) -> None:
    sums = {part: Decimal(0) for part in PartName}
    for leaf in added.leaves.values():
        sums[leaf.part] += leaf.max or 0
    assert sums[PartName.APPRAISAL] == sums[PartName.SURVEY] == 50
    assert len(added.leaves) == 39
    assert sorted(code for fields in FIELDS.values() for code in fields) == [field.code for field in added.fields]


@pytest.mark.parametrize(("act", "agency", "rubric"), CASES)
def test_all_that_an_agency_declares_and_appraisers_set_is_valid(act: Act, agency: str, rubric: Rubric) -> None:
    answers: dict[str, str] = {}
    lines = list(data.lines(rubric, agency, act.plan.shift))
    own = [leaf.code for leaf in rubric.leaves.values() if leaf.mode is Mode.SELF_ASSESSED]
    assert sorted(line.code for line in lines) == sorted(own)
    for line in lines:
        if not line.claim:
            answers[line.code], _ = declare(rubric, line.code, line.data, answers)
    for code, datum in data.direct(rubric, agency, act.plan.shift):
        appraise(rubric, code, datum)


@pytest.mark.parametrize(("act", "agency", "rubric"), CASES)
def test_corrections_take_points_away_in_each_period(act: Act, agency: str, rubric: Rubric) -> None:
    shift = act.plan.shift
    held = {line.code: line.data for line in data.lines(rubric, agency, shift)}
    found = data.corrections(rubric, agency, story.CORRECTIONS, shift)
    assert len(found) == story.CORRECTIONS
    for code, lower in found.items():
        assert points(rubric.leaf(code), lower) < points(rubric.leaf(code), held[code])


@pytest.mark.parametrize("act", FULL, ids=lambda act: act.file.stem)
def test_the_dates_follow_each_other_and_the_deadlines(act: Act) -> None:
    plan, deadlines = act.plan, OPENINGS[act.file].deadlines
    step = deadlines["self-assessment"]
    assert plan.opening < step.due <= step.closes <= plan.closed < plan.survey[1] <= plan.counted
    assert plan.counted < plan.council < plan.publication < deadlines["publication"].due


def test_the_second_period_begins_after_the_first_is_published() -> None:
    first, second = (act.plan for act in FULL)
    assert first.publication < second.opening


def test_every_group_of_the_year_has_a_campaign_with_enough_ballots_and_the_six_months_none() -> None:
    first, second = (act.plan for act in FULL)
    assert not first.campaigns
    assert set(second.campaigns) == {group.id for group in YEAR.groups}
    least = [getattr(leaf.rule, "least", 0) for rubric in YEAR.rubrics for leaf in rubric.leaves.values()]
    assert 0 < max(least) < second.ballots


def test_the_council_has_a_position_for_each_seat_and_the_two_votes_end_differently() -> None:
    assert len(whole.POSITIONS) == YEAR.council.members
    assert YEAR.council.decides_result
    assert YEAR.council.carries(whole.IN_FAVOUR[0])
    assert not YEAR.council.carries(whole.IN_FAVOUR[1])


def test_those_who_are_asked_to_explain_have_corrected_items_and_are_of_both_groups() -> None:
    groups = {agency.id: group.id for group in YEAR.groups for agency in group.agencies}
    asked = (story.RAISED, whole.ACCEPTED, whole.ASKED_TWICE, whole.SILENT)
    assert {groups[agency] for agency in asked} == set(groups.values())


def test_the_estimated_figure_is_declared_by_its_agency_and_not_taken_over() -> None:
    agency, code = whole.ESTIMATED
    assert agency != whole.TAKER
    assert code in {line.code for line in data.lines(YEAR.rubric_of("pilot"), agency)}


def test_an_agencys_documents_bear_the_year_of_their_period(tmp_path: Path) -> None:
    rubric, agency = YEAR.rubric_of("added"), YEAR.groups[1].agencies[0]
    plan = FULL[1].plan
    rows = read_rows(evidence.write(rubric, agency, tmp_path, plan.shift, plan.documents))
    assert all(bool(row.evidence) != bool(row.explanation) for row in rows)
    files = {file for row in rows for file in row.evidence}
    assert len(files) == len(evidence.SHEAVES)
    assert all(f"D:{plan.documents:%Y%m%d}".encode() in file.read_bytes() for file in files)


def test_one_paper_ballot_is_keyed_in_wrong_and_then_mended(tmp_path: Path, added: Rubric) -> None:
    form = added.forms[-1]
    printed = [
        ballots.Ballot(f"token-{number}", ballots.answers(added, form, "agency-11", number)) for number in range(6)
    ]
    papers = booth.Papers(tmp_path, "agency-11", form.id, printed)
    table = read_csv(papers.keyed_in(fault=3)[0])
    assert table[0] == ["token", "agency", *(question.id for question in form.questions)]
    assert [booth.WRONG in row for row in table[1:]] == [False, False, False, True, False, False]
    mended = list(csv.DictReader(io.StringIO(papers.mended(3)[0].decode())))
    assert [row["token"] for row in mended] == ["token-3"]
    assert {code: value or None for code, value in mended[0].items() if code not in ("token", "agency")} == dict(
        printed[3].answers
    )


def test_each_period_is_taken_home_in_every_format_and_no_file_is_written_twice() -> None:
    def wanted(opening: PeriodOpening, before: str | None, minutes: bool) -> list[str]:
        return [each.file for each in (*exports.results(opening, before), *exports.papers(opening, minutes))]

    half, year = wanted(SIX_MONTHS, None, False), wanted(YEAR, SIX_MONTHS.period, True)
    assert len(set(half + year)) == len(half) + len(year)
    assert not any("comparison" in file or "minutes" in file for file in half)
    assert {f"{YEAR.period}/comparison.xlsx", f"{YEAR.period}/minutes.docx", f"{YEAR.period}/minutes.pdf"} <= set(year)
    for agency in data.STRENGTHS:
        assert f"{YEAR.period}/reports/{agency}.docx" in year
        assert f"{SIX_MONTHS.period}/agencies/{agency}.csv" in half
