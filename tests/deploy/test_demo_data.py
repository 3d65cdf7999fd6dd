"""The demonstration's material: data for every rule, documents, ballots, the same in every run."""

import hashlib
import json
import socket
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.assessment import read_rows
from deploy.commands.demo import SHORT, demo
from deploy.commands.officer import read_opening
from deploy.demo import ballots, data, ending, evidence, story
from deploy.demo.people import FIELDS
from deploy.demo.plan import PILOT
from deploy.fault import Fault
from shared.rubric import Agency, Leaf, Mode, PeriodOpening, Rubric, appraise, declare, points
from shared.rubric.rules import Branch, ByHand, Count, LateDays, Levels, Proportional, Shares, Steps, YesNo
from shared.tlog.checkpoint import Policy
from shared.tlog.note import log_key

AGENCIES = tuple(data.STRENGTHS)[:4]


@pytest.fixture(scope="module")
def opening() -> PeriodOpening:
    return read_opening(SHORT[0].file)


@pytest.fixture(scope="module")
def rubric(opening: PeriodOpening) -> Rubric:
    return opening.rubric_of(opening.groups[0].id)


def self_assessed(rubric: Rubric) -> dict[str, Leaf]:
    return {code: leaf for code, leaf in rubric.leaves.items() if leaf.mode is Mode.SELF_ASSESSED}


def test_the_agencies_of_the_story_are_those_of_the_period(opening: PeriodOpening) -> None:
    assert [agency.id for agency in opening.groups[0].agencies] == list(AGENCIES) == list(data.LEANINGS)[:4]


@pytest.mark.parametrize("agency", AGENCIES)
def test_every_self_assessed_item_has_valid_data_or_a_claim(rubric: Rubric, agency: str) -> None:
    answers: dict[str, str] = {}
    lines = list(data.lines(rubric, agency))
    assert sorted(line.code for line in lines) == sorted(self_assessed(rubric))
    for line in lines:
        if line.claim:
            assert rubric.leaf(line.code).may_not_apply
            assert not line.data
        else:
            answers[line.code], worth = declare(rubric, line.code, line.data, answers)
            assert 0 <= worth <= (rubric.leaf(line.code).max or 0)


@pytest.mark.parametrize("agency", AGENCIES)
def test_what_appraisers_set_by_themselves_is_valid(rubric: Rubric, agency: str) -> None:
    found = dict(data.direct(rubric, agency))
    assert set(found) == {code for code, leaf in rubric.leaves.items() if leaf.mode is Mode.APPRAISED}
    for code, datum in found.items():
        appraise(rubric, code, datum)


@pytest.mark.parametrize("grade", [0, 39, 50, 62, 79, 80, 100])
def test_any_grade_gives_valid_data_whichever_rule_a_branch_chooses(rubric: Rubric, grade: int) -> None:
    for leaf in rubric.leaves.values():
        if leaf.mode is Mode.SURVEY:
            continue
        choices = [{leaf.rule.on: each} for each in ("yes", "no")] if isinstance(leaf.rule, Branch) else [{}]
        for answers in choices:
            points(leaf, data.datum(leaf, grade, answers), answers)


def test_a_surveyed_item_has_no_data(rubric: Rubric) -> None:
    surveyed = next(leaf for leaf in rubric.leaves.values() if leaf.mode is Mode.SURVEY)
    with pytest.raises(ValueError, match=surveyed.code):
        data.datum(surveyed, 80, {})


def test_the_rubric_has_an_item_of_every_kind_of_rule(rubric: Rubric) -> None:
    kinds = {type(leaf.rule) for leaf in rubric.leaves.values()}
    assert kinds >= {YesNo, Levels, Shares, Steps, Proportional, Count, LateDays, ByHand, Branch}


def test_stronger_agencies_earn_more_and_penalties_fall_with_strength(rubric: Rubric) -> None:
    def total(agency: str) -> Decimal:
        answers: dict[str, str] = {}
        earned = []
        for line in data.lines(rubric, agency):
            if not line.claim:
                answers[line.code], worth = declare(rubric, line.code, line.data, answers)
                earned.append(worth)
        return sum(earned, Decimal(0))

    assert sorted(AGENCIES, key=total) == sorted(AGENCIES, key=lambda agency: data.STRENGTHS[agency])
    late = rubric.leaf("9.2.1")
    assert points(late, data.datum(late, 20, {})) > points(late, data.datum(late, 90, {})) == 0


@pytest.mark.parametrize("agency", AGENCIES)
def test_corrections_take_points_away(rubric: Rubric, agency: str) -> None:
    held = {line.code: line.data for line in data.lines(rubric, agency)}
    found = data.corrections(rubric, agency, story.CORRECTIONS + 1)
    assert len(found) == story.CORRECTIONS + 1
    for code, lower in found.items():
        assert points(rubric.leaf(code), lower) < points(rubric.leaf(code), held[code])


