"""`rackwright undrain`: let a drained replica or host take requests again."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.names import REPLICA_HOST_OR_MODEL
from rackwright.cli.common.options import Command, common_options, pass_context


@click.command(cls=Command)
@click.argument("name", metavar="REPLICA|HOST|MODEL", type=REPLICA_HOST_OR_MODEL)
@common_options
@pass_context
def undrain(context: Context, name: str) -> None:
    """Let a drained replica, host or gateway take requests again."""
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.fleet.naming import drainable
    from rackwright.lifecycle.drain.gateway_host import rejoin_manually
    from rackwright.lifecycle.drain.procedure import undrain as carry_out
    from rackwright.lifecycle.session.session import open_session

    named = drainable(context.fleet, name)
    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        if named.replicas:
            carry_out(session, named.replicas, console)
        if named.gateway:
            rejoin_manually(session, named.gateway, console)
    context.answer({"undrained": named.addresses, "gateway": named.gateway}, f"undrained: {named.text}")
