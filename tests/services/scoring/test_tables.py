"""The tables of the exports: the official layout, what is withheld, what came and went since an earlier period."""

import io
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from services.scoring.formula import CURRENT, FORMULAS
from services.scoring.replay import replay
from services.scoring.results import all_results, live_results, published_results
from services.scoring.tables import (
    PROVISIONAL,
    WITHHELD,
    Results,
    Table,
    agency_table,
    comparison_tables,
    ranking_table,
    summary_table,
)
from services.scoring.views import Look, Published
from shared.decider import Rejected
from shared.events.scoring import CardPublished
from shared.rubric import Rubric
from shared.sheet import csv_text, read_csv, write
from tests.services.scoring.samples import PILOT, Story, whole_story

STORY = whole_story()


def published(story: Story, *, whole: bool = False) -> Results:
    result = replay(story.logs, story.heads)
    cards = {
        row.agency: CardPublished(agency=row.agency, row=row, card=result.cards[row.agency]) for row in result.table
    }
    found = Published(None, cards)
    return (all_results if whole else published_results)(found, story.states.period)


def live(story: Story) -> Results:
    cards = {
        agency: FORMULAS[CURRENT].card(story.states, agency, False).model_dump_json(exclude_none=True)
        for agency in story.states.period.agencies
    }
    return live_results(Look(story.states, {}, story.now, frozenset(), cards))


