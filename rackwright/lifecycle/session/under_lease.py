"""Work under the fleet's lease."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.control_host import ask_control_hosts, record_control_host
from rackwright.lifecycle.session.remember import failure_audited, note_leased_act
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run
from rackwright.state.lease_session import LeaseSession, hold, owner, refuse_open_rollout
from rackwright.stopping import Stopping


@contextmanager
def leased(session: Session, why: str, console: Console, *, rollout: bool = False) -> Iterator[LeaseSession]:
    """Keep the fleet leased during the block. Raise LeasedError if another operator has the lease.

    Also raise it if this checkout and the record name different control hosts, or if a rollout is open. `rollout`
    allows an open rollout, for the commands that resume or abort it.
    """
    from rackwright.remote import Background

    with hold(session.store, owner(session.operator.who, session.operator.machine, why)) as lease_session:
        asking = Background(lambda: ask_control_hosts(session.remote, session.fleet))
        if lease_session.lease.previous:
            taken = f"took over an expired lease: {lease_session.lease.previous}"
            console.say(taken)
            note_leased_act(session, lease_session, session.fleet.control, taken)
        if not rollout:
            refuse_open_rollout(session.store)
        record_control_host(session.remote, session.fleet, lease_session, asking.result(), console)
        yield lease_session


def apply_leased(
    session: Session,
    lease_session: LeaseSession,
    deploy: Callable[[], None],
    hosts: Iterable[str],
    *,
    stopping: Stopping = lambda: False,
    only: tuple[str, ...] = (),
) -> Run:
    """Apply the deploy's changes to these hosts while the lease is valid.

    If the lease is lost, stop before the next operation and raise LeasedError. The hosts' audit logs list what was
    changed until then.
    """
    lease_session.check()
    specs = {name: session.hosts[name] for name in hosts}
    run = session.runner.apply(deploy, specs, only=only, stopping=lambda: stopping() or not lease_session.holds())
    if not lease_session.holds():
        with failure_audited(session, lease_session, run):
            lease_session.check()
    return run
