"""Paper ballots keyed in as a table: its headings, its rows, what is wrong with one; no fault tells a token."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from shared.decider import Rejected
from shared.rubric import Form
from shared.rubric.survey import BLANK
from shared.sheet import place

TOKEN: Final = "token"  # noqa: S105 - the heading of a column
AGENCY: Final = "agency"
MAX_PAPERS: Final = 2_000
"""Rows of one table: they are one transaction."""


class Cell(NamedTuple):
    """An answer as it was keyed in: the question that its column names, where it stands, and what is there."""

    question: str
    at: str
    text: str


class Paper(NamedTuple):
    """One row: its number in the file, whose headings are row 1, its token, the agency if it names one, its answers."""

    row: int
    token: str
    agency: str
    cells: tuple[Cell, ...]


class RowFault(NamedTuple):
    """Why a row does not count: a code of the service's table, and the cell where it is one cell's."""

    row: int
    code: str
    cell: str | None = None


def papers(table: Sequence[Sequence[str]]) -> list[Paper]:
    """The rows of a table with the columns `token`, perhaps `agency`, and one for each question, by its id.

    Rows without anything in them are passed over. Rejected `paper-invalid`, with the cell at fault.
    """
    headings = [_plain(heading) for heading in (table[0] if table else ())]
    if TOKEN not in headings:
        raise _invalid("the first row names the columns: token, perhaps agency, and each question by its id", "A1")
    for column, heading in enumerate(headings):
        if heading in headings[:column] and heading:
            raise _invalid("a column stands there twice", place(0, column))
    found = []
    for number, row in enumerate(table[1:], 1):
        if not any(cell.strip() for cell in row):
            continue
        for column, cell in enumerate(row):
            if cell.strip() and (column >= len(headings) or not headings[column]):
                raise _invalid("a cell stands under no heading", place(number, column))
        named = {heading: (row[column].strip(), column) for column, heading in enumerate(headings) if column < len(row)}
        cells = tuple(
            Cell(heading, place(number, column), text)
            for heading, (text, column) in named.items()
            if heading not in (TOKEN, AGENCY, "") and text
        )
        found.append(Paper(number + 1, named.get(TOKEN, ("", 0))[0], named.get(AGENCY, ("", 0))[0], cells))
    if not 1 <= len(found) <= MAX_PAPERS:
        raise _invalid(f"a table has 1 to {MAX_PAPERS} ballots, this one {len(found)}", "A2")
    return found


def answers(form: Form, paper: Paper) -> Mapping[str, str | None] | RowFault:
    """The option for each question answered: the cell has the option's id or its label; or what is wrong.

    A column of a question that only other forms ask is empty in the row.
    """
    questions = {_plain(question.id): question for question in form.questions}
    given: dict[str, str | None] = {}
    for question, at, text in paper.cells:
        if question not in questions:
            return RowFault(paper.row, "question-unknown", at)
        known: dict[str, str | None] = {BLANK: None}
        for option in questions[question].options:
            for spelling in (option.label.en, option.label.vi):
                known.setdefault(_plain(spelling), option.id)
        known |= {_plain(option.id): option.id for option in questions[question].options}
        if _plain(text) not in known:
            return RowFault(paper.row, "option-unknown", at)
        given[questions[question].id] = known[_plain(text)]
    return given


def _plain(text: str) -> str:
    """A text as it counts: diacritics composed, without case, spaces single."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _invalid(message: str, cell: str) -> Rejected:
    return Rejected("paper-invalid", message, cell)
