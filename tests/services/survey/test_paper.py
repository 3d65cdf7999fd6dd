"""Paper ballots: a table's rows, each spending its token, and a fault for each row that does not count."""

import asyncio
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from unicodedata import normalize

import httpx
import pytest
from openpyxl import Workbook
from sqlalchemy import text

from services.survey import api
from services.survey.paper import MAX_PAPERS, Cell, Paper, RowFault, answers, papers
from shared.access import Role
from shared.decider import Rejected
from shared.rubric import Label
from shared.sheet import WORKBOOK_TYPE, Column, Sheet, csv_text, write
from tests.services.survey.conftest import Survey
from tests.services.survey.samples import CLOSES, FORM, OTHER_FORM
from tests.services.survey.steps import BASE, cast, opened, tokens

PATH = f"{BASE}/campaigns/autumn/paper"


def paper(**cells: str) -> Paper:
    return Paper(2, "T", "", tuple(Cell(name, f"{name}2", value) for name, value in cells.items()))


def test_a_tables_rows_are_read_by_their_headings() -> None:
    table = [
        ["Q1", " Token ", "agency", "", "q2"],
        ["a", "T1", "a-01", "", ""],
        ["", "", ""],
        ["", "T2"],
        ["", "", "x"],
    ]
    assert papers(table) == [
        Paper(2, "T1", "a-01", (Cell("q1", "A2", "a"),)),
        Paper(4, "T2", "", ()),
        Paper(5, "", "x", ()),
    ]


@pytest.mark.parametrize(
    ("table", "cell"),
    [
        ([], "A1"),
        ([["q1"], ["a"]], "A1"),
        ([["token", "q1", "Q1"], ["T", "a", "a"]], "C1"),
        ([["token", "", "q1"], ["T", "a", "a"]], "B2"),
        ([["token"], ["T", "a"]], "B2"),
        ([["token"]], "A2"),
        ([["token"], *([["T"]] * (MAX_PAPERS + 1))], "A2"),
    ],
)
def test_a_table_that_is_not_one_of_ballots_is_refused_with_its_place(table: list[list[str]], cell: str) -> None:
    with pytest.raises(Rejected, match="paper-invalid") as refusal:
        papers(table)
    assert refusal.value.field == cell


@pytest.mark.parametrize("written", ["b", "B", "Một phần", "MỘT  PHẦN", normalize("NFD", "Một phần"), "partly"])
def test_an_answer_is_the_options_id_or_its_label(written: str) -> None:
    question = FORM.questions[0]
    option = question.options[1].model_copy(update={"label": Label(vi="Một phần", en="Partly")})
    question = question.model_copy(update={"options": (question.options[0], option, question.options[2])})
    form = FORM.model_copy(update={"questions": (question, FORM.questions[1])})
    assert answers(form, paper(q1=written)) == {"q1": "b"}


def test_a_cell_that_says_blank_is_unanswered_and_so_is_an_empty_row() -> None:
    assert answers(FORM, paper(q1="blank", q2="a")) == {"q1": None, "q2": "a"}
    assert answers(FORM, paper()) == {}


def test_what_is_no_question_or_no_option_is_a_fault_of_its_cell() -> None:
    assert answers(OTHER_FORM, paper(q1="a", q2="a")) == RowFault(2, "question-unknown", "q22")
    assert answers(FORM, paper(q1="z")) == RowFault(2, "option-unknown", "q12")


async def uploaded(survey: Survey, rows: Sequence[Sequence[str]], workbook: bool = False) -> httpx.Response:
    """Send a table whose first row are the headings."""
    sheet = Sheet("Phiếu", [Column(heading) for heading in rows[0]], rows[1:])
    data, kind = (write([sheet]), WORKBOOK_TYPE) if workbook else (csv_text(sheet).encode(), "text/csv; charset=utf-8")
    headers = survey.bearer(Role.SURVEY_OFFICER) | {"Content-Type": kind}
    return await survey.client.post(PATH, content=data, headers=headers)


def faults(answer: httpx.Response) -> list[tuple[int, str, str | None]]:
    return [(error["row"], error["code"], error["cell"]) for error in answer.json()["errors"]]


