"""What differs between two rubrics: items, rules, maxima, labels, and everything of the head that a total rests on."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

from shared.rubric.model import Criterion, Field, Leaf, Rubric, RubricHead
from shared.rubric.reading import rule_text
from shared.rubric.values import vietnamese

ASPECTS: Final[Mapping[str, str]] = {
    "item": "tiêu chí",
    "place": "thuộc",
    "label": "tên",
    "label.en": "tên tiếng Anh",
    "max": "điểm tối đa",
    "part": "phần",
    "mode": "hình thức",
    "rule": "quy tắc chấm",
    "step": "bước điểm",
    "may_not_apply": "được không áp dụng",
    "guidance": "hướng dẫn chấm",
    "evidence": "tài liệu kiểm chứng",
    "monitor": "cơ quan theo dõi",
    "head": "quy định chung",
}
"""What can differ in an item, with its word on Vietnamese screens."""


class Difference(NamedTuple):
    """One difference: where (a code, or a path of the head such as `total.scale`), in what, and both texts."""

    kind: Literal["added", "removed", "changed"]
    place: str
    aspect: str
    before: str
    after: str


def differences(before: Rubric, after: Rubric) -> list[Difference]:
    """Every difference, the head's first, then the items' in the order of the instrument; none if they are equal."""
    found = [*_head(before, after)]
    old, new = _items(before), _items(after)
    order = [*new, *(code for code in old if code not in new)]
    stayed = [code for code in old if code in new], [code for code in new if code in old]
    if stayed[0] != stayed[1]:
        found.append(Difference("changed", "fields.(thứ tự)", "head", _listed(stayed[0]), _listed(stayed[1])))
    for code in order:
        if code not in old:
            found.append(Difference("added", code, "item", "", _summary(new[code])))
        elif code not in new:
            found.append(Difference("removed", code, "item", _summary(old[code]), ""))
        else:
            found.extend(_changed(code, old[code], new[code]))
    return found


def _items(rubric: Rubric) -> dict[str, dict[str, str]]:
    """What is said of every field, criterion and item: aspect → text."""
    items = {}
    for field in rubric.fields:
        items[field.code] = _node(field, "")
        for node in field.criteria:
            items[node.code] = _node(node, field.code)
            if isinstance(node, Criterion):
                items |= {leaf.code: _node(leaf, node.code) for leaf in node.items}
    return items


def _node(node: Field | Criterion | Leaf, parent: str) -> dict[str, str]:
    said = {"place": parent, "label": node.label.vi, "label.en": node.label.en, "max": _text(node.max)}
    if isinstance(node, Leaf):
        more = {name: _text(getattr(node, name)) for name in ASPECTS if name in Leaf.model_fields}
        said |= {**more, "label": node.label.vi, "rule": rule_text(node.rule)}
        said["rule.data"] = node.rule.model_dump_json(exclude_none=True)
    return said


def _summary(item: Mapping[str, str]) -> str:
    maximum = f" ({item['max']})" if item["max"] else ""
    return f"{item['label']}{maximum}"


def _changed(code: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    for aspect in ASPECTS:
        before, after = old.get(aspect, ""), new.get(aspect, "")
        if before != after:
            yield Difference("changed", code, aspect, before, after)
        elif aspect == "rule" and old.get("rule.data") != new.get("rule.data"):
            yield Difference("changed", code, "rule", old.get("rule.data", ""), new.get("rule.data", ""))


def _head(before: Rubric, after: Rubric) -> Iterator[Difference]:
    names = RubricHead.model_fields
    old, new = (dict(_flat({name: _plain(getattr(each, name)) for name in names})) for each in (before, after))
    for place in [*old, *(place for place in new if place not in old)]:
        if place not in new:
            yield Difference("removed", place, "head", old[place], "")
        elif place not in old:
            yield Difference("added", place, "head", "", new[place])
        elif old[place] != new[place]:
            yield Difference("changed", place, "head", old[place], new[place])


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else value


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every scalar of the head by its path; a member of a list by its id, so that an order alone is told once."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(each, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        names = [_id(each, number) for number, each in enumerate(value)]
        if len(set(names)) < len(names):
            names = [str(number) for number in range(len(value))]
        if value and isinstance(value[0], dict) and "id" in value[0]:
            yield f"{place}.(thứ tự)", _listed(names)
        for name, each in zip(names, value, strict=True):
            yield from _flat(each, f"{place}.{name}")
    elif value is not None:
        yield place, _text(value)


def _id(value: Any, number: int) -> str:
    return str(value.get("id", number)) if isinstance(value, dict) else str(number)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return vietnamese(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
