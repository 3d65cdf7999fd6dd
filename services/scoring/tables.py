"""The tables of the exports, in the official layout: ranking, an agency, fields, criteria, comparison.

A table is made of what its reader may see only: a published one of what the publication policy leaves.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from shared.decider import Rejected
from shared.period import Period
from shared.rubric import Card, Criterion, Leaf, LeafLine, Mode, NodeLine, PartName, Rubric, vietnamese
from shared.rubric.model import BASE_PARTS, Field
from shared.sheet import Cell, Column, Sheet

WITHHELD: Final = "không công bố / withheld"
PROVISIONAL: Final = "TẠM TÍNH / provisional"


class Results(NamedTuple):
    """What a reader sees of a period's result: rows best first within each group, and the cards in sight."""

    period: Period
    provisional: bool
    rows: Sequence[Mapping[str, Any]]
    cards: Mapping[str, Card]

    @property
    def id(self) -> str:
        """The period's id."""
        return self.period.the_opened().period

    def card(self, agency: str) -> Card:
        """An agency's card; Rejected `agency-unknown`, `not-published`."""
        self.period.the_agency(agency)
        if agency not in self.cards:
            raise Rejected("not-published", "this agency's points are not published", "agency")
        return self.cards[agency]


class Table(NamedTuple):
    """A table of an export: `columns` are (key, heading, width)."""

    title: str
    columns: Sequence[tuple[str, str, int]]
    rows: Sequence[Sequence[Cell]]

    def sheet(self) -> Sheet:
        """As a workbook and a CSV file hold it."""
        return Sheet(self.title, [Column(heading, width) for _, heading, width in self.columns], self.rows)

    def json(self) -> dict[str, Any]:
        """As JSON: a row has the columns' keys; what is empty is left away."""
        keys = [key for key, _, _ in self.columns]
        return {
            "title": self.title,
            "columns": [{"key": key, "heading": heading} for key, heading, _ in self.columns],
            "rows": [
                {key: _text(cell) for key, cell in zip(keys, row, strict=True) if cell is not None} for row in self.rows
            ],
        }


def _text(cell: Cell) -> str | int:
    return cell if isinstance(cell, int) else format(cell, "f") if isinstance(cell, Decimal) else str(cell)


_FIGURES: Final = (
    ("maximum", "Điểm tối đa", 12),
    ("self_assessed", "Tự đánh giá", 12),
    ("appraised", "Thẩm định", 12),
    ("survey", "Điều tra XHH", 12),
    ("achieved", "Điểm đạt được", 12),
    ("index", "Chỉ số", 10),
)


def _note(results: Results) -> tuple[str, str, int]:
    return ("note", f"Ghi chú ({PROVISIONAL})" if results.provisional else "Ghi chú", 36)


def _titled(results: Results, title: str) -> str:
    return f"{title} (TẠM TÍNH)" if results.provisional else title


def ranking_table(results: Results) -> Table:
    """The ranking, group after group."""
    columns = (
        ("rank", "STT", 6), ("group", "Nhóm", 24), ("agency", "Cơ quan", 40), ("self_assessed", "Tự đánh giá", 12),
        ("appraisal", "Thẩm định", 12), ("survey", "Điều tra XHH", 12), ("bonus", "Điểm thưởng", 12),
        ("penalty", "Điểm phạt", 12), ("total", "Điểm đạt được", 12), ("index", "Chỉ số", 10),
        ("band", "Xếp loại", 16), _note(results),
    )  # fmt: skip
    groups = {group.group: group.name_vi for group in results.period.the_opened().groups}
    rows = []
    for row in results.rows:
        card, withheld = results.cards.get(row["agency"]), row["parts"] == "withheld"
        parts = [WITHHELD if withheld else _number(row["parts"].get(part.value)) for part in PartName]
        rows.append(
            (
                row.get("rank"),
                groups[row["group"]],
                row["name_vi"],
                WITHHELD if withheld else _number(row["self_assessed"]),
                *parts,
                _number(row["total"]),
                None if card is None else _number(card.index),
                _band(results.period.rubrics[row["group"]], row.get("band")),
                None if row.get("rank") is not None else "không xếp hạng / not ranked",
            )
        )
    return Table(_titled(results, "Xếp hạng"), columns, rows)