async def stored(survey: Survey, relation: str) -> list[Any]:
    async with survey.service.engine.connect() as connection:
        return list((await connection.execute(text(f"SELECT * FROM {relation} ORDER BY 1, 2, 3, 4"))).all())  # noqa: S608


@pytest.mark.parametrize("workbook", [False, True])
async def test_the_rows_of_a_table_count_and_its_repeat_counts_nothing(survey: Survey, workbook: bool) -> None:
    await opened(survey)
    citizens, (official,) = await tokens(survey, 3), await tokens(survey, 1, OTHER_FORM.id, "a-02")
    table = [
        ["token", "agency", "q1", "q2"],
        [citizens[0], "a-01", "a", "b"],
        [citizens[1].lower(), "", "Một phần", ""],
        [f"{citizens[2][:13]} {citizens[2][13:]}", "", "", ""],
        [official, "a-02", "b", ""],
    ]
    before = len(await survey.log())
    answer = await uploaded(survey, table, workbook)
    assert (answer.status_code, answer.json()) == (201, {"rows": 4, "counted": 4, "errors": []})
    boxes = {(box.agency, box.form): box.current for box in await stored(survey, "box")}
    assert boxes == {
        ("a-01", FORM.id): '[3,{"q1":{"a":1,"b":1,"blank":1},"q2":{"b":1,"blank":2}}]',
        ("a-02", OTHER_FORM.id): '[1,{"q1":{"b":1}}]',
    }
    again = await uploaded(survey, table, workbook)
    assert (again.status_code, again.json()["counted"]) == (200, 0)
    assert faults(again) == [(row, "token-spent", None) for row in (2, 3, 4, 5)]
    assert {(box.agency, box.form): box.current for box in await stored(survey, "box")} == boxes
    assert len(await survey.log()) == before
    assert "traceresponse" not in again.headers


async def test_a_row_at_fault_is_named_and_the_others_count(survey: Survey) -> None:
    await opened(survey)
    await opened(survey, campaign="winter", group="mixed")
    good, spent, double, other, option, question = await tokens(survey, 6)
    (official,) = await tokens(survey, 1, OTHER_FORM.id)
    assert (await cast(survey, spent, q1="a")).status_code == 201
    issue = {"agency": "m-01", "form": FORM.id, "count": 1}
    headers = survey.bearer(Role.SURVEY_OFFICER)
    elsewhere = await survey.client.post(f"{BASE}/campaigns/winter/invitations", json=issue, headers=headers)
    answer = await uploaded(
        survey,
        [
            ["agency", "token", "q1", "q2", "q9"],
            ["", good, "a", "a", ""],
            ["", spent, "a", "a", ""],
            ["", double, "b", "", ""],
            ["", double, "b", "", ""],
            ["a-02", other, "a", "a", ""],
            ["", option, "a", "z", ""],
            ["", question, "a", "", "a"],
            ["", official, "a", "a", ""],
            ["", "0" * 26, "a", "a", ""],
            ["", "", "a", "a", ""],
            ["", elsewhere.json()["tokens"][0], "a", "", ""],
        ],
    )
    assert answer.status_code == 201
    assert (answer.json()["rows"], answer.json()["counted"]) == (11, 2)
    assert faults(answer) == [
        (3, "token-spent", None),
        (5, "token-spent", None),
        (6, "agency-differs", None),
        (7, "option-unknown", "D7"),
        (8, "question-unknown", "E8"),
        (9, "question-unknown", "D9"),
        (10, "token-unknown", None),
        (11, "token-unknown", None),
        (12, "token-unknown", None),
    ]
    for token in (good, spent, double, other, option, question, official, "0" * 26):
        assert token not in answer.text
    assert await survey.ballots() == 3
    # what did not count is still to be cast
    for token in (other, option, question, official):
        assert (await cast(survey, token, q1="a")).status_code == 201


async def test_of_two_tables_and_a_ballot_with_the_same_tokens_each_token_counts_once(survey: Survey) -> None:
    await opened(survey)
    found = await tokens(survey, 40)
    forth = [["token", "q1"], *([token, "a"] for token in found)]
    back = [["token", "q1"], *([token, "b"] for token in reversed(found))]
    results = await asyncio.gather(
        uploaded(survey, forth), uploaded(survey, back), *(cast(survey, token, q1="c") for token in found[::4])
    )
    counted = sum(result.json()["counted"] for result in results[:2])
    assert counted + sum(result.status_code == 201 for result in results[2:]) == 40
    assert await survey.ballots() == 40


