from __future__ import annotations

from tests.cli.command_line import rackwright


def test_the_schema_is_a_document_with_and_without_json():
    ran = rackwright("schema")
    assert ran.exit_code == 0
    assert {"fleet", "hosts", "models"} <= set(ran.document["properties"])
    assert rackwright("schema", "--json").stdout == ran.stdout
