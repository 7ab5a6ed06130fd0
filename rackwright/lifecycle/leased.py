"""Work under the fleet's lease."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rackwright.lifecycle.remember import note_leased_act
from rackwright.lifecycle.site import Site
from rackwright.lifecycle.talk import Talk
from rackwright.state.holding import Held, hold, owner, refuse_open_rollout


@contextmanager
def leased(site: Site, why: str, talk: Talk, *, rollout: bool = False) -> Iterator[Held]:
    """Hold the lease during the block. Raise LeasedError if another operator holds it.

    Also if a rollout is open, but for whoever ends that: `rollout`.
    """
    with hold(site.store, owner(site.operator.who, site.operator.machine, why)) as held:
        if held.lease.previous:
            taken = f"took over an expired lease: {held.lease.previous}"
            talk.say(taken)
            note_leased_act(site, held, site.fleet.control[:1], taken)
        if not rollout:
            refuse_open_rollout(site.store)
        yield held
