"""JSON Schema of the fleet file as people write it, for editors."""

from __future__ import annotations

from rackwright.fleet.model import FleetFile, Group, HostSettings

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
    lists = _part(properties, "groups")
    lists["patternProperties"] = {
        pattern: {"anyOf": [members, {"$ref": "#/$defs/Group"}]}
        for pattern, members in _part(lists, "patternProperties").items()
    }
    properties["defaults"] = {"$ref": "#/$defs/HostSettings", "description": "Settings of every host."}
    properties["extends"] = {"type": "string", "minLength": 1, "description": "A file that this one is merged over."}
    schema["anyOf"] = [{"required": ["extends"]}, {"required": schema.pop("required")}]
    _free_keys(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _free_keys(part: object) -> None:
    """Let every mapping have x- keys, and take them out of the patterns of names."""
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


def _part(schema: Schema, key: str) -> Schema:
    part = schema.setdefault(key, {})
    if not isinstance(part, dict):
        raise TypeError(f"{key} of the model's JSON Schema is not a mapping")
    return part
