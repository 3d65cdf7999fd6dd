"""What a changed contract would break: a stored entry, a client that asks, a reader that is answered. Pure.

Within a version a contract only grows. An *entry* (a stored event, a file of an officer) and an *ask* (what a client
sends) must go on to be taken: nothing gone, nothing newly required, nothing narrowed. An *answer* must go on to hold
what readers rely on: nothing gone, nothing that was always there left out, no other type. New optional fields, new
routes, new kinds of a union and further values of a list of words break nothing: readers ignore what they do not know.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

Document = Mapping[str, Any]

METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")
LOWER: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
"""Bounds that narrow when they fall or appear."""
RAISE: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
"""Bounds that narrow when they rise or appear."""
EXACT: Final = ("pattern", "multipleOf", "uniqueItems")
"""What must stay as it is, or may go."""
MARKS: Final = ("x-public", "x-erasable")
"""What an event's schema says of its data; stored entries were written under it."""


class Use(StrEnum):
    """Who holds what a schema describes: the ledger, a client that sends it, a reader that gets it."""

    ENTRY = "entry"
    ASK = "ask"
    ANSWER = "answer"


def breaking(old: Document, new: Document, use: Use = Use.ENTRY) -> list[str]:
    """Each change from `old` to `new` that would break someone, with its place; empty if everyone goes on as before.

    Both are OpenAPI documents, AsyncAPI documents or JSON Schemas; `use` says what a JSON Schema is of.
    """
    if "openapi" in old:
        return list(_openapi(old, new))
    if "asyncapi" in old:
        return list(_asyncapi(old, new))
    marks = [f"{mark} is now {new.get(mark)}" for mark in MARKS if mark in old and new.get(mark) != old[mark]]
    return [*marks, *_Pair(old, new, use).schema(old, new, "")]


def version(document: Document) -> str:
    """The version that an OpenAPI or AsyncAPI document bears; a JSON Schema's is in its name."""
    return str(document.get("info", {}).get("version", ""))


def _openapi(old: Document, new: Document) -> Iterator[str]:
    for path, operations in old["paths"].items():
        for method in METHODS:
            if method in operations:
                there = new["paths"].get(path, {}).get(method)
                where = f"{method.upper()} {path}"
                if there is None:
                    yield f"{where} is gone"
                else:
                    yield from _operation(old, new, operations[method], there, where)


def _operation(old: Document, new: Document, before: Document, after: Document, where: str) -> Iterator[str]:
    ask, answer = _Pair(old, new, Use.ASK), _Pair(old, new, Use.ANSWER)
    known = {(each["in"], each["name"]): each for each in before.get("parameters", ())}
    now = {(each["in"], each["name"]): each for each in after.get("parameters", ())}
    for key, parameter in known.items():
        if key not in now:
            yield f"{where}: parameter {key[1]} is gone"
        else:
            yield from ask.schema(parameter.get("schema", {}), now[key].get("schema", {}), f"{where}: {key[1]}")
    for key, parameter in now.items():
        if parameter.get("required") and not known.get(key, {}).get("required"):
            yield f"{where}: parameter {key[1]} is newly required"
    body, taken = before.get("requestBody"), after.get("requestBody")
    if taken is not None and taken.get("required") and not (body or {}).get("required"):
        yield f"{where}: a body is newly required"
    if body is not None:
        yield from _contents(ask, body, taken or {}, f"{where}: body")
    if not before.get("security") and after.get("security"):
        yield f"{where}: a token is newly required"
    for code, response in before.get("responses", {}).items():
        there = after.get("responses", {}).get(code)
        if there is None:
            yield f"{where}: response {code} is gone"
        else:
            yield from _contents(answer, response, there, f"{where}: {code}")


def _contents(pair: "_Pair", old: Document, new: Document, where: str) -> Iterator[str]:
    for media, content in old.get("content", {}).items():
        if media not in new.get("content", {}):
            yield f"{where}: {media} is gone"
        else:
            yield from pair.schema(content.get("schema", {}), new["content"][media].get("schema", {}), where)


