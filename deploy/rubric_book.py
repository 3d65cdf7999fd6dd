"""A rubric as the table that an officer knows, in a workbook, and what an officer changed there brought back."""

import copy
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from deploy.fault import Fault
from shared.rubric import (
    Criterion,
    Field,
    Leaf,
    Mode,
    Rubric,
    RubricError,
    check,
    load_rubric,
    parse_number,
    vietnamese,
)
from shared.rubric.edits import revised
from shared.rubric.files import parse_yaml
from shared.rubric.reading import KEPT, read_rule, rule_text
from shared.rubric.values import exact_text
from shared.sheet import Cell, Column, Sheet, SheetFault, place, read, write

MODES: Final[Mapping[Mode, str]] = {
    Mode.SELF_ASSESSED: "Tự đánh giá, thẩm định",
    Mode.APPRAISED: "Chỉ thẩm định",
    Mode.SURVEY: "Điều tra xã hội học",
}
Node = Field | Criterion | Leaf


class Change(NamedTuple):
    """What a cell changed: the item, the column, what stood there before and after."""

    code: str
    column: str
    before: str
    after: str


class Import(NamedTuple):
    """A rubric's file with the workbook's changes in it, what they are, and what an officer should look at."""

    text: str
    changes: list[Change]
    notes: list[str]


class BookFaults(Fault):
    """Nothing was brought over: every fault of the workbook, by its cell."""

    def __init__(self, faults: Sequence[SheetFault]) -> None:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"the workbook is not taken: {faults[0]}{more}")
        self.faults = list(faults)


class _Column(NamedTuple):
    """A column: heading, width, what it shows of a node, and how a changed cell changes the node's raw data, if it may.

    A setter gets the node, its raw data and the cell's text; it raises `RubricError`.
    """

    heading: str
    width: int
    shows: Callable[[Rubric, Node], Cell]
    sets: Callable[[Node, dict[str, Any], str], None] | None = None


def exported(rubric: Rubric) -> bytes:
    """The workbook of a rubric: its table, and a second sheet that says what it is."""
    columns = [Column(column.heading, column.width) for column in COLUMNS]
    rows = [[column.shows(rubric, node) for column in COLUMNS] for node in _nodes(rubric)]
    return write([Sheet("Bộ tiêu chí", columns, rows), _about(rubric)])


def imported(data: bytes, base: str) -> Import:
    """The file `base` with what the workbook's cells changed; a cell that says what it said leaves the file as it is.

    Raises `BookFaults`, and `RubricError` where `base` itself is no rubric.
    """
    rubric, raw = load_rubric(base), copy.deepcopy(parse_yaml(base))
    try:
        rows = read(data)
    except SheetFault as fault:
        raise BookFaults([fault]) from None
    faults: list[SheetFault] = []
    changes: list[Change] = []
    columns = _headings(rows[0] if rows else [], faults)
    raws = dict(_raw_nodes(raw))
    for row, node, cells in _matched(rubric, rows, columns, faults):
        for column, at in columns.items():
            _take(
                rubric, node, column, (row, at, cells[at] if at < len(cells) else ""), raws[node.code], changes, faults
            )
    if faults:
        raise BookFaults(faults)
    if not changes:
        return Import(base, [], [])
    text, lines = revised(base, raw)
    after = load_rubric(text)
    _require_computable(after, rows, columns)
    notes = [f"line {line}: a comment inside what was changed is gone" for line in lines]
    return Import(text, changes, notes + _stale(rubric, after))


def _nodes(rubric: Rubric) -> Iterator[Node]:
    for field in rubric.fields:
        yield field
        for node in field.criteria:
            yield node
            if isinstance(node, Criterion):
                yield from node.items


