"""`rackwright migrate init`: a migration plan to start from."""

from __future__ import annotations

from pathlib import Path

import click

from rackwright.cli.common.context import Context
from rackwright.cli.common.options import Command, common_options, pass_context


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "--new-key",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also make a key pair of age: the private key goes to FILE, the public one into the plan.",
)
@common_options
@pass_context
def init(context: Context, name: str, new_key: Path | None) -> None:
    """Write a commented plan, with the fleet's cloud and models.

    The migration is called NAME. Asks nothing, needs no host and never overwrites a file. A FILE that git would track
    is refused.
    """
    from rackwright.lifecycle.migrate.new_migration import begin

    done = begin(context.fleet, name, new_key)
    document = {"plan": str(done.plan), "key": str(done.key) if done.key else None}
    lines = [f"{done.plan} written."]
    if done.key:
        lines.append(f"{done.key} written: the only key that reads the records. Keep a copy in a safe place.")
    lines.append(f"next: fill in the keys without a value, then rackwright migrate status {name}")
    context.answer(document, *lines)
