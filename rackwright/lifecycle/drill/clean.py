"""Wipe what killed drills left on scratch hosts."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import LeasedError, RackwrightError, together
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import scratch_targets, targets
from rackwright.lifecycle.drill.evidence.folder import folder_of, is_id, is_running
from rackwright.lifecycle.drill.guard import anything, wipe_and_lift
from rackwright.lifecycle.drill.scope import section_of
from rackwright.lifecycle.drill.scratch_hosts.destinations import repository_servers
from rackwright.lifecycle.drill.scratch_hosts.fleet_addresses import production_of
from rackwright.lifecycle.drill.scratch_hosts.identity import Identity
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker, claim
from rackwright.lifecycle.drill.scratch_hosts.not_production import Production, ask_all, compare, may_serve, refusal
from rackwright.lifecycle.drill.scratch_hosts.scratch import each_outcome, on_each
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.operator import operator_of
from rackwright.remote import Connection, Remote
from rackwright.run import new_run_id
from rackwright.state.formats import utc_now


def clean_up(fleet: Fleet, console: Console) -> tuple[str, ...]:
    """Wipe the scratch hosts that have a marker of this fleet, after asking; return their names.

    Raise LeasedError if a drill on this machine uses one, HostError if a scratch host can't be asked, ProofError if
    one is a machine of the fleet, may serve, or isn't proven to be wiped. The others are wiped.
    """
    section = section_of(fleet)
    with Remote((*targets(fleet), *scratch_targets(fleet))) as remote:
        scratch = {name: remote.connection(name) for name in section.hosts}
        hosts = {name: remote.connection(name) for name in fleet.hosts}
        production = production_of(fleet, None, hosts, repository_servers(fleet))
        asked = each_outcome(scratch, lambda connection: ask_all(connection, production))
        lost = [one for one in asked.values() if isinstance(one, RackwrightError)]
        found = {name: one for name, one in asked.items() if isinstance(one, Identity)}
        marked = {name: one for name, one in found.items() if one.marker and one.marker.fleet == fleet.file.fleet}
        for name, one in marked.items():
            assert one.marker  # noqa: S101
            console.say(
                f"{name}: the drill {one.marker.drill} of {one.marker.who}; its last sign is {one.seen} s old"
            )
        _refuse_running(fleet, marked)
        left, refused = _without_production(scratch, marked, production, console)
        lost += refused
        if left:
            console.confirm(f"Wipe {', '.join(left)}?")
            _wipe(fleet, {name: scratch[name] for name in left}, left)
        if lost:
            if left:
                console.say(f"wiped: {', '.join(left)}")
            raise together(lost)
        return tuple(left)


def _without_production(
    scratch: Mapping[str, Connection], marked: Mapping[str, Identity], production: Production, console: Console
) -> tuple[Mapping[str, Identity], list[RackwrightError]]:
    """Return the hosts that neither are machines of the fleet nor serve, and an error for each other one."""
    if not marked:
        return {}, []
    compared = compare(scratch, marked, production)
    for check in compared.unknown:
        console.say(check.found)
    serving = may_serve(scratch, marked, production)
    problems = {name: (*compared.problems[name], *serving[name]) for name in marked}
    refused = {name: refusal(found) for name, found in problems.items() if found}
    return {name: one for name, one in marked.items() if name not in refused}, list(refused.values())


def _wipe(fleet: Fleet, hosts: Mapping[str, Connection], left: Mapping[str, Identity]) -> None:
    marker = Marker(fleet=fleet.file.fleet, drill=new_run_id(), who=operator_of(fleet).who, time=utc_now())
    known = {hosts[name].name: one.marker_sha256 for name, one in left.items()}
    on_each(hosts, lambda connection: claim(connection, marker, found=known[connection.name]))
    wipe_and_lift(hosts, dict.fromkeys(hosts, anything(fleet)), marker)


def _refuse_running(fleet: Fleet, left: Mapping[str, Identity]) -> None:
    """Raise LeasedError if one of these hosts is used by a drill that runs on this machine."""
    for name, one in left.items():
        if one.marker and is_id(one.marker.drill) and is_running(folder_of(fleet.path), one.marker.drill):
            raise LeasedError(
                f"the drill {one.marker.drill} runs on this machine, and wipes it at its end",
                where=name,
                should="stop the drill with Ctrl-C, or wait",
            )
