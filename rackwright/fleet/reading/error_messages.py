"""pydantic's errors, translated to the fleet file's terms and lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rackwright.fleet.reading.nodes import AnyNode, Entries, Findings, Items, Node, Scalar, plain

M = TypeVar("M", bound=BaseModel)

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "mapping_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


def did_you_mean(word: str, words: Iterable[str]) -> str | None:
    """Return "did you mean …?" with the most similar of the words, or None if none is similar."""
    # Imported only if there is a mistake.
    from difflib import get_close_matches

    near = get_close_matches(word, list(words), 1, 0.6)
    return f"did you mean '{near[0]}'?" if near else None


def validated(model: type[M], node: AnyNode, findings: Findings, also: tuple[str, ...] = ()) -> M | None:
    """Return a node as the model, or None with every problem added to `findings`.

    `also` are further keys that are permitted at the top level: they were read before."""
    try:
        # Strict JSON accepts a list as a tuple and text as an address, but not true as a number or "22" as a port.
        return model.model_validate_json(json.dumps(plain(node)), strict=True)
    except ValidationError as error:
        _reword(_Schema(model, also), node, error.errors(include_url=False), findings)
        return None


def _reword(schema: _Schema, root: AnyNode, errors: list[ErrorDetails], findings: Findings) -> None:
    wrong: dict[int, tuple[Node, set[str]]] = {}
    for error in errors:
        node, missing = _located(root, error["loc"])
        if error["type"] == "union_tag_invalid" and isinstance(node, Entries):
            node = _tag(node, error)
        if error["type"] == "union_tag_not_found":
            findings.more(node, f"missing key {error.get('ctx', {}).get('discriminator')}")
        elif error["type"] == "missing":
            findings.more(node, f"missing key '{missing}'")
        elif error["type"] == "extra_forbidden":
            keys = schema.keys(error["loc"][:-1])
            should = did_you_mean(str(error["loc"][-1]), keys) or f"keys here: {', '.join(keys)}"
            findings.add(_key(root, error["loc"]) or node, "unknown key", should)
        elif error["type"] == "too_short" and _has_entries(node):
            # pydantic counts only the valid entries.
            continue
        elif error["type"] in _KINDS:
            wrong.setdefault(id(node), (node, set()))[1].add(_KINDS[error["type"]])
        else:
            place = _key(root, error["loc"][:-1]) or node if error["loc"][-1:] == ("[key]",) else node
            findings.add(place, *_phrase(error, node))
    for node, kinds in wrong.values():
        findings.add(node, *_kind(node, sorted(kinds)))


def _has_entries(node: Node) -> bool:
    return bool(isinstance(node, Items) and node.items) or bool(isinstance(node, Entries) and node.entries)


def _located(root: AnyNode, loc: tuple[int | str, ...]) -> tuple[Node, str]:
    """Return the deepest node on the path, and the last step. Steps that name a branch of a union are skipped."""
    node: AnyNode = root
    for step in loc:
        if isinstance(node, Entries) and step in node.entries:
            node = node.entries[str(step)].value
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
    return node, str(loc[-1]) if loc else ""


def _tag(node: Entries, error: ErrorDetails) -> Node:
    """Return the node of the key that selects a branch of the union."""
    entry = node.entries.get(str(error.get("ctx", {}).get("discriminator", "")).strip("'"))
    return entry.value if entry else node


def _key(root: AnyNode, loc: tuple[int | str, ...]) -> Scalar | None:
    parent, _ = _located(root, loc[:-1])
    entry = parent.entries.get(str(loc[-1])) if isinstance(parent, Entries) and loc else None
    return entry.key if entry else None


def _kind(node: Node, kinds: list[str]) -> tuple[str, str | None]:
    if isinstance(node, Scalar) and node.value is None:
        return "has no value", f"should be {' or '.join(kinds)}"
    if {"a number", "a whole number"} <= set(kinds):
        kinds = [kind for kind in kinds if kind != "a whole number"]
    what = f"should be {' or '.join(kinds)}"
    if kinds == ["text"] and isinstance(node, Scalar):
        return what, f'put it in quotes: "{node.text}"'
    if "a list" in kinds and isinstance(node, Scalar):
        return what, f"write [{node.text}]" if len(node.text) < 60 and node.text.isprintable() else None
    return what, None


def _phrase(error: ErrorDetails, node: Node) -> tuple[str, str | None]:
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "value_error":
        what, _, should = str(context["error"]).partition("; ")
        return what, should or None
    if kind == "literal_error":
        expected = str(context["expected"])
        word = node.text if isinstance(node, Scalar) else ""
        return f"should be {expected}", did_you_mean(
            word, expected.replace("'", "").replace(" or ", ", ").split(", ")
        )
    if kind == "union_tag_invalid":
        expected = str(context["expected_tags"])
        near = did_you_mean(str(context["tag"]), expected.replace("'", "").split(", "))
        return f"should be {expected.replace(', ', ' or ')}", near
    if kind in ("greater_than_equal", "less_than_equal"):
        limit = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
        return f"should be {limit}{_unit(node)}", None
    if kind == "too_short":
        return "is empty", "should have at least one entry"
    if kind == "string_too_long":
        return f"should have at most {context['max_length']} characters", None
    return error["msg"][:1].lower() + error["msg"][1:], None


def _unit(node: Node) -> str:
    """Return the unit of a limit if the value was written as a duration or size; a bare number would be unclear."""
    if not (isinstance(node, Scalar) and isinstance(node.value, str)):
        return ""
    return " seconds" if node.value[-1:] in ("s", "m", "h", "d") else " bytes"


class _Schema:
    """Finds the keys that are permitted at a place, in a model's JSON Schema."""

    def __init__(self, model: type[BaseModel], also: tuple[str, ...]) -> None:
        self.also = also
        self.root = _json_schema(model)

    def keys(self, loc: tuple[int | str, ...]) -> list[str]:
        places = self._branches(self.root)
        for step in loc:
            below = [branch for place in places for branch in self._below(place, step)]
            places = below or places
        names = [name for place in places for name in _mapping(place.get("properties"))]
        return list(dict.fromkeys(names if loc else [*names, *self.also]))

    def _below(self, place: Mapping[str, object], step: int | str) -> list[Mapping[str, object]]:
        if isinstance(step, int):
            return self._branches(place.get("items"))
        properties = _mapping(place.get("properties"))
        if step in properties:
            return self._branches(properties[step])
        free = [place.get("additionalProperties"), *_mapping(place.get("patternProperties")).values()]
        return [branch for one in free for branch in self._branches(one)]

    def _branches(self, schema: object) -> list[Mapping[str, object]]:
        place = _mapping(schema)
        if isinstance(reference := place.get("$ref"), str):
            place = _mapping(_mapping(self.root.get("$defs")).get(reference.rsplit("/", 1)[-1]))
        several = place.get("anyOf") or place.get("oneOf")
        if isinstance(several, list):
            return [branch for one in several for branch in self._branches(one)]
        return [place] if place else []


@cache
def _json_schema(model: type[BaseModel]) -> Mapping[str, object]:
    return model.model_json_schema()


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
