from __future__ import annotations

from jsonschema import Draft202012Validator

from tests.cli.command_line import rackwright


def test_the_schema_is_a_document_with_and_without_json():
    ran = rackwright("schema")
    assert ran.exit_code == 0
    assert {"fleet", "hosts", "models"} <= set(ran.document["properties"])
    assert rackwright("schema", "--json").stdout == ran.stdout


def test_a_golden_sets_schema_knows_its_lines():
    document = rackwright("schema", "--golden").document
    good = {"id": "a", "messages": [{"role": "user", "content": "?"}], "check": {"exact": "b"}}
    validator = Draft202012Validator(document)
    assert validator.is_valid(good)
    wrong = [good | {"chek": 1}, good | {"check": {}}, good | {"check": {"exact": "a", "regex": "b"}}, {"id": "a"}]
    assert not any(map(validator.is_valid, wrong))
    assert rackwright("schema", "--golden", "--json").document == document
