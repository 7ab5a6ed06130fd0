"""`rackwright migrate rollback` and `pause`: what stops a cutover."""

from __future__ import annotations

import click

from rackwright.cli.common.context import Context, hosts_needed
from rackwright.cli.common.options import Command, common_options, pass_context
from rackwright.errors import ExitCode


@click.command(cls=Command)
@click.argument("name")
@common_options
@pass_context
def rollback(context: Context, name: str) -> int:
    """Send all requests of a migration to the cloud again.

    Asks nothing, takes no lease, and needs no plan on this machine. A cutover under way ends. Answers that run go on
    where they are. Exit code 3 if a gateway can't be reached: repeat the command, or make the panic file there.
    """
    hosts_needed()
    from rackwright.lifecycle.migrate.cutover.rollback import rollback as go_back
    from rackwright.lifecycle.rollout.change import SystemClock
    from rackwright.lifecycle.session.session import open_session
    from rackwright.roles.cutover.settings import PANIC

    with open_session(context.fleet) as session:
        done = go_back(session, name, SystemClock())
    for host, problem in done.missed.items():
        context.note(f"{host}: {problem}")
    if done.not_noted:
        context.note(f"the migration's log doesn't say so: {done.not_noted}")
    lines = [f"{host}: all requests go to the cloud" for host in done.gateways]
    if done.missed:
        lines.append(
            f"next: rackwright migrate rollback {name}; or make the file {PANIC} on each gateway not reached"
        )
    else:
        lines.append(f"next: rackwright migrate cutover {name}, which shows how it can go on")
    document = {"gateways": list(done.gateways), "missed": dict(done.missed), "not_noted": done.not_noted}
    context.answer(document, *lines)
    return ExitCode.HOSTS_FAILED if done.missed else ExitCode.DONE


@click.command(cls=Command)
@click.argument("name")
@click.argument("reason")
@common_options
@pass_context
def pause(context: Context, name: str, reason: str) -> None:
    """Keep the fleet's share as it is until `migrate resume`.

    A run of `migrate cutover` ends, on whichever machine it is. Takes no lease. The log of the migration NAME has the
    REASON.
    """
    hosts_needed()
    from rackwright.lifecycle.migrate.cutover.rollback import pause as stop
    from rackwright.lifecycle.session.session import open_session

    with open_session(context.fleet) as session:
        stop(session, name, reason)
    context.answer(
        {"paused": name, "reason": reason}, "paused; the share stays", f"next: rackwright migrate resume {name}"
    )
