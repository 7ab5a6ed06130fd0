from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML


@pytest.fixture(scope="module")
def schema():
    """Return the schema as the command prints it, from a separate process: CPython 3.11 counts ast.parse's depth in
    one place (python/cpython#106905), and in the process of other tests it sometimes failed."""
    command = [sys.executable, "-m", "rackwright", "schema"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_knows_what_people_write_beyond_the_resolved_model(schema):
    properties = schema["properties"]
    assert {"extends", "defaults", "groups", "hosts", "models"} <= set(properties)
    [(pattern, group)] = [item for item in properties["groups"]["patternProperties"].items() if item[0] != "^x-"]
    assert group["anyOf"][1] == {"$ref": "#/$defs/Group"}
    assert re.search(pattern, "gpu-nodes")
    assert not re.search(pattern, "x-gpu")


def test_every_mapping_takes_free_keys_and_no_unknown_ones(schema):
    mappings = list(objects(schema))
    assert len(mappings) > 15
    for mapping in mappings:
        assert mapping["patternProperties"]["^x-"] == {}
        assert mapping["additionalProperties"] is False


def test_keys_are_described_as_beside_their_attributes(schema):
    assert described(schema, "llama_cpp", "parallel").startswith("Requests that one replica answers at a time")
    assert described(schema, "journald", "system_max_use").startswith("Disk space that the journal may use")
    keys = [key for part in schema["$defs"].values() for key in part.get("properties", {}).values()]
    assert sum("description" in key for key in keys) >= 25


def described(schema, role: str, key: str) -> str:
    """Every role's settings class is named Settings, but each has a separate entry in the schema."""
    return schema["$defs"][f"rackwright__roles__{role}__settings__Settings"]["properties"][key]["description"]


def test_every_reference_leads_somewhere(schema):
    references = set(re.findall(r"'#/\$defs/(\w+)'", str(schema)))
    assert references == set(schema["$defs"]) & references
    assert "Group" in references


def test_a_file_that_extends_another_may_leave_sections_out(schema):
    assert {"required": ["extends"]} in schema["anyOf"]


def test_an_editor_that_reads_yaml_1_1_finds_no_mistake_in_the_example(schema):
    reader = YAML(typ="safe")
    reader.version = (1, 1)
    text = (Path(__file__).parents[2] / "inventory/example.yml").read_text()
    document = json.loads(json.dumps(reader.load(text), default=str))
    assert "true" in document["gateway"]
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(document)] == []
    del document["gateway"]["true"]
    assert [error.absolute_path[0] for error in validator.iter_errors(document)] == ["gateway"]


def test_durations_may_be_text(schema):
    assert schema["$defs"]["Rollout"]["properties"]["drain_timeout"]["type"] == ["string", "integer"]


def objects(part):
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield part
        for below in part.values():
            yield from objects(below)
    elif isinstance(part, list):
        for below in part:
            yield from objects(below)
