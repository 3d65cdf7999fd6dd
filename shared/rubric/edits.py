"""A rubric's file with other values in it: what stays the same keeps its characters, comments and layout."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from shared.rubric.files import parse_nodes


class _Edit(NamedTuple):
    start: int
    end: int
    text: str


def revised(text: str, data: Any) -> tuple[str, list[int]]:
    """The file with the mappings, lists and strings of `data` in place of its own, and the lines whose comments went.

    A value that `data` leaves out becomes null. A comment goes only where a whole list or mapping is written anew.
    """
    node, before = parse_nodes(text)
    edits = [] if node is None else sorted(_edits(text, node, before, data))
    lines = [text.count("\n", 0, edit.start) + 1 for edit in edits if _comments(text[edit.start : edit.end])]
    for edit in reversed(edits):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text, lines


def flow(value: Any) -> str:
    """The value in YAML's flow style, on one line."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(flow(each) for each in value) + "]"
        case None | bool() | str():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return json.dumps(str(value))


def _edits(text: str, node: yaml.Node, before: Any, after: Any) -> Iterator[_Edit]:
    if before == after:
        return
    if isinstance(node, yaml.MappingNode) and isinstance(after, dict):
        for key, value in node.value:
            yield from _edits(text, value, before[key.value], after.get(key.value))
        added = {key: value for key, value in after.items() if key not in before and value is not None}
        if added:
            yield _added(node, added)
    elif isinstance(node, yaml.SequenceNode) and isinstance(after, list) and len(after) == len(before):
        for each, old, new in zip(node.value, before, after, strict=True):
            yield from _edits(text, each, old, new)
    else:
        start = node.start_mark.index
        end = start + len(text[start : _end(node)].rstrip())
        yield _Edit(start, end, flow(after) if end > start else f" {flow(after)}")


def _added(node: yaml.MappingNode, added: dict[str, Any]) -> _Edit:
    """New keys stand before the last one, which in a block begins a line of its own."""
    last = node.value[-1][0].start_mark
    between = ", " if node.flow_style else "\n" + " " * last.column
    return _Edit(last.index, last.index, "".join(f"{key}: {flow(value)}{between}" for key, value in added.items()))


def _end(node: yaml.Node) -> int:
    """Where the value's own characters end; a block's mark lies after what follows it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, yaml.MappingNode) else last)
    return int(node.end_mark.index)


def _comments(span: str) -> bool:
    try:
        return "#" in span and any("#" in line for line in _outside(span))
    except yaml.YAMLError:
        return True


def _outside(span: str) -> Iterator[str]:
    """What lies between the tokens of a span: spaces, signs and comments."""
    at = 0
    for token in yaml.scan(span, Loader=yaml.BaseLoader):
        if isinstance(token, yaml.ScalarToken):
            yield span[at : token.start_mark.index]
            at = token.end_mark.index
    yield span[at:]