async def test_a_table_counts_whole_or_not_at_all(survey: Survey) -> None:
    await opened(survey)
    found = await tokens(survey, 2) + await tokens(survey, 1, OTHER_FORM.id)
    fail = f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$;
        CREATE TRIGGER fail AFTER UPDATE ON box FOR EACH ROW
            WHEN (NEW.form = '{OTHER_FORM.id}') EXECUTE FUNCTION fail();
    """
    async with survey.admin.begin() as connection:
        for statement in fail.strip().split(";\n"):
            await connection.execute(text(statement.strip().removesuffix(";")))
    table = [["token", "q1"], *([token, "a"] for token in found)]
    answer = await uploaded(survey, table)
    assert (answer.status_code, answer.json()["code"]) == (503, "ledger-unavailable")
    assert await survey.ballots() == 0
    assert not any(row.spent for row in await stored(survey, "token"))
    async with survey.admin.begin() as connection:
        await connection.execute(text("DROP TRIGGER fail ON box"))
    assert (await uploaded(survey, table)).json()["counted"] == 3


async def test_paper_counts_within_the_campaigns_span_only(survey: Survey) -> None:
    await opened(survey)
    table = [["token", "q1"], *([token, "a"] for token in await tokens(survey, 2))]
    await survey.play(CLOSES)
    answer = await uploaded(survey, table)
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign-closed")
    assert not any(row.spent for row in await stored(survey, "token"))


@pytest.mark.parametrize(
    ("kind", "content", "status", "code", "field"),
    [
        ("application/json", b"{}", 422, "body-invalid", "Content-Type"),
        ("text/csv", b"\xff\xfe", 422, "sheet-unreadable", None),
        ("text/csv", b"", 422, "paper-invalid", "A1"),
        (WORKBOOK_TYPE, b"PK", 422, "sheet-unreadable", None),
        ("text/csv", b"token\n" + b"x\n" * 600_000, 413, "body-too-large", None),
    ],
)
async def test_what_is_no_table_of_ballots_is_refused(
    survey: Survey, kind: str, content: bytes, status: int, code: str, field: str | None
) -> None:
    await opened(survey)
    headers = survey.bearer(Role.SURVEY_OFFICER) | {"Content-Type": kind}
    answer = await survey.client.post(PATH, content=content, headers=headers)
    body = answer.json()
    assert (answer.status_code, body["code"], body.get("field")) == (status, code, field)


async def test_a_formula_in_a_workbook_is_refused_with_its_cell(survey: Survey) -> None:
    await opened(survey)
    book, out = Workbook(), BytesIO()
    book.worksheets[0].append(["token", "q1"])
    book.worksheets[0].append(["T", "=A1"])
    book.save(out)
    headers = survey.bearer(Role.SURVEY_OFFICER) | {"Content-Type": WORKBOOK_TYPE}
    answer = await survey.client.post(PATH, content=out.getvalue(), headers=headers)
    assert (answer.json()["code"], answer.json()["field"]) == ("sheet-formula", "B2")


async def test_only_the_survey_officer_counts_paper_of_a_known_campaign(survey: Survey) -> None:
    await opened(survey)
    for role in Role:
        headers = survey.bearer(role) | {"Content-Type": "text/csv"}
        answer = await survey.client.post(PATH, content=b"token\nT\n", headers=headers)
        assert (answer.status_code == 403) == (role is not Role.SURVEY_OFFICER), role
    headers = survey.bearer(Role.SURVEY_OFFICER) | {"Content-Type": "text/csv"}
    for path, code in (
        ("2031-year/campaigns/autumn", "period-unknown"),
        ("2024-year/campaigns/no", "campaign-unknown"),
    ):
        answer = await survey.client.post(f"/periods/{path}/paper", content=b"token\nT\n", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, code)


def test_every_fault_of_a_row_has_a_title_in_both_languages() -> None:
    for code in ("token-unknown", "token-spent", "agency-differs", "question-unknown", "option-unknown"):
        assert api.PROBLEMS[code].title_en != api.PROBLEMS[code].title_vi
