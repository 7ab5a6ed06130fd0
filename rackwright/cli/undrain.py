"""`rackwright undrain`: let a drained replica or host take requests again."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context


@click.command(cls=Command)
@click.argument("name", metavar="REPLICA|HOST|MODEL")
@common_options
@pass_context
def undrain(context: Context, name: str) -> None:
    """Let a drained replica or host take requests again."""
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.fleet.naming import replicas_named
    from rackwright.lifecycle.drain.procedure import undrain as carry_out
    from rackwright.lifecycle.session.session import open_session

    replicas = replicas_named(context.fleet, name)
    addresses = [replica.address for replica in replicas]
    with Console(quiet=context.json, yes=True) as console, open_session(context.fleet) as session:
        carry_out(session, replicas, console)
    context.answer({"undrained": addresses}, f"undrained: {', '.join(addresses)}")
