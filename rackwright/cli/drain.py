"""`rackwright drain`: send no new requests to a replica or a host."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.names import REPLICA_HOST_OR_MODEL
from rackwright.cli.common.options import Command, common_options, pass_context, yes_option


@click.command(cls=Command)
@click.argument("name", metavar="REPLICA|HOST|MODEL", type=REPLICA_HOST_OR_MODEL)
@click.option("--reason", required=True, metavar="TEXT", help="Why; status shows it.")
@click.option("--allow-outage", is_flag=True, help="Drain even a model's last healthy replica, or the last gateway.")
@yes_option
@common_options
@pass_context
def drain(context: Context, name: str, reason: str, allow_outage: bool, yes: bool) -> None:
    """Take a replica, a host or a gateway out of service.

    Requests in flight finish first. What is drained stays drained across reloads and restarts, until `undrain`.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.fleet.naming import drainable
    from rackwright.lifecycle.drain.gateway_host import leave_manually
    from rackwright.lifecycle.drain.procedure import drain as carry_out
    from rackwright.lifecycle.session.session import open_session

    named = drainable(context.fleet, name)
    with Console(quiet=context.json, yes=yes) as console, open_session(context.fleet) as session:
        console.confirm(f"Drain {named.text}?")
        if named.replicas:
            carry_out(session, named.replicas, console, reason=reason, allow_outage=allow_outage)
        if named.gateway:
            leave_manually(session, named.gateway, console, reason=reason, allow_outage=allow_outage)
    document = {"drained": named.addresses, "gateway": named.gateway, "reason": reason}
    context.answer(document, f"drained: {named.text}")
