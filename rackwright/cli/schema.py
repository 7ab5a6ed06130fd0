"""`rackwright schema`: print the JSON Schemas of the files that people write."""

from __future__ import annotations

import click

from rackwright.cli.common.options import Command, json_option
from rackwright.terminal import echo_json


@click.command(cls=Command)
@click.option("--golden", is_flag=True, help="Print the schema for a line of a golden set instead.")
@json_option
def schema(golden: bool) -> None:
    """Print the fleet file's JSON Schema for editors.

    With the first line `# yaml-language-server: $schema=…` in the fleet file, an editor completes and checks it.
    """
    from rackwright.fleet.schema import golden_schema, json_schema

    echo_json(golden_schema() if golden else json_schema())