def test_one_claim_is_refused_with_data_that_its_rule_takes(rubric: Rubric) -> None:
    assert data.REFUSED in data.CLAIMS
    assert len(data.CLAIMS) == 2
    assert declare(rubric, data.REFUSED[1], data.REFUSED_DATA)[1] > 0


def test_every_field_has_one_appraiser(rubric: Rubric) -> None:
    assert sorted(code for fields in FIELDS.values() for code in fields) == [field.code for field in rubric.fields]


def test_the_storys_dates_follow_each_other_and_the_deadlines(opening: PeriodOpening) -> None:
    step = opening.deadlines["self-assessment"]
    assert step.last is not None
    assert PILOT.opening < step.due < step.last <= PILOT.closed < PILOT.survey[1] <= PILOT.counted
    assert PILOT.counted < PILOT.council < PILOT.publication < opening.deadlines["publication"].due


@pytest.mark.parametrize("number", range(4))
def test_an_agencys_folder_has_its_file_and_pdfs_that_serve_all_items_but_the_explained(
    opening: PeriodOpening, rubric: Rubric, tmp_path: Path, number: int
) -> None:
    agency: Agency = opening.groups[0].agencies[number]
    rows = read_rows(evidence.write(rubric, agency, tmp_path))
    assert {row.code for row in rows} == set(self_assessed(rubric))
    for row in rows:
        assert bool(row.evidence) != bool(row.explanation)
    files = {file for row in rows for file in row.evidence}
    assert len(files) == len(evidence.SHEAVES)
    for file in files:
        content = file.read_bytes()
        assert content.startswith(b"%PDF-")
        assert content.rstrip().endswith(b"%%EOF")
        assert sum(file in row.evidence for row in rows) > 1


def test_a_document_is_the_same_in_every_run_and_another_for_another_agency(
    opening: PeriodOpening, rubric: Rubric
) -> None:
    first, second, *_ = opening.groups[0].agencies
    lines = list(data.lines(rubric, first.id))[:9]
    hashes = [hashlib.sha256(evidence.document(rubric, agency, lines)).hexdigest() for agency in (first, first, second)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_ballots_answer_every_question_with_its_own_options_or_leave_it_out(rubric: Rubric) -> None:
    for form in rubric.forms:
        options = {question.id: {option.id for option in question.options} for question in form.questions}
        for number in range(60):
            given = ballots.answers(rubric, form, "agency-01", number)
            assert given == ballots.answers(rubric, form, "agency-01", number)
            assert given.keys() == options.keys()
            assert all(option is None or option in options[question] for question, option in given.items())


def test_the_best_option_is_ticked_more_often_for_the_agency_that_is_liked_more(rubric: Rubric) -> None:
    form = next(form for form in rubric.forms if form.id == "citizens")
    question = form.questions[0]

    def best(agency: str) -> int:
        taken = [ballots.answers(rubric, form, agency, number)[question.id] for number in range(ballots.EACH)]
        return taken.count(question.options[0].id)

    assert best("agency-01") > best("agency-02")


def test_the_survey_has_at_least_two_thousand_ballots_in_three_groups(rubric: Rubric) -> None:
    assert len(rubric.respondents) == len(rubric.forms) == 3
    assert len(AGENCIES) * len(rubric.forms) * ballots.EACH >= 2000


def test_the_demonstration_deletes_no_other_deployment(tmp_path: Path) -> None:
    body: dict[str, object] = {"deployment": "parindex.example", "clock": None, "ports": {}}
    (tmp_path / "home.json").write_text(json.dumps(body))
    with pytest.raises(Fault, match=r"holds parindex\.example"):
        demo(tmp_path)
    assert (tmp_path / "home.json").exists()


def test_the_demonstration_deletes_no_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Fault, match="other files"):
        demo(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_an_export_of_another_deployment_is_not_taken_for_the_demonstrations(tmp_path: Path) -> None:
    def left(deployment: str) -> Path:
        folder = tmp_path / deployment
        (folder / ending.ARCHIVE).mkdir(parents=True)
        origin = f"{deployment}/scoring/register"
        (folder / ending.POLICY).write_text(Policy({origin: log_key(b"k" * 32, origin).verifier}).text())
        return folder

    assert ending.is_all_there(left("hanoi.demo"), ".demo")
    assert not ending.is_all_there(left("parindex.example"), ".demo")


def test_the_audits_process_can_reach_no_server() -> None:
    attempt = "import socket, sys; from deploy.demo.offline import refuse; sys.addaudithook(refuse); "
    with socket.create_server(("127.0.0.1", 0)) as server:
        call = f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        done = subprocess.run([sys.executable, "-c", attempt + call], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "this process has no network" in done.stderr
