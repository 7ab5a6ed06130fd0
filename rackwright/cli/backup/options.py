"""What the subcommands of `rackwright backup` take."""

from __future__ import annotations

import click

hosts_argument = click.argument("hosts", metavar="[HOST|GROUP]...", nargs=-1)
to_option = click.option("--to", metavar="NAME", help="Only in this repository of the fleet file.")
