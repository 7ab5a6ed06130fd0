from __future__ import annotations

import re

from rackwright.fleet.schema import json_schema


def test_knows_what_people_write_beyond_the_resolved_model():
    properties = json_schema()["properties"]
    assert {"extends", "defaults", "groups", "hosts", "models"} <= set(properties)
    [(pattern, group)] = [item for item in properties["groups"]["patternProperties"].items() if item[0] != "^x-"]
    assert group["anyOf"][1] == {"$ref": "#/$defs/Group"}
    assert re.search(pattern, "gpu-nodes")
    assert not re.search(pattern, "x-gpu")


def test_every_mapping_takes_free_keys_and_no_unknown_ones():
    mappings = list(objects(json_schema()))
    assert len(mappings) > 15
    for mapping in mappings:
        assert mapping["patternProperties"]["^x-"] == {}
        assert mapping["additionalProperties"] is False


def test_keys_are_described_as_beside_their_attributes():
    schema = json_schema()
    assert described(schema, "llama_cpp", "parallel").startswith("Requests that one replica answers at a time")
    assert described(schema, "journald", "max_use").startswith("What the journal may take on disk")
    keys = [key for part in schema["$defs"].values() for key in part.get("properties", {}).values()]
    assert sum("description" in key for key in keys) >= 25


def described(schema, role: str, key: str) -> str:
    """Every role's settings are called Settings: each has a place of its own in the schema all the same."""
    return schema["$defs"][f"rackwright__roles__{role}__settings__Settings"]["properties"][key]["description"]


def test_every_reference_leads_somewhere():
    schema = json_schema()
    references = set(re.findall(r"'#/\$defs/(\w+)'", str(schema)))
    assert references == set(schema["$defs"]) & references
    assert "Group" in references


def test_a_file_that_extends_another_may_leave_sections_out():
    assert {"required": ["extends"]} in json_schema()["anyOf"]


def test_durations_may_be_text():
    assert json_schema()["$defs"]["Rollout"]["properties"]["drain"]["type"] == ["string", "integer"]


def objects(part):
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield part
        for below in part.values():
            yield from objects(below)
    elif isinstance(part, list):
        for below in part:
            yield from objects(below)
