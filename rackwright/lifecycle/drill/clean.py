"""Wipe what killed drills left on scratch hosts."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import scratch_targets
from rackwright.lifecycle.drill.guard import anything, wipe_and_lift
from rackwright.lifecycle.drill.scope import drill_of
from rackwright.lifecycle.drill.scratch_hosts.identity import ask
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker, claim
from rackwright.lifecycle.drill.scratch_hosts.scratch import on_each
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.operator import operator_of
from rackwright.remote import Remote
from rackwright.run import new_run_id
from rackwright.state.formats import utc_now


def clean_up(fleet: Fleet, console: Console) -> tuple[str, ...]:
    """Wipe the scratch hosts that have a marker of this fleet, after asking; return their names.

    Raise HostError if a scratch host can't be asked, ProofError if one isn't proven to be wiped.
    """
    drill_of(fleet)
    with Remote(scratch_targets(fleet)) as remote:
        scratch = {name: remote.connection(name) for name in remote.names}
        found = on_each(scratch, ask)
        left = {name: one for name, one in found.items() if one.marker and one.marker.fleet == fleet.file.fleet}
        for name, one in left.items():
            assert one.marker  # noqa: S101
            console.say(
                f"{name}: the drill {one.marker.drill} of {one.marker.who}; its last sign is {one.seen} s old"
            )
        if not left:
            return ()
        console.confirm(f"Wipe {', '.join(left)}?")
        marker = Marker(fleet=fleet.file.fleet, drill=new_run_id(), who=operator_of(fleet).who, time=utc_now())
        hosts = {name: scratch[name] for name in left}
        known = {scratch[name].name: one.marker_sha256 for name, one in left.items()}
        on_each(hosts, lambda connection: claim(connection, marker, found=known[connection.name]))
        wipe_and_lift(hosts, dict.fromkeys(hosts, anything(fleet)))
        return tuple(left)
