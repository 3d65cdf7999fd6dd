"""`parindex rubric`: check with lines, diff, export and import as an officer types them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import application
from deploy.fault import Fault
from deploy.rubric_book import exported
from shared.rubric import load_rubric

ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "rubrics" / "ca-mau-2013.yaml"
TEXT = BASE.read_text(encoding="utf-8")


def run(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(), ["rubric", *map(str, arguments)])


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return tmp_path / "other.yaml"


FAULTY: list[tuple[str, str, str, str, int]] = [
    # what the file says, what it says instead, the place, the finding, exit code
    ('points: "1"}', 'points: "0.9"}', "1.1.1", "gives at most 0.9", 0),
    ('max: "5"', 'max: "4.99"', "1.1", "sum to 5, its printed maximum is 4.99", 0),
    ('max: "7"', 'max: "7.03"', "parts.appraisal", "sum to 7, the part's maximum is 7.03", 0),
    ("Báo cáo CCHC}", "Báo cáo như tại mục 9.9.9}", "1.2", "names 9.9.9", 0),
    ('{above: "90"', '{above: "91"', "1.1.4", "no step covers what lies after 90", 1),
    ('{above: "90"', '{above: "80"', "1.1.4", "two steps overlap at 80", 1),
    ('code: "1.2.2"', 'code: "1.2.1"', "1.2.1", "occurs twice", 1),
    ("part: bonus", "part: penalty", "B.1", "no part penalty", 1),
]


@pytest.mark.parametrize(("says", "instead", "place", "finding", "code"), FAULTY, ids=[each[3] for each in FAULTY])
def test_check_names_line_place_and_path(
    other: Path, says: str, instead: str, place: str, finding: str, code: int
) -> None:
    other.write_text(TEXT.replace(says, instead, 1), encoding="utf-8")
    result = run("check", other)
    assert (1 if result.exception else 0) == code
    line = next(line for line in result.output.splitlines() if finding in line)
    cells = [cell.strip() for cell in line.split("│")[1:-1]]
    lines = other.read_text(encoding="utf-8").splitlines()
    assert cells[2] == place
    assert (f'"{place}"' in lines[int(cells[1]) - 1]) or place.rpartition(".")[2] in lines[int(cells[1]) - 1]
    assert cells[3].startswith(("fields[", "parts."))


def test_check_names_every_fault_of_form_with_its_line(other: Path) -> None:
    other.write_text(TEXT.replace('max: "5"', 'max: "năm"').replace("kind: count", "kind: counts"), encoding="utf-8")
    result = run("check", other)
    assert isinstance(result.exception, Fault)
    assert "2 errors" in str(result.exception)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line]
    assert [row[1] for row in rows if row[1]] == [str(TEXT.splitlines().index('        max: "5"') + 1), "103"]


def test_check_of_a_sound_file_says_so() -> None:
    result = run("check", ROOT / "deploy" / "rubrics" / "vinh-phuc-2019.yaml")
    assert (result.exit_code, result.output.strip().endswith("can be computed, 0 warnings")) == (0, True)


def test_diff_of_equal_rubrics_is_silent_about_layout(other: Path) -> None:
    other.write_text(TEXT.replace("# Rows", "# Other rows"), encoding="utf-8")
    result = run("diff", BASE, other)
    assert (result.exit_code, "giống nhau / are equal" in result.output) == (0, True)


def test_diff_tells_every_change_in_both_languages(other: Path) -> None:
    changed = TEXT.replace('points: "0.5"}', 'points: "0.25"}', 1).replace('scale: "7"', 'scale: "8"')
    other.write_text(changed.replace("Ban hành kế hoạch CCHC năm", "'Ban hành kế hoạch [sớm]'"), encoding="utf-8")
    result = run("diff", BASE, other)
    assert result.exit_code == 1
    for words in (
        "đổi / changed", "total.scale", "quy tắc chấm / rule", "tên / label", "Ban hành kế hoạch [sớm]",
        "Ban hành kịp thời: 1 | Ban hành không kịp thời: 0,25", "3 khác biệt / differences",
    ):  # fmt: skip
        assert words in " ".join(result.output.split()).replace(" │ │ │ │ ", " ") or words in result.output, words


def test_export_and_import_give_the_file_again(tmp_path: Path, other: Path) -> None:
    book = tmp_path / "book.xlsx"
    assert run("export", BASE, book).exit_code == 0
    assert book.read_bytes() == exported(load_rubric(TEXT))
    assert run("import", book, BASE, other).exit_code == 0
    assert other.read_text(encoding="utf-8") == TEXT


def test_an_import_with_a_fault_writes_nothing(tmp_path: Path, other: Path) -> None:
    book = tmp_path / "book.xlsx"
    book.write_bytes(exported(load_rubric(TEXT.replace("1.2.2", "1.2.9"))))
    result = run("import", book, BASE, other)
    assert isinstance(result.exception, Fault)
    assert "item-unknown" in result.output
    assert list(tmp_path.iterdir()) == [book]


@pytest.mark.parametrize("arguments", [("check", "no.yaml"), ("export", "no.yaml", "x.xlsx"), ("diff", "no", "no")])
def test_a_file_that_is_not_there_is_one_line(arguments: tuple[str, ...]) -> None:
    assert "cannot be read" in str(run(*arguments).exception)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    assert "cannot be written" in str(run("export", BASE, tmp_path / "none" / "x.xlsx").exception)