def _asyncapi(old: Document, new: Document) -> Iterator[str]:
    received = {each["channel"]["$ref"] for each in old["operations"].values() if each["action"] == "receive"}
    for name, operation in old["operations"].items():
        there = new["operations"].get(name)
        if there is None or (there["action"], there["channel"]) != (operation["action"], operation["channel"]):
            yield f"operation {name} is gone or another one"
    for name, channel in old["channels"].items():
        there = new["channels"].get(name)
        if there is None:
            yield f"channel {name} is gone"
            continue
        if there["address"] != channel["address"]:
            yield f"channel {name}: another address, {there['address']}"
        if there.get("bindings") != channel.get("bindings"):
            yield f"channel {name}: other bindings"
        use = Use.ASK if f"#/channels/{name}" in received else Use.ANSWER
        for message, reference in channel["messages"].items():
            if message not in there["messages"]:
                yield f"channel {name}: message {message} is gone"
            else:
                pair = _Pair(old, new, use)
                before, after = pair.old_of(reference), pair.new_of(there["messages"][message])
                yield from _message(pair, before, after, f"channel {name}: {message}")


def _message(pair: "_Pair", old: Document, new: Document, where: str) -> Iterator[str]:
    if new.get("contentType") != old.get("contentType"):
        yield f"{where}: another content type"
    if new.get("bindings") != old.get("bindings"):
        yield f"{where}: other bindings"
    for part in ("headers", "payload"):
        yield from pair.schema(old.get(part, {}), new.get(part, {}), f"{where}: {part}")