def agency_table(results: Results, agency: str) -> Table:
    """One agency's card in the official layout: field, criterion, item, each with its figures, and the total."""
    card, rubric = results.card(agency), results.period.rubric_of(agency)
    columns = (("code", "STT", 8), ("label", "Lĩnh vực/Tiêu chí/Tiêu chí thành phần", 60), *_FIGURES, _note(results))
    rows = [row for field in rubric.fields for row in _field_rows(rubric, card, field)]
    extras = {part.part: part for part in card.parts if part.part not in BASE_PARTS}
    rows += [(None, _EXTRA[name], None, None, None, None, _number(part.points), None, None)
             for name, part in extras.items()]  # fmt: skip
    survey = next((part for part in card.parts if part.part is PartName.SURVEY), None)
    total = (None, "Tổng cộng", _number(card.maximum), _number(card.self_assessed), _number(card.appraised),
             _number(card.survey) if survey is not None else None, _number(card.total), _number(card.index),
             _band(rubric, card.band))  # fmt: skip
    return Table(_titled(results, agency), columns, [*rows, total])


_EXTRA: Final = {PartName.BONUS: "Điểm thưởng", PartName.PENALTY: "Điểm phạt"}


def _field_rows(rubric: Rubric, card: Card, field: Field) -> Iterator[tuple[Cell, ...]]:
    lines, nodes = {line.code: line for line in card.leaves}, {node.code: node for node in card.criteria}
    whole = next(node for node in card.fields if node.code == field.code)
    yield (field.code, field.label.vi, *_node_cells(whole, field.leaves, lines))
    for node in field.criteria:
        if isinstance(node, Criterion):
            yield (node.code, node.label.vi, *_node_cells(nodes[node.code], node.items, lines))
            yield from (_leaf_row(rubric, leaf, lines[leaf.code]) for leaf in node.items)
        else:
            yield _leaf_row(rubric, node, lines[node.code])


def _leaf_row(rubric: Rubric, leaf: Leaf, line: LeafLine) -> tuple[Cell, ...]:
    survey, points = leaf.mode is Mode.SURVEY, _number(line.appraised)
    share = None
    if line.achieved is not None and line.maximum and line.part in BASE_PARTS:
        share = rubric.rounding.figure.of(Fraction(line.achieved) / Fraction(line.maximum) * 100)
    return (
        leaf.code,
        leaf.label.vi,
        _number(line.maximum),
        _number(line.self_assessed),
        None if survey else points,
        points if survey else None,
        _number(line.achieved),
        _number(share),
        "; ".join(_remarks(line)) or None,
    )


def _remarks(line: LeafLine) -> Iterator[str]:
    if line.part in _EXTRA:
        yield _EXTRA[line.part]
    if line.not_applicable:
        yield "Không áp dụng"
    if line.open:
        yield "Chưa có điểm"
    if line.council is not None:
        yield f"Hội đồng thẩm định: {vietnamese(line.council)}"


def _node_cells(node: NodeLine, leaves: Iterable[Leaf], lines: Mapping[str, LeafLine]) -> tuple[Cell, ...]:
    """Of a field or criterion: maximum, self-assessed, appraised, survey, achieved, index, note."""
    base = [leaf for leaf in leaves if leaf.part in BASE_PARTS]
    surveyed = sum((lines[leaf.code].achieved or Decimal(0) for leaf in base if leaf.mode is Mode.SURVEY), Decimal(0))
    others = any(leaf.mode is not Mode.SURVEY for leaf in base)
    return (
        _number(node.maximum),
        _number(node.self_assessed),
        _number(node.achieved - surveyed) if others else None,
        _number(surveyed) if any(leaf.mode is Mode.SURVEY for leaf in base) else None,
        _number(node.achieved),
        _number(node.index),
        f"Còn {node.open} tiêu chí chưa có điểm" if node.open else None,
    )


def summary_table(results: Results, *, criteria: bool) -> Table:
    """Every agency's fields, or its criteria, one row each; of an agency whose points are withheld one row says so."""
    columns = (("number", "STT", 6), ("agency", "Cơ quan", 40), ("code", "Mã", 8),
               ("label", "Tiêu chí" if criteria else "Lĩnh vực", 50), *_FIGURES, _note(results))  # fmt: skip
    rows = list[tuple[Cell, ...]]()
    for number, row in enumerate(results.rows, 1):
        agency, name = row["agency"], row["name_vi"]
        if agency not in results.cards:
            rows.append((number, name, None, None, *[WITHHELD] * len(_FIGURES), None))
            continue
        card, rubric = results.cards[agency], results.period.rubric_of(agency)
        lines = {line.code: line for line in card.leaves}
        nodes = {node.code: node for node in (card.criteria if criteria else card.fields)}
        for field in rubric.fields:
            for part in field.criteria if criteria else (field,):
                leaves = (
                    (part,) if isinstance(part, Leaf) else part.items if isinstance(part, Criterion) else part.leaves
                )
                cells = _node_cells(nodes[part.code], tuple(leaves), lines)
                rows.append((number, name, part.code, part.label.vi, *cells))
    return Table(_titled(results, "Theo tiêu chí" if criteria else "Theo lĩnh vực"), columns, rows)


