"""JSON Schemas of the fleet file and of a golden set, for editors."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from textwrap import dedent
from typing import get_args, get_origin

from pydantic.json_schema import models_json_schema

from rackwright.fleet.fleet_file import FleetFile
from rackwright.fleet.golden.golden_set import Prompt
from rackwright.fleet.sections.hosts import Group, HostSettings
from rackwright.values.base import Frozen

Schema = dict[str, object]
_ON, _TRUE = "on", "true"
_BOOLEANS = {"yes": True, "no": False}
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> Schema:
    """Return the JSON Schema (2020-12) of a fleet file, including defaults, groups' settings, extends and x- keys.

    It may require a key that comes from a base file, if the same mapping has other keys; `check` decides."""
    schema = described(FleetFile, HostSettings, Group)
    properties = _part(schema, "properties")
    lists = _part(properties, "groups")
    lists["patternProperties"] = {
        pattern: {"anyOf": [members, {"$ref": "#/$defs/Group"}]}
        for pattern, members in _part(lists, "patternProperties").items()
    }
    properties["defaults"] = {"$ref": "#/$defs/HostSettings", "description": "Settings for every host."}
    properties["extends"] = {
        "type": "string",
        "minLength": 1,
        "description": "A base file; this file is merged over it.",
    }
    schema["anyOf"] = [{"required": ["extends"]}, {"required": schema.pop("required")}]
    _free_keys(schema)
    _old_yaml(schema)
    return {"$schema": DRAFT, **schema}


def golden_schema() -> Schema:
    """Return the JSON Schema (2020-12) of one line of a golden set."""
    return {"$schema": DRAFT, **described(Prompt)}


def described(file: type[Frozen], *also: type[Frozen]) -> Schema:
    """Return the schema of the first model, with the models at or below all of them as its definitions."""
    models = list(dict.fromkeys(found for model in (file, *also) for found in _models(model)))
    # All in one call: every role's settings are named Settings, and this way each gets a unique name.
    references, written = models_json_schema([(model, "validation") for model in models])
    definitions = _part(written, "$defs")
    for model in models:
        _describe(model, _part(definitions, _name(references[model, "validation"])))
    top = definitions.pop(_name(references[file, "validation"]))
    return {**(top if isinstance(top, dict) else {}), "$defs": definitions}


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _describe(model: type[Frozen], schema: Schema) -> None:
    """Use the docstring below each attribute as the description of its key.

    pydantic can do this, too, but reads the source of each model again at every start.
    """
    properties = _part(schema, "properties")
    for attribute, text in _texts(model):
        _part(properties, model.model_fields[attribute].alias or attribute)["description"] = text


def _models(kind: object) -> Iterator[type[Frozen]]:
    """Return every model at or below a type."""
    if isinstance(kind, type) and not get_origin(kind) and issubclass(kind, Frozen):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation)
    for part in get_args(kind):
        yield from _models(part)


def _texts(model: type[Frozen]) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(dedent(inspect.getsource(model))).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for field, below in pairwise(body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            yield field.target.id, inspect.cleandoc(str(below.value.value))


def _free_keys(part: object) -> None:
    """Permit x- keys in every mapping, and exclude them from the patterns of names."""
    if isinstance(part, list):
        for item in part:
            _free_keys(item)
    if not isinstance(part, dict):
        return
    for below in part.values():
        _free_keys(below)
    if part.get("type") == "object":
        named = {
            pattern.replace("^", "^(?!x-)", 1): below for pattern, below in _part(part, "patternProperties").items()
        }
        part["patternProperties"] = {"^x-": {}, **named}
        part["additionalProperties"] = False


def _old_yaml(part: object) -> None:
    """Permit what YAML 1.1 makes of `on`, `yes` and `no`: the key true, and the values true and false."""
    if isinstance(part, list):
        for item in part:
            _old_yaml(item)
    if not isinstance(part, dict):
        return
    for below in part.values():
        _old_yaml(below)
    words = part.get("enum")
    if isinstance(words, list) and (also := [value for word, value in _BOOLEANS.items() if word in words]):
        part["enum"] = [*words, *also]
        part["type"] = ["string", "boolean"]
    properties = part.get("properties")
    if not isinstance(properties, dict) or _ON not in properties or part.get("type") != "object":
        return
    properties[_TRUE] = properties[_ON]
    required = part.get("required")
    if isinstance(required, list) and _ON in required:
        part["required"] = [key for key in required if key != _ON]
        part["oneOf"] = [{"required": [_ON]}, {"required": [_TRUE]}]


def _part(schema: Schema, key: str) -> Schema:
    part = schema.setdefault(key, {})
    if not isinstance(part, dict):
        raise TypeError(f"{key} of the model's JSON Schema is not a mapping")
    return part
