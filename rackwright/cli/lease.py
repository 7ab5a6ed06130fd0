"""`rackwright lease`: which operator is changing the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.options import Group, common_options, confirm, pass_context, yes_option

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.lifecycle.control.move import Moved
    from rackwright.state.journal import Entry
    from rackwright.state.lease import Lease


@click.group(cls=Group)
def lease() -> None:
    """Show, break or move the lease on the fleet.

    Only one operator at a time can change a fleet. A lease lasts a minute, is renewed while its owner works, and
    expires if the owner is gone.
    """


@lease.command()
@common_options
@pass_context
def show(context: Context) -> None:
    """Show who has the lease, since when and why, and whether a rollout is open."""
    hosts_needed()
    from rackwright.lifecycle.session.lease import control_store
    from rackwright.state.journal import open_rollout

    with control_store(context.fleet) as (store, _):
        found, opened = store.show(), open_rollout(store.entries())
    context.answer({"lease": _document(found), "rollout": _rollout(opened)}, *_lines(found, opened))


@lease.command(name="break")
@click.option("--reason", required=True, help="Why; written into the audit log.")
@yes_option
@common_options
@pass_context
def break_(context: Context, reason: str, yes: bool) -> None:
    """Break the lease, even a live one. Its owner's run stops before its next change."""
    hosts_needed()
    from rackwright.lifecycle.session.lease import break_lease, control_store

    with control_store(context.fleet) as (store, shell):
        found = store.show()
        if found is None:
            context.answer({"broken": None}, "there is no lease")
            return
        context.note(*_lines(found, None))
        confirm("Break this lease?", yes=yes)
        break_lease(context.fleet, store, shell, found, reason)
    context.answer({"broken": _document(found)}, f"the lease of {found.owner.who} is broken")


@lease.command()
@click.option("--former-gone", is_flag=True, help="Continue although the former control host is unreachable.")
@yes_option
@common_options
@pass_context
def move(context: Context, former_gone: bool, yes: bool) -> None:
    """Move the lease, the journal and all other control data to the control hosts that the fleet file names.

    The lock records them afterwards: commit it. Refused while the fleet is leased, a rollout is open or a scheduled
    run works. Needed after `control:` has changed, or after `apply` has set up further control hosts.
    """
    hosts_needed()
    from rackwright.cli.common.console import Console
    from rackwright.lifecycle.control.move import move_control

    with Console(quiet=context.json, yes=yes) as console:
        moved = move_control(context.fleet, console, former_gone=former_gone)
    document: Json = {
        "control_hosts": list(moved.hosts),
        "former": list(moved.former),
        "copied": moved.copied,
        "lock_changed": moved.locked,
    }
    context.answer(document, *_moved(moved, context.fleet))


def _moved(moved: Moved, fleet: Fleet) -> list[str]:
    from rackwright.values.text import enumerated

    are = "is the control host" if len(moved.hosts) == 1 else "are the control hosts"
    said = f"{enumerated(moved.hosts)} {are}"
    if moved.former:
        kept = "with the data of" if moved.copied else "without the data of"
        said += f" now, {kept} {enumerated(moved.former)}"
    if not moved.locked:
        return [said]
    then = f"next: commit {fleet.sibling('lock').name}, which records this"
    if tools := fleet.tool_hosts:
        then += f"; then rackwright apply, because the tool on {enumerated(tools)} works on the applied lock"
    return [said, then]


def _lines(found: Lease | None, opened: Entry | None) -> list[str]:
    lines = ["there is no lease"]
    if found:
        ends = (
            f"expires in {found.seconds_left} s unless it is renewed" if found.live else "expired: its owner is gone"
        )
        lines = [f"{found}", f"{'live' if found.live else 'stale'}; {ends}; kept on {found.where}"]
    if opened:
        lines.append(f"the rollout {opened.rollout} of {opened.operator} is open: {opened.detail}")
    return lines


def _document(found: Lease | None) -> Json:
    if found is None:
        return None
    from rackwright.state.formats import stamp

    return {
        "who": found.owner.who,
        "machine": found.owner.machine,
        "why": found.owner.why,
        "run": found.owner.run,
        "since": stamp(found.since),
        "expires": stamp(found.expires),
        "live": found.live,
        "token": found.token,
        "control_host": found.where,
    }


def _rollout(opened: Entry | None) -> Json:
    return {"id": opened.rollout, "operator": opened.operator, "what": opened.detail} if opened else None
