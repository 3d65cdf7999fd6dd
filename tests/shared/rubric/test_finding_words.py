"""Every finding of `check` has its Vietnamese."""

import ast
from pathlib import Path

import pytest

from shared.rubric import Rubric, check
from shared.rubric.finding_words import WORDS, in_vietnamese
from tests.shared.rubric.test_check import ERRORS, SURVEYS, WARNINGS

FOLDER = Path(__file__).parents[3] / "shared" / "rubric"


def written(message: ast.expr) -> str:
    """A message as the code writes it, with `{}` for what is filled in."""
    values = message.values if isinstance(message, ast.JoinedStr) else [message]
    return "".join(str(value.value) if isinstance(value, ast.Constant) else "{}" for value in values)


def test_every_message_of_the_code_is_in_the_table() -> None:
    found = set()
    for name in ("check.py", "check_rules.py"):
        for node in ast.walk(ast.parse((FOLDER / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Fault":
                found.add(written(node.args[2]))
    assert found - {"{}"} - {english.replace("#", "") for english in WORDS} == set()


@pytest.mark.parametrize("scheme", [case[1] for case in (*ERRORS, *WARNINGS, *SURVEYS)])
def test_every_finding_of_the_faulty_rubrics_is_told_in_vietnamese(scheme: Rubric) -> None:
    for finding in check(scheme):
        assert in_vietnamese(finding.message) != finding.message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "its items' maxima sum to 99.99, its printed maximum is 100",
            "tổng điểm tối đa các mục là 99,99, văn bản ghi 100",
        ),
        ("the code 1.1 occurs twice", "mã 1.1 xuất hiện hai lần"),
        ("the rubric has no form a, question q9", "bộ tiêu chí không có phiếu a, câu hỏi q9"),
        ("no step covers what lies after 90.5", "không bậc nào chứa khoảng sau 90,5"),
        ("the rubric has no part bonus", "bộ tiêu chí không có phần bonus"),
    ],
)
def test_figures_and_names_are_kept(message: str, words: str) -> None:
    assert in_vietnamese(message) == words
