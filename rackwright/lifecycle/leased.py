"""Work under the fleet's lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rackwright.lifecycle.remember import note_leased_act
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.talk import Talk
from rackwright.state.holding import Held, hold, owner, refuse_open_rollout


@contextmanager
def leased(site: Site, why: str, talk: Talk) -> Iterator[Held]:
    """Hold the lease during the block. Raise LeasedError if another operator holds it, or a rollout is open."""
    with hold(site.store, owner(site.operator.who, site.operator.machine, why)) as held:
        if held.lease.previous:
            taken = f"took over an expired lease: {held.lease.previous}"
            talk.say(taken)
            note_leased_act(site, held, site.fleet.control[:1], taken)
        refuse_open_rollout(site.store)
        yield held
