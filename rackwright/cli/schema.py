"""`rackwright schema`: the fleet file's JSON Schema."""

from __future__ import annotations

import json

import click

from rackwright.cli.options import Command, json_option


@click.command(cls=Command)
@json_option
def schema() -> None:
    """Print the fleet file's JSON Schema for editors.

    With the first line `# yaml-language-server: $schema=…` in the fleet file, an editor completes and checks it.
    """
    from rackwright.fleet.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
