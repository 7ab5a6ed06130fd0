"""`rackwright schema`: print the JSON Schemas of the files that people write."""

from __future__ import annotations

import click

from rackwright.cli.common.options import Command, json_option
from rackwright.errors import UsageError
from rackwright.terminal import echo_json


@click.command(cls=Command)
@click.option("--golden", is_flag=True, help="Print the schema for a line of a golden set instead.")
@click.option("--migration", is_flag=True, help="Print the schema of a migration plan instead.")
@json_option
def schema(golden: bool, migration: bool) -> None:
    """Print the fleet file's JSON Schema for editors.

    With the first line `# yaml-language-server: $schema=…` in the fleet file, an editor completes and checks it.
    """
    if golden and migration:
        raise UsageError("--golden and --migration name two files", should="give one of them")
    from rackwright.fleet.schema import golden_schema, json_schema
    from rackwright.migrate.plan.plan_schema import migration_schema

    choice = golden_schema if golden else migration_schema if migration else json_schema
    echo_json(choice())
