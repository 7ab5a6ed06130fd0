"""Work under the fleet's lease."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rackwright.lifecycle.session.console import Talk
from rackwright.lifecycle.session.control_host import keep_control, told_control
from rackwright.lifecycle.session.remember import failure_audited, note_leased_act
from rackwright.lifecycle.session.session import Site
from rackwright.run import Run
from rackwright.state.lease_session import Held, hold, owner, refuse_open_rollout
from rackwright.stopping import Stopping


@contextmanager
def leased(site: Site, why: str, talk: Talk, *, rollout: bool = False) -> Iterator[Held]:
    """Hold the lease during the block. Raise LeasedError if another operator holds it.

    Also if the fleet file makes another host the control host than it was, or a rollout is open, but for whoever ends
    that: `rollout`.
    """
    from rackwright.remote import Begun

    with hold(site.store, owner(site.operator.who, site.operator.machine, why)) as held:
        asking = Begun(lambda: told_control(site.remote, site.fleet))
        if held.lease.previous:
            taken = f"took over an expired lease: {held.lease.previous}"
            talk.say(taken)
            note_leased_act(site, held, site.fleet.control[:1], taken)
        if not rollout:
            refuse_open_rollout(site.store)
        keep_control(site.remote, site.fleet, held, asking.result(), talk)
        yield held


def apply_leased(
    site: Site,
    held: Held,
    deploy: Callable[[], None],
    hosts: Iterable[str],
    *,
    stopping: Stopping = lambda: False,
    only: tuple[str, ...] = (),
) -> Run:
    """Make the deploy's changes on these hosts while the lease holds.

    Raise LeasedError if it is lost, before the first operation or between two. What was changed until then is in the
    hosts' audit logs.
    """
    held.check()
    models = {name: site.models[name] for name in hosts}
    run = site.engine.apply(deploy, models, only=only, stopping=lambda: stopping() or not held.holds())
    if not held.holds():
        with failure_audited(site, held, run):
            held.check()
    return run
