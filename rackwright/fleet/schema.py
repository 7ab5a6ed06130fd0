"""JSON Schema of the fleet file as people write it, for editors."""

from __future__ import annotations

from rackwright.fleet.load import Group
from rackwright.fleet.model import FleetFile, HostSettings

Schema = dict[str, object]


def json_schema() -> Schema:
    """Return the JSON Schema (2020-12) of a fleet file: with defaults, groups' settings, extends and free x- keys.

    A key that may come from a base file is still asked for where the same mapping has others; `check` decides."""
    schema: Schema = FleetFile.model_json_schema()
    definitions = _part(schema, "$defs")
    for model in (HostSettings, Group):
        written: Schema = model.model_json_schema()
        definitions |= _part(written, "$defs")
        definitions[model.__name__] = {key: value for key, value in written.items() if key != "$defs"}
    properties = _part(schema, "properties")
    properties["groups"] = _groups(properties["groups"])
    properties["defaults"] = {"$ref": "#/$defs/HostSettings", "description": "Settings of every host."}
    properties["extends"] = {"type": "string", "minLength": 1, "description": "A file that this one is merged over."}
    required = schema.pop("required")
    schema["anyOf"] = [{"required": ["extends"]}, {"required": required}]
    for part in [schema, *definitions.values()]:
        _free_keys(part)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _groups(lists: object) -> Schema:
    groups = dict(lists) if isinstance(lists, dict) else {}
    for key in ("additionalProperties", "patternProperties"):
        if key in groups:
            groups[key] = _with_settings(groups[key], is_patterns=key == "patternProperties")
    return groups


def _with_settings(members: object, *, is_patterns: bool) -> object:
    if is_patterns and isinstance(members, dict):
        return {pattern: _with_settings(below, is_patterns=False) for pattern, below in members.items()}
    return {"anyOf": [members, {"$ref": "#/$defs/Group"}]}


def _free_keys(part: object) -> None:
    if isinstance(part, dict) and part.get("type") == "object" and "properties" in part:
        part["patternProperties"] = {"^x-": {}}


def _part(schema: Schema, key: str) -> Schema:
    part = schema.setdefault(key, {})
    if not isinstance(part, dict):
        raise TypeError(f"{key} of the model's JSON Schema is not a mapping")
    return part
