"""`rackwright restart`: restart replicas under traffic."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.names import REPLICA_HOST_OR_MODEL
from rackwright.cli.common.options import Command, allow_outage_option, common_options, pass_context, yes_option


@click.command(cls=Command)
@click.argument("name", metavar="REPLICA|HOST|MODEL", type=REPLICA_HOST_OR_MODEL)
@allow_outage_option
@yes_option
@common_options
@pass_context
def restart(context: Context, name: str, allow_outage: bool, yes: bool) -> None:
    """Restart replicas under traffic.

    Each is drained at every gateway, restarted, proven with real answers, and undrained.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.fleet.naming import replicas_named
    from rackwright.lifecycle.restart import restart as carry_out
    from rackwright.lifecycle.session.session import open_session

    replicas = replicas_named(context.fleet, name)
    addresses = [replica.address for replica in replicas]
    with (
        Console(quiet=context.json, yes=yes) as console,
        open_session(context.fleet, progress=console.on_step) as session,
    ):
        console.confirm(f"Restart {', '.join(addresses)}?")
        carry_out(session, replicas, console, allow_outage=allow_outage)
    context.answer({"restarted": addresses}, f"restarted: {', '.join(addresses)}")