def comparison_tables(now: Results, before: Results, agency: str | None) -> list[Table]:
    """The result beside an earlier one: the agencies' totals, or one agency's items; and the rubrics, by code."""
    if agency is not None:
        took_part = agency in before.period.agencies
        old = (before.period.rubric_of(agency), before.card(agency)) if took_part else None
        return [_items_compared(now, (now.period.rubric_of(agency), now.card(agency)), old)]
    columns = (("number", "STT", 6), ("agency", "Cơ quan", 40), ("before", f"Kỳ trước ({before.id})", 16),
               ("now", f"Kỳ này ({now.id})", 16), ("change", "Tăng, giảm", 12), ("rank_before", "Hạng kỳ trước", 12),
               ("rank_now", "Hạng kỳ này", 12), _note(now))  # fmt: skip
    old_rows = {row["agency"]: row for row in before.rows}
    rows = list[tuple[Cell, ...]]()
    for number, row in enumerate(now.rows, 1):
        past, total = old_rows.pop(row["agency"], {}), Decimal(row["total"])
        then = _number(past.get("total"))
        change = None if then is None else _number(total - then)
        note = None if past else "Mới tham gia kỳ này"
        rows.append((number, row["name_vi"], then, _number(total), change, past.get("rank"), row.get("rank"), note))
    for past in old_rows.values():
        then, note = _number(past["total"]), "Không tham gia kỳ này"
        rows.append((len(rows) + 1, past["name_vi"], then, None, None, past.get("rank"), None, note))
    rubrics = [
        _rubrics_compared(now, group.group, before.period.rubrics[group.group])
        for group in now.period.the_opened().groups
        if group.group in before.period.rubrics
    ]
    return [Table(_titled(now, "So sánh"), columns, rows), *rubrics]


def _items_compared(results: Results, now: tuple[Rubric, Card], old: tuple[Rubric, Card] | None) -> Table:
    columns = (("code", "STT", 8), ("label", "Tiêu chí", 60), ("maximum_before", "Điểm tối đa kỳ trước", 12),
               ("maximum", "Điểm tối đa", 12), ("before", "Điểm đạt được kỳ trước", 12),
               ("now", "Điểm đạt được", 12), ("change", "Tăng, giảm", 12), _note(results))  # fmt: skip
    past = {} if old is None else {line.code: line for line in old[1].leaves}
    rows = list[tuple[Cell, ...]]()
    for line in now[1].leaves:
        was, label = past.get(line.code), now[0].leaves[line.code].label.vi
        change = None
        if was is not None and was.achieved is not None and line.achieved is not None:
            change = line.achieved - was.achieved
        cells = (None, None) if was is None else (_number(was.maximum), _number(was.achieved))
        note = "Tiêu chí mới" if was is None else _changed(was.maximum, line.maximum)
        note = "Mới tham gia kỳ này" if old is None else note
        rows.append(
            (line.code, label, cells[0], _number(line.maximum), cells[1], _number(line.achieved), _number(change), note)
        )
    for code, leaf in old[0].leaves.items() if old is not None else ():
        if code not in now[0].leaves:
            was = past[code]
            gone = (_number(was.maximum), None, _number(was.achieved), None, None)
            rows.append((code, leaf.label.vi, *gone, "Tiêu chí đã bỏ"))
    return Table(_titled(results, "So sánh tiêu chí"), columns, rows)


def _rubrics_compared(results: Results, group: str, old: Rubric) -> Table:
    columns = (("code", "STT", 8), ("label", "Tiêu chí", 60), ("maximum_before", "Điểm tối đa kỳ trước", 12),
               ("maximum", "Điểm tối đa", 12), _note(results))  # fmt: skip
    new, rows = results.period.rubrics[group], list[tuple[Cell, ...]]()
    for code, leaf in new.leaves.items():
        was = old.leaves.get(code)
        note = "Tiêu chí mới" if was is None else _changed(was.max, leaf.max)
        rows.append((code, leaf.label.vi, None if was is None else _number(was.max), _number(leaf.max), note))
    for code, leaf in old.leaves.items():
        if code not in new.leaves:
            rows.append((code, leaf.label.vi, _number(leaf.max), None, "Tiêu chí đã bỏ"))
    return Table(f"Bộ tiêu chí {group}", columns, rows)


def _changed(before: Decimal | None, now: Decimal | None) -> str | None:
    return None if before == now else "Điểm tối đa thay đổi"


def _number(value: Decimal | str | None) -> Decimal | None:
    """A figure with at least two decimals."""
    if value is None:
        return None
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    return number if isinstance(exponent, int) and exponent <= -2 else number.quantize(Decimal("0.01"))


def _band(rubric: Rubric, band: str | None) -> str | None:
    return next((each.label.vi for each in rubric.bands if each.id == band), band)