def rows(table: Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table.json()["rows"]
    return found


def changed_rubric() -> Rubric:
    """Item 2.2 is gone, 2.3 is new, 2.1 has another maximum."""
    body = PILOT.model_dump(by_alias=True)
    first, second = body["fields"][1]["criteria"]
    body["fields"][1]["criteria"] = [{**first, "max": "5"}, {**second, "code": "2.3"}]
    return Rubric.model_validate(body)


def earlier() -> Story:
    """A period under the changed rubric, in which a-02 and a-09 took part."""
    story = Story().open({"central": changed_rubric()}, {"a-02": "central", "a-09": "central"})
    story.appraise("a-02", "2.1", "3")
    story.finalise(["a-02", "a-09"])
    return story


def test_the_ranking_has_a_row_for_each_agency_with_its_parts() -> None:
    table = ranking_table(published(STORY))
    assert [heading for _, heading, _ in table.columns][:3] == ["STT", "Nhóm", "Cơ quan"]
    assert rows(table)[0] == {
        "rank": 1, "group": "central", "agency": "Cơ quan a-01", "self_assessed": "8.25", "appraisal": "9.00",
        "survey": "8.50", "total": "17.50", "index": "87.50",
    }  # fmt: skip


def test_an_agencys_table_has_the_official_columns() -> None:
    table = agency_table(published(STORY), "a-01")
    assert [heading for _, heading, _ in table.columns] == [
        "STT", "Lĩnh vực/Tiêu chí/Tiêu chí thành phần", "Điểm tối đa", "Tự đánh giá", "Thẩm định", "Điều tra XHH",
        "Điểm đạt được", "Chỉ số", "Ghi chú",
    ]  # fmt: skip
    lines = {row.get("code", row["label"]): row for row in rows(table)}
    assert list(lines) == ["1", "1.1", "1.1.1", "1.1.2", "2", "2.1", "2.2", "3", "3.1", "3.2", "Tổng cộng"]
    assert lines["1.1.2"] == {
        "code": "1.1.2", "label": "Thực hiện kế hoạch", "maximum": "3.00", "self_assessed": "2.50",
        "appraised": "2.50", "achieved": "2.50", "index": "83.33",
    }  # fmt: skip
    assert lines["3"] == {
        "code": "3", "label": "Tác động", "maximum": "10.00", "self_assessed": "0.00", "survey": "8.50",
        "achieved": "8.50", "index": "85.00",
    }  # fmt: skip
    assert lines["Tổng cộng"] == {
        "label": "Tổng cộng", "maximum": "20.00", "self_assessed": "8.25", "appraised": "9.00", "survey": "8.50",
        "achieved": "17.50", "index": "87.50",
    }  # fmt: skip


def test_what_the_council_fixed_what_does_not_apply_and_what_is_open_is_noted() -> None:
    story = Story().open({"central": PILOT}, {"a-01": "central"})
    story.adjust("a-01", "2.1", "3.25")
    story.appraise("a-01", "1.1.1", None)
    notes = {row.get("code"): row.get("note") for row in rows(agency_table(live(story), "a-01"))}
    assert notes["2.1"] == "Hội đồng thẩm định: 3,25"
    assert notes["1.1.1"] == "Không áp dụng"
    assert notes["1.1.2"] == "Chưa có điểm"
    assert notes["2"] == "Còn 1 tiêu chí chưa có điểm"


@pytest.mark.parametrize(("criteria", "codes"), [(False, ["1", "2", "3"]), (True, ["1.1", "2.1", "2.2", "3.1", "3.2"])])
def test_fields_and_criteria_have_a_row_for_each_agency(criteria: bool, codes: list[str]) -> None:
    found = rows(summary_table(published(STORY), criteria=criteria))
    assert [(row["agency"], row["code"]) for row in found] == [
        (agency, code) for agency in ("Cơ quan a-01", "Cơ quan a-02") for code in codes
    ]
    assert (found[0]["maximum"], found[0]["achieved"], found[0]["index"]) == ("5.00", "4.50", "90.00")


def test_every_table_of_a_live_result_says_that_it_is_provisional() -> None:
    result = live(STORY)
    for table in (
        ranking_table(result),
        agency_table(result, "a-01"),
        summary_table(result, criteria=False),
        comparison_tables(result, published(STORY), None)[0],
        comparison_tables(result, published(STORY), "a-01")[0],
    ):
        assert "TẠM TÍNH" in table.title
        assert PROVISIONAL in table.columns[-1][1]
    assert "TẠM TÍNH" not in ranking_table(published(STORY)).title


def test_the_policy_of_the_period_withholds_parts_cards_or_the_whole_row() -> None:
    story = whole_story(publication={"a-02": "totals-only"})
    result = published(story)
    row = rows(ranking_table(result))[1]
    assert (row["self_assessed"], row["appraisal"], row["survey"], row["total"]) == (*[WITHHELD] * 3, "14.75")
    assert "index" not in row
    [withheld] = [row for row in rows(summary_table(result, criteria=False)) if row["agency"] == "Cơ quan a-02"]
    assert withheld["achieved"] == WITHHELD
    with pytest.raises(Rejected, match="not published"):
        agency_table(result, "a-02")
    with pytest.raises(Rejected, match="not published"):
        comparison_tables(live(STORY), result, "a-02")
    assert rows(ranking_table(published(story, whole=True)))[1]["appraisal"] == "9.25"
    hidden = published(whole_story(publication={"a-02": "nothing"}))
    assert [row["agency"] for row in rows(ranking_table(hidden))] == ["Cơ quan a-01"]


def test_totals_are_compared_by_agency_and_rubrics_by_code() -> None:
    totals, rubrics = comparison_tables(published(STORY), published(earlier()), None)
    assert rows(totals) == [
        {"number": 1, "agency": "Cơ quan a-01", "now": "17.50", "rank_now": 1, "note": "Mới tham gia kỳ này"},
        {
            "number": 2, "agency": "Cơ quan a-02", "before": "3.00", "now": "14.75", "change": "11.75",
            "rank_before": 1, "rank_now": 2,
        },
        {"number": 3, "agency": "Cơ quan a-09", "before": "0.00", "rank_before": 2, "note": "Không tham gia kỳ này"},
    ]  # fmt: skip
    notes = {row["code"]: row["note"] for row in rows(rubrics) if "note" in row}
    assert notes == {"2.1": "Điểm tối đa thay đổi", "2.2": "Tiêu chí mới", "2.3": "Tiêu chí đã bỏ"}


def test_an_agencys_items_are_compared_by_code() -> None:
    [table] = comparison_tables(published(STORY), published(earlier()), "a-02")
    lines = {row["code"]: row for row in rows(table)}
    assert lines["2.1"] == {
        "code": "2.1", "label": "Một cửa", "maximum_before": "5.00", "maximum": "4.00", "before": "3.00",
        "now": "3.75", "change": "0.75", "note": "Điểm tối đa thay đổi",
    }  # fmt: skip
    assert (lines["2.2"]["note"], lines["2.3"]["note"]) == ("Tiêu chí mới", "Tiêu chí đã bỏ")
    [table] = comparison_tables(published(STORY), published(earlier()), "a-01")
    assert {row["note"] for row in rows(table)} == {"Mới tham gia kỳ này"}


def test_a_workbook_holds_numbers_as_numbers_and_csv_decimal_commas() -> None:
    sheet = agency_table(published(STORY), "a-01").sheet()
    page = openpyxl.load_workbook(io.BytesIO(write([sheet]))).worksheets[0]
    total = page.cell(page.max_row, 7)
    assert (Decimal(str(total.value)), total.number_format) == (Decimal("17.5"), "#,##0.00")
    assert read_csv(csv_text(sheet).encode())[-1][6] == "17,50"


def test_a_name_that_a_spreadsheet_would_run_is_harmless() -> None:
    result = published(STORY)
    bad = result._replace(rows=[{**row, "name_vi": "=HYPERLINK(1)"} for row in result.rows])
    page = openpyxl.load_workbook(io.BytesIO(write([ranking_table(bad).sheet()]))).worksheets[0]
    assert (page["C2"].value, page["C2"].data_type) == ("=HYPERLINK(1)", "s")
    assert '"\'=HYPERLINK(1)"' in csv_text(ranking_table(bad).sheet())
