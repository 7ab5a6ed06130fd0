"""What the subcommands of `rackwright backup` take."""

from __future__ import annotations

import click

from rackwright.cli.common.names import HOST

hosts_argument = click.argument("hosts", metavar="[HOST|GROUP]...", nargs=-1, type=HOST)
to_option = click.option("--to", metavar="NAME", help="Only in this repository of the fleet file.")
at_option = click.option(
    "--at", metavar="TIME|ID", help="The newest snapshot up to this time, or the one with this ID."
)
from_option = click.option("--from", "only", metavar="NAME", help="Only from this repository of the fleet file.")
