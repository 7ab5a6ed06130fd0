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


def test_a_migration_plans_schema_knows_its_keys():
    document = rackwright("schema", "--migration").document
    validator = Draft202012Validator(document)
    good = {
        "format": "migration-plan/1",
        "migration": "support",
        "intent": "the contract ends",
        "cloud": "openai",
        "models": {"gpt-4o-mini": "assistant"},
        "records": {"recipient": f"age1{'q' * 58}", "identity": "file:key"},
        "replay": {"budget": 50, "hours": ["daily 20:00-06:00"]},
        "currency": "EUR",
        "prices": {"gpt-4o-mini": {"input": 1, "output": 2.5}},
    }
    assert [*validator.iter_errors(good)] == []
    wrong = [good | {"models": {}}, good | {"pric": 1}, good | {"currency": "euro"}, {"format": "migration-plan/1"}]
    assert not any(map(validator.is_valid, wrong))
    assert document["properties"]["cloud"]["description"].startswith("One of the fleet file's")


def test_one_schema_at_a_time():
    ran = rackwright("schema", "--golden", "--migration")
    assert ran.exit_code == 2
    assert "give one of them" in ran.stderr
