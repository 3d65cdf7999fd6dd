"""The survey officer's commands: files of tokens that are never overwritten or left half made, progress as a table."""

from io import StringIO
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from rich.console import Console

from deploy.cli import main
from deploy.commands.survey import _kept, progress_table
from deploy.fault import Fault


def form(**changed: Any) -> dict[str, Any]:
    return {
        "form": "citizen-form",
        "invitations": 12,
        "returned": 6,
        "too_few": False,
        "quota": 9,
        "quota_share": "66.67",
        "reminders": 8,
        "reminded": 2,
        **changed,
    }


def test_a_file_of_tokens_is_for_its_owner_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    with _kept(path) as file:
        file.write(b"token\n")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(Fault, match="there already"), _kept(path):
        pass
    assert path.read_bytes() == b"token\n"


def refuse(file: BinaryIO) -> None:
    file.write(b"token\n")
    raise Fault("refused")


def test_a_file_that_could_not_be_filled_is_gone_again(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    with pytest.raises(Fault, match="refused"), _kept(path) as file:
        refuse(file)
    assert not path.exists()
    with pytest.raises(Fault, match="cannot be written"), _kept(tmp_path / "none" / "tokens.csv"):
        pass


def test_progress_is_shown_with_commas_and_never_a_number_below_five() -> None:
    few = form(
        form="official-form", returned="fewer-than-five", too_few=True, quota_share=None, reminders=0, reminded=0
    )
    shown = {"campaign": "autumn", "agencies": [{"agency": "a-01", "name_vi": "Cục Thuế", "forms": [form(), few]}]}
    console = Console(width=120, record=True, file=StringIO())
    console.print(progress_table(shown))
    lines = [line for line in console.export_text().splitlines() if "-form" in line]
    assert [cell.strip() for cell in lines[0].split("│")[1:-1]] == [
        "Cục Thuế", "citizen-form", "12", "6", "9", "66,67", "8 (2×)",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[1].split("│")[1:-1]] == [
        "Cục Thuế", "official-form", "12", "ít hơn 5", "9", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "said"), [("paper.ods", "save it as .csv or .xlsx"), ("none.csv", "cannot be read")])
def test_what_is_no_table_is_refused_before_anything_is_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(
            ["survey", "paper", "poll", str(tmp_path / name), "--period", "p", "--token", "t", "--home", str(tmp_path)]
        )
    assert end.value.code == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