class _Pair(NamedTuple):
    """An old and a new document whose schemas are compared, and what these describe."""

    old: Document
    new: Document
    use: Use

    def old_of(self, schema: Document) -> Document:
        """The old schema itself where it is a reference within the document."""
        return _resolved(self.old, schema)

    def new_of(self, schema: Document) -> Document:
        """The new schema itself where it is a reference within the document."""
        return _resolved(self.new, schema)

    def schema(
        self, old: Document, new: Document, where: str, seen: frozenset[tuple[str, str]] = frozenset()
    ) -> Iterator[str]:
        """What is broken between two schemas, those that they refer to included."""
        references = (str(old.get("$ref", "")), str(new.get("$ref", "")))
        if all(references) and references in seen:
            return
        seen |= {references} if all(references) else frozenset()
        old, new = self.old_of(old), self.new_of(new)
        if "$ref" in old or "$ref" in new:  # another file, which is a contract of its own
            if old.get("$ref") != new.get("$ref"):
                yield f"{where or 'it'} refers to another schema"
            return
        before, after = self._branches(old, self.old), self._branches(new, self.new)
        for branch in before:
            there = _match(branch, before, after)
            if there is not None:
                yield from self._branch(branch, there, where, seen)
            elif self.use is not Use.ANSWER:
                yield f"{where or 'it'} may no longer be {_name(branch)}"
        if self.use is Use.ANSWER and before != [{}]:
            names = {_kind(branch) for branch in before}
            yield from (f"{where or 'it'} may now be {_name(branch)}" for branch in after if _kind(branch) not in names)

    def _branches(self, schema: Document, document: Document) -> list[Document]:
        """The alternatives of a schema, a schema without any being its own; a list of types is one for each."""
        schema = _resolved(document, schema)
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return [one for each in schema[word] for one in self._branches(each, document)]
        if len(schema.get("allOf", ())) == 1:
            return self._branches(schema["allOf"][0], document)
        if isinstance(schema.get("type"), list):
            return [{**schema, "type": kind} for kind in schema["type"]]
        return [schema]

    def _branch(self, old: Document, new: Document, where: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        place = where or "it"
        if _kind(new) != _kind(old) and _kind(new) != ("", ""):
            yield f"{place} has another type"
            return
        if self.use is not Use.ANSWER:
            yield from _narrowed(old, new, place)
        yield from self._object(old, new, where, seen)
        for word in ("items", "additionalProperties"):
            inside, now = old.get(word), new.get(word)
            if isinstance(inside, Mapping) and isinstance(now, Mapping):
                yield from self.schema(inside, now, f"{where}[]", seen)
        firsts, nows = old.get("prefixItems", ()), new.get("prefixItems", ())
        if len(firsts) != len(nows):
            yield f"{place} has {len(nows)} parts, not {len(firsts)}"
        for number, (inside, now) in enumerate(zip(firsts, nows, strict=False)):
            yield from self.schema(inside, now, f"{where}[{number}]", seen)

    def _object(self, old: Document, new: Document, where: str, seen: frozenset[tuple[str, str]]) -> Iterator[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        required, needed = set(old.get("required", ())), set(new.get("required", ()))
        for name, schema in before.items():
            field = f"{where}.{name}" if where else name
            if name in after:
                yield from self.schema(schema, after[name], field, seen)
            else:
                yield f"field {field} is gone"
        if self.use is not Use.ANSWER:
            yield from (f"field {_join(where, name)} is newly required" for name in sorted(needed - required))
        if self.use is not Use.ASK:
            left = sorted((required - needed) & set(after))
            yield from (f"field {_join(where, name)} is no longer always there" for name in left)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _resolved(document: Document, schema: Document) -> Document:
    """What a reference within the document means; a reference to elsewhere stays one."""
    while str(schema.get("$ref", "")).startswith("#/"):
        found: Any = document
        for step in str(schema["$ref"])[2:].split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        schema = found
    return schema


def _kind(schema: Document) -> tuple[str, str]:
    """Type and format; for a list of words without a type, the words' own."""
    kind = schema.get("type", "")
    if not kind and "const" in schema:
        kind = {str: "string", bool: "boolean", int: "integer"}.get(type(schema["const"]), "")
    return str(kind), str(schema.get("format", ""))


def _name(schema: Document) -> str:
    """A branch as a person would call it."""
    kind = " ".join(part for part in _kind(schema) if part) or "anything"
    tags = sorted(f"{name} {value}" for name, value in _tags(schema).items())
    return f"{kind} ({', '.join(tags)})" if tags else kind


def _tags(schema: Document) -> dict[str, str]:
    """The fields of an object that always hold one value, which tell the branches of a union apart."""
    fields = schema.get("properties", {})
    return {name: str(each["const"]) for name, each in fields.items() if isinstance(each, Mapping) and "const" in each}


def _match(branch: Document, before: Sequence[Document], after: Sequence[Document]) -> Document | None:
    """The branch of the new schema that goes on what this one of the old was."""
    if len(before) == len(after) == 1:
        return after[0]
    if branch in after:
        return branch
    same = [each for each in after if _kind(each) == _kind(branch) and _tags(each) == _tags(branch)]
    titled = [each for each in same if each.get("title") == branch.get("title")]
    if titled or same:
        return (titled or same)[0]
    return next((each for each in after if _kind(each) == ("", "") and not _tags(each) and "enum" not in each), None)


def _narrowed(old: Document, new: Document, place: str) -> Iterator[str]:
    words, now = _words(old), _words(new)
    if now is not None and words is None:
        yield f"{place} may only be one of {', '.join(sorted(now))}"
    elif now is not None and words is not None and words - now:
        yield f"{place} may no longer be {', '.join(sorted(words - now))}"
    for word in LOWER:
        if word in new and (word not in old or new[word] < old[word]):
            yield f"{place}: {word} is now {new[word]}"
    for word in RAISE:
        least = 0 if word.startswith("min") and word != "minimum" else None
        bound = old.get(word, least)
        if word in new and (bound is None or new[word] > bound):
            yield f"{place}: {word} is now {new[word]}"
    for word in EXACT:
        if word in new and new[word] != old.get(word):
            yield f"{place}: {word} is now {new[word]}"
    if new.get("additionalProperties") is False and old.get("additionalProperties", True) is not False:
        yield f"{place} takes no further fields"


def _words(schema: Document) -> set[str] | None:
    """The values of a schema that lists them."""
    if "const" in schema:
        return {str(schema["const"])}
    return {str(value) for value in schema["enum"]} if "enum" in schema else None
