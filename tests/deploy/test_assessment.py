"""The CSV that an officer of an agency fills in, with numbers as people here write them."""

from pathlib import Path

import pytest

from deploy.assessment import read_rows
from shared.rubric import load_rubric, points
from tests.shared.rubric.build import leaf

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "text", ['code,data,evidence,explanation\n1.1,"92,57",,a\n', "code;data;evidence;explanation\n1.1;92,57%;;a\n"]
)
def test_a_decimal_comma_is_read_whatever_parts_the_columns(tmp_path: Path, text: str) -> None:
    file = tmp_path / "self.csv"
    file.write_text("\ufeff" + text, encoding="utf-8")
    (row,) = read_rows(file)
    assert str(points(leaf({"kind": "proportional"}, "2"), row.data)) == "1.8514"


def test_half_a_point_is_half_a_point_in_both_ways(tmp_path: Path) -> None:
    scheme = load_rubric((ROOT / "deploy/rubrics/vinh-phuc-2019.yaml").read_text(encoding="utf-8"))
    file = tmp_path / "self.csv"
    file.write_text("code;data;evidence;explanation\n1.2;0,5;;a\n2.1;0.5;;a\n", encoding="utf-8")
    assert [str(points(scheme.leaf(row.code), row.data)) for row in read_rows(file)] == ["0.5", "0.5"]
