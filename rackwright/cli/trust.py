"""`rackwright trust`: show the hosts' SSH keys and pin them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rackwright.cli.common.context import Context, Json, hosts_needed
from rackwright.cli.common.names import HOST
from rackwright.cli.common.options import Command, common_options, confirm, pass_context, yes_option
from rackwright.errors import ExitCode, HostKeyError

if TYPE_CHECKING:
    from rackwright.fleet.fleet import Fleet
    from rackwright.lifecycle.trust import Shown
    from rackwright.values.targets import Target


@click.command(cls=Command)
@click.argument("hosts", nargs=-1, metavar="[HOST|GROUP]...", type=HOST)
@yes_option
@common_options
@pass_context
def trust(context: Context, hosts: tuple[str, ...], yes: bool) -> int:
    """Show the hosts' SSH keys and pin them.

    Without HOST, it shows all hosts, and the scratch hosts of drills. Compare the fingerprints with those on the
    machine's console or from the data center. If a key has changed since it was pinned, it is replaced only if you
    name its host here.
    """
    hosts_needed()
    from rackwright.lifecycle.trust import jump_hosts

    chosen = _chosen(context.fleet, hosts)
    shown: tuple[Shown, ...] = ()
    for group in (jump_hosts(chosen), chosen):
        shown += _pin(context, group, named=bool(hosts), yes=yes)
    lost = [one for one in shown if one.key is None]
    document: Json = {"hosts": [_document(one) for one in shown]}
    context.answer(document, f"{len(shown) - len(lost)} pinned in {context.fleet.sibling('known_hosts')}")
    return ExitCode.HOSTS_FAILED if lost else ExitCode.DONE


def _chosen(fleet: Fleet, names: tuple[str, ...]) -> tuple[Target, ...]:
    """Return the named hosts and scratch hosts; without names, all of them."""
    from rackwright.fleet.naming import hosts_named
    from rackwright.fleet.targets import scratch_targets, targets

    scratch = {target.name: target for target in scratch_targets(fleet)}
    others = tuple(name for name in names if name not in scratch)
    hosts = targets(fleet, hosts_named(fleet, others)) if others or not names else ()
    return (*hosts, *(target for target in scratch.values() if target.name in names or not names))


def _pin(context: Context, targets: tuple[Target, ...], *, named: bool, yes: bool) -> tuple[Shown, ...]:
    from rackwright.lifecycle.trust import State, look, pin_all

    shown = look(targets)
    for one in shown:
        context.note(f"{one.target.name:<12} {one.target.address:<16} {_found(one)}")
    changed = [one for one in shown if one.state is State.CHANGED]
    if changed and not named:
        names = " ".join(one.target.name for one in changed)
        raise HostKeyError(
            "has a different key than the pinned one",
            where=names,
            should="either the host was reinstalled, or the connection is intercepted",
            next=f"rackwright trust {names}",
        )
    wanted = [one for one in shown if one.state in (State.NEW, State.CHANGED)]
    if wanted:
        keys = "key" if len(wanted) == 1 else "keys"
        confirm(f"Pin {len(wanted)} {keys}?", yes=yes)
        pin_all(wanted)
    return shown


def _found(one: Shown) -> str:
    return f"{one.key.type} {one.key.fingerprint} {one.state}" if one.key else f"{one.state}: {one.problem}"


def _document(one: Shown) -> Json:
    return {
        "host": one.target.name,
        "address": one.target.address,
        "type": one.key.type if one.key else None,
        "fingerprint": one.fingerprint,
        "was": one.state.value,
        "problem": one.problem,
    }
