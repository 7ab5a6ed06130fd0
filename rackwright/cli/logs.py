"""`rackwright logs`: show the logs of a replica or a host."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.names import REPLICA_OR_HOST
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.terminal import echo


@click.command(cls=Command)
@click.argument("name", metavar="REPLICA|HOST", type=REPLICA_OR_HOST)
@click.option(
    "-n", "--lines", default=100, show_default=True, type=click.IntRange(1, 100_000), help="Number of lines."
)
@click.option("--follow", is_flag=True, help="Keep printing new lines until Ctrl-C.")
@common_options
@pass_context
def logs(context: Context, name: str, lines: int, follow: bool) -> None:
    """Show the logs of a replica or a host.

    A replica is HOST/MODEL@N, or MODEL@N if only one host has it. Engines don't log prompts.
    """
    hosts_needed()
    from rackwright.fleet.naming import replica_named
    from rackwright.fleet.targets import targets
    from rackwright.lifecycle.logs import OURS, units_of
    from rackwright.lifecycle.logs import logs as read
    from rackwright.remote import Remote

    is_host = name in context.fleet.hosts
    replica = None if is_host else replica_named(context.fleet, name)
    host, units = (replica.host, units_of(replica.name)) if replica else (name, OURS)
    with Remote(targets(context.fleet, (host,))) as remote:
        found = read(remote.connection(host), units, lines=lines, follow=follow and not context.json)
        if context.json:
            context.answer({"host": host, "units": list(units), "lines": list(found)})
            return
        for line in found:
            echo(line)