def _raw_nodes(raw: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for field in raw["fields"]:
        yield field["code"], field
        for node in field["criteria"]:
            yield node["code"], node
            for leaf in node.get("items", ()):
                yield leaf["code"], leaf


def _about(rubric: Rubric) -> Sheet:
    source = rubric.source
    rows: list[tuple[str, str]] = [
        ("Mã bộ tiêu chí", rubric.id),
        ("Tên", rubric.title.vi),
        ("Lưu ý", rubric.note.vi),
        ("Văn bản", source.instrument),
        ("Ngày", source.dated),
        ("Cơ quan ban hành", source.publisher),
        ("Ghi chú nguồn", source.note),
        ("Thang điểm", vietnamese(rubric.total.scale)),
        *((f"Phần: {part.label.vi}", vietnamese(part.max)) for part in rubric.parts.base().values()),
        ("Cách sửa", "Sửa nội dung, điểm tối đa, quy tắc, cách chấm, tài liệu, cơ quan theo dõi trong trang đầu; "
         "thêm, bớt, chuyển tiêu chí thì sửa trong tệp gốc."),
        ("Quy tắc", f"Quy tắc bắt đầu bằng “{KEPT.strip()}” chỉ sửa được trong tệp gốc."),
    ]  # fmt: skip
    return Sheet("Thông tin", [Column("Mục", 24), Column("Nội dung", 100)], rows)


def _headings(row: Sequence[str], faults: list[SheetFault]) -> dict[_Column, int]:
    known = {column.heading: column for column in COLUMNS}
    found: dict[_Column, int] = {}
    for at, heading in enumerate(row):
        column = known.get(_same(heading))
        if column is not None and column not in found:
            found[column] = at
        elif heading.strip():
            faults.append(
                SheetFault("column-unknown", f"no column {heading.strip()!r}, or it is there twice", place(0, at))
            )
    for column in COLUMNS:
        if column not in found:
            faults.append(SheetFault("column-missing", f"the column {column.heading!r} is missing", place(0, 0)))
    return found


def _matched(
    rubric: Rubric, rows: Sequence[list[str]], columns: Mapping[_Column, int], faults: list[SheetFault]
) -> Iterator[tuple[int, Node, list[str]]]:
    """Each row with the node of its code; faults for codes that are unknown, twice or not there."""
    if COLUMNS[0] not in columns:
        return
    at = columns[COLUMNS[0]]
    left = {node.code: node for node in _nodes(rubric)}
    codes = set(left)
    for number, cells in enumerate(rows[1:], start=1):
        code = cells[at].strip() if at < len(cells) else ""
        if not any(cell.strip() for cell in cells):
            continue
        if code in left:
            yield number, left.pop(code), cells
            continue
        why = "is there twice" if code in codes else "is not in the rubric: add it in the rubric's file"
        faults.append(SheetFault("item-unknown", f"the code {code!r} {why}", place(number, at)))
    for code in left:
        faults.append(SheetFault("item-missing", f"{code} has no row: take an item away in the rubric's file", None))


def _take(
    rubric: Rubric,
    node: Node,
    column: _Column,
    cell: tuple[int, int, str],
    raw: dict[str, Any],
    changes: list[Change],
    faults: list[SheetFault],
) -> None:
    row, at, text = cell
    shown = _text(column.shows(rubric, node))
    if _same(text) == _same(shown) or _equal(shown, text, column):
        return
    try:
        if column.sets is None:
            raise RubricError("cell-fixed", f"{column.heading} is changed in the rubric's file")
        column.sets(node, raw, _same(text))
    except RubricError as error:
        faults.append(SheetFault(error.code, f"{node.code}, {column.heading}: {error.message}", place(row, at)))
        return
    changes.append(Change(node.code, column.heading, shown, text.strip()))


def _text(cell: Cell) -> str:
    return vietnamese(cell, grouped=False) if isinstance(cell, Decimal) else str(cell or "")


def _same(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()


def _equal(shown: str, text: str, column: _Column) -> bool:
    """Whether a cell of points says the number that it said, however it is written."""
    if column.heading != _MAXIMUM or not shown or not text.strip():
        return False
    try:
        return parse_number(text) == parse_number(shown)
    except RubricError:
        return False


def _require_computable(rubric: Rubric, rows: Sequence[list[str]], columns: Mapping[_Column, int]) -> None:
    at = columns[COLUMNS[0]]
    rows_of = {cells[at].strip(): number for number, cells in enumerate(rows) if at < len(cells)}
    faults = [
        SheetFault(
            "rubric-invalid",
            f"{finding.place}: {finding.message}",
            place(rows_of[finding.place], at) if finding.place in rows_of else None,
        )
        for finding in check(rubric)
        if finding.severity == "error"
    ]
    if faults:
        raise BookFaults(faults)


def _stale(before: Rubric, after: Rubric) -> list[str]:
    """English labels that stayed while the Vietnamese ones changed."""
    old = {node.code: node.label for node in _nodes(before)}
    return [
        f"{node.code}: the Vietnamese label changed, the English one is still {node.label.en!r}"
        for node in _nodes(after)
        if node.label.en and node.label.vi != old[node.code].vi and node.label.en == old[node.code].en
    ]


def _set_label(key: str) -> Callable[[Node, dict[str, Any], str], None]:
    def sets(node: Node, raw: dict[str, Any], text: str) -> None:
        if not text and key == "vi":
            raise RubricError("cell-empty", "an item has a label")
        raw["label"][key] = text

    return sets


def _set_text(key: str) -> Callable[[Node, dict[str, Any], str], None]:
    def sets(node: Node, raw: dict[str, Any], text: str) -> None:
        if not isinstance(node, Leaf):
            raise RubricError("cell-fixed", "only items that are scored have it")
        if len(text) > 4000:
            raise RubricError("cell-too-long", f"{len(text)} characters; the rubric takes 4000")
        raw[key] = text or ("" if key != "monitor" else None)

    return sets


def _set_maximum(node: Node, raw: dict[str, Any], text: str) -> None:
    if not text and isinstance(node, Leaf) and node.part != "penalty":
        raise RubricError("cell-empty", "only a penalty may be without a maximum")
    raw["max"] = exact_text(Fraction(parse_number(text))) if text else None


def _set_rule(node: Node, raw: dict[str, Any], text: str) -> None:
    if not isinstance(node, Leaf):
        raise RubricError("cell-fixed", "only items that are scored have it")
    if rule_text(node.rule).startswith(KEPT):
        raise RubricError("rule-unreadable", "this rule is too rich for a cell: change it in the rubric's file")
    rule = read_rule(text, node.rule)
    raw["rule"] = _merged(raw["rule"], node.rule.model_dump(mode="json"), rule.model_dump(mode="json"))


def _merged(raw: Any, before: Any, after: Any) -> Any:
    """What a file says of a value, with what changed in it; defaults that it does not write stay unwritten."""
    if before == after:
        return raw
    if isinstance(raw, dict) and isinstance(before, dict) and isinstance(after, dict):
        changed = {key: _merged(raw.get(key), before.get(key), value) for key, value in after.items()}
        return {key: value for key, value in changed.items() if key in raw or before.get(key) != after[key]}
    if isinstance(raw, list) and isinstance(before, list) and isinstance(after, list) and len(raw) == len(after):
        return [_merged(*each) for each in zip(raw, before, after, strict=True)]
    return _pruned(after)


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _pruned(each) for key, each in value.items() if each is not None and each != ""}
    return [_pruned(each) for each in value] if isinstance(value, list) else value


def _of_leaf(show: Callable[[Rubric, Leaf], Cell]) -> Callable[[Rubric, Node], Cell]:
    return lambda rubric, node: show(rubric, node) if isinstance(node, Leaf) else None


def _part(rubric: Rubric, leaf: Leaf) -> str:
    part = rubric.parts.base().get(leaf.part) or rubric.parts.added(leaf.part)
    return leaf.part.value if part is None else part.label.vi


_MAXIMUM: Final = "Điểm tối đa"
COLUMNS: Final = (
    _Column("Mã", 9, lambda _, node: node.code),
    _Column("Lĩnh vực/Tiêu chí/Tiêu chí thành phần", 48, lambda _, node: node.label.vi, _set_label("vi")),
    _Column(_MAXIMUM, 10, lambda _, node: node.max, _set_maximum),
    _Column("Quy tắc chấm điểm", 56, _of_leaf(lambda _, leaf: rule_text(leaf.rule)), _set_rule),
    _Column("Hướng dẫn chấm", 48, _of_leaf(lambda _, leaf: leaf.guidance), _set_text("guidance")),
    _Column("Tài liệu kiểm chứng", 36, _of_leaf(lambda _, leaf: leaf.evidence), _set_text("evidence")),
    _Column("Cơ quan theo dõi", 24, _of_leaf(lambda _, leaf: leaf.monitor), _set_text("monitor")),
    _Column("Phần", 18, _of_leaf(_part)),
    _Column("Hình thức", 22, _of_leaf(lambda _, leaf: MODES[leaf.mode])),
    _Column("Tên tiếng Anh", 40, lambda _, node: node.label.en, _set_label("en")),
)
"""The columns of the official table, in its order."""
