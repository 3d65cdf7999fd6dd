"""Rubric and period files: YAML in which every scalar but true, false and null is read as the characters written."""

import re
from collections.abc import Hashable, Sequence
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from shared.rubric.model import Rubric
from shared.rubric.period import PeriodFile
from shared.rubric.values import BY_PEOPLE, RubricError

MAX_FILE: Final = 2 * 1024 * 1024
"""Longest file, in characters."""
M = TypeVar("M", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """No numbers, dates or yes/no: `0.50` stays `0.50`. Aliases and keys written twice are refused."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012 - the base class declares it so

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it untyped
            raise yaml.MarkedYAMLError(problem="aliases are not taken: write the value again", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if key.value in keys:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is written twice", problem_mark=key.start_mark)
            keys.add(str(key.value))
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^(null|~|)$"), ["n", "~", ""])


def load_rubric(text: str) -> Rubric:
    """The rubric of a YAML (or JSON) text.

    `file-invalid` with the line for text that is no YAML, `rubric-invalid` with line and path of every fault of form.
    Whether the rubric can be computed is for `check`.
    """
    return _load(text, Rubric, "rubric-invalid")


def load_period(text: str) -> PeriodFile:
    """The period of a YAML (or JSON) text; `file-invalid`, `period-invalid` as for `load_rubric`."""
    return _load(text, PeriodFile, "period-invalid")


def rubric_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a rubric file, whose figures are strings."""
    return _schema(Rubric, "A rubric of the index")


def period_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a period file."""
    return _schema(PeriodFile, "A period of the index")


def _schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    schema = _with_commas(model.model_json_schema(mode="validation"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": title}


def _with_commas(schema: Any) -> Any:
    """The schema of a file: what an entry writes with a decimal point, people may write with a comma."""
    match schema:
        case {"pattern": str(pattern)}:
            return {**schema, "pattern": pattern.replace(r"(\.[0-9]", "([.,][0-9]")}
        case dict():
            return {key: _with_commas(value) for key, value in schema.items()}
        case list():
            return [_with_commas(value) for value in schema]
        case _:
            return schema


def parse_yaml(text: str) -> Any:
    """The mappings, lists and strings of a YAML text, as its reader takes them; `file-invalid` with the line."""
    return parse_nodes(text)[1]


def parse_nodes(text: str) -> tuple[yaml.Node | None, Any]:
    """As `parse_yaml`, with the nodes that know where each value stands in the text."""
    if len(text) > MAX_FILE:
        raise RubricError("file-invalid", f"the file is longer than {MAX_FILE} characters")
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            return node, None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise RubricError(
            "file-invalid", f"{error.problem}", None if mark is None else f"line {mark.line + 1}"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise RubricError("file-invalid", f"this is no YAML: {str(error).splitlines()[0]}") from None


def places(text: str) -> dict[str, tuple[int, str]]:
    """Line and path of every place that `check` names: the code of an item, `parts.bonus`, `bands.a`, `forms.f.q1`.

    What is written twice has the place where it is written last.
    """
    found: dict[str, tuple[int, str]] = {}
    node, _ = parse_nodes(text)
    if node is not None:
        _walk(node, "", "", found)
    return found


def _walk(node: yaml.Node, path: str, place: str, found: dict[str, tuple[int, str]]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = f"{path}.{key.value}".lstrip(".")
            name = place if key.value == "questions" else f"{place}.{key.value}".lstrip(".")
            found.setdefault(name, (key.start_mark.line + 1, below))
            _walk(value, below, name, found)
    elif isinstance(node, yaml.SequenceNode):
        for number, each in enumerate(node.value):
            below = f"{path}[{number}]"
            name = _name(each, place, "code" if re.search(r"(^fields|\.criteria|\.items)$", path) else "id")
            found[name] = (each.start_mark.line + 1, below)
            _walk(each, below, name, found)


def _name(node: yaml.Node, place: str, key: str) -> str:
    """What `check` calls a member of a list: its code alone, or its id after the list's own name."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    name = next((str(value.value) for own, value in pairs if own.value == key), "")
    return name if key == "code" else f"{place}.{name}"


def _load(text: str, model: type[M], code: str) -> M:
    node, data = parse_nodes(text)
    try:
        return model.model_validate(data, context=BY_PEOPLE)
    except ValidationError as error:
        found = error.errors(include_url=False)
    inner = {fault["loc"][:depth] for fault in found for depth in range(len(fault["loc"]))}
    faults = [
        (*_place(node, fault["loc"]), fault["msg"].removeprefix("Value error, "))
        for fault in found
        if fault["loc"] not in inner  # a list is also called too short when its members are at fault
    ]
    line, place, message = faults[0]
    errors = [{"field": place, "code": code, "detail": f"line {line}: {message}"} for line, place, message in faults]
    raise RubricError(code, f"line {line}: {place}: {message}", place, errors)


def _place(node: yaml.Node | None, location: Sequence[int | str]) -> tuple[int, str]:
    """Line and path of a fault; the model's own words for alternatives are not in the file and are left out."""
    line, path = 1, ""
    for step in location:
        if isinstance(node, yaml.MappingNode) and isinstance(step, str):
            found = next(((key, value) for key, value in node.value if key.value == step), None)
            if found is None:
                if step == location[-1]:
                    path = f"{path}.{step}"
                continue
            line, node, path = found[0].start_mark.line + 1, found[1], f"{path}.{step}"
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node, path = node.value[step], f"{path}[{step}]"
            line = node.start_mark.line + 1
    return line, path.lstrip(".") or "(whole file)"
