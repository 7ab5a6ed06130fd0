"""Wipe what killed drills left on scratch hosts."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import LeasedError, RackwrightError, together
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import scratch_targets
from rackwright.lifecycle.drill.evidence.folder import folder_of, is_id, is_running
from rackwright.lifecycle.drill.guard import anything, wipe_and_lift
from rackwright.lifecycle.drill.scope import section_of
from rackwright.lifecycle.drill.scratch_hosts.identity import Identity, ask
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker, claim
from rackwright.lifecycle.drill.scratch_hosts.scratch import each_outcome, on_each
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.operator import operator_of
from rackwright.remote import Remote
from rackwright.run import new_run_id
from rackwright.state.formats import utc_now


def clean_up(fleet: Fleet, console: Console) -> tuple[str, ...]:
    """Wipe the scratch hosts that have a marker of this fleet, after asking; return their names.

    Raise LeasedError if a drill on this machine uses one, HostError if a scratch host can't be asked (the others are
    wiped), ProofError if one isn't proven to be wiped.
    """
    section_of(fleet)
    with Remote(scratch_targets(fleet)) as remote:
        scratch = {name: remote.connection(name) for name in remote.names}
        asked = each_outcome(scratch, ask)
        lost = [one for one in asked.values() if isinstance(one, RackwrightError)]
        found = {name: one for name, one in asked.items() if isinstance(one, Identity)}
        left = {name: one for name, one in found.items() if one.marker and one.marker.fleet == fleet.file.fleet}
        for name, one in left.items():
            assert one.marker  # noqa: S101
            console.say(
                f"{name}: the drill {one.marker.drill} of {one.marker.who}; its last sign is {one.seen} s old"
            )
        _refuse_running(fleet, left)
        if lost and not left:
            raise together(lost)
        if not left:
            return ()
        console.confirm(f"Wipe {', '.join(left)}?")
        marker = Marker(fleet=fleet.file.fleet, drill=new_run_id(), who=operator_of(fleet).who, time=utc_now())
        hosts = {name: scratch[name] for name in left}
        known = {scratch[name].name: one.marker_sha256 for name, one in left.items()}
        on_each(hosts, lambda connection: claim(connection, marker, found=known[connection.name]))
        wipe_and_lift(hosts, dict.fromkeys(hosts, anything(fleet)), marker)
        if lost:
            console.say(f"wiped: {', '.join(left)}")
            raise together(lost)
        return tuple(left)


def _refuse_running(fleet: Fleet, left: Mapping[str, Identity]) -> None:
    """Raise LeasedError if one of these hosts is used by a drill that runs on this machine."""
    for name, one in left.items():
        if one.marker and is_id(one.marker.drill) and is_running(folder_of(fleet.path), one.marker.drill):
            raise LeasedError(
                f"the drill {one.marker.drill} runs on this machine, and wipes it at its end",
                where=name,
                should="stop the drill with Ctrl-C, or wait",
            )
