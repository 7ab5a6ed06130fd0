"""Move lease, journal and everything else that control hosts keep to the hosts that the fleet file names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import target
from rackwright.lifecycle.control.arrival import contents_of_survivors, copy_other_files, record_move
from rackwright.lifecycle.control.conditions import (
    agree_without,
    refuse_open,
    refuse_scheduled,
    refuse_unready,
    say_open,
    wanted_hosts,
)
from rackwright.lifecycle.control.lock import record_in_lock
from rackwright.lifecycle.control.moving import Moving
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.control_host import ask_control_hosts
from rackwright.lifecycle.session.operator import operator_of
from rackwright.state.control import ControlRecord
from rackwright.state.formats import utc_now
from rackwright.state.lease_session import LeaseSession, hold, owner
from rackwright.values.text import enumerated

if TYPE_CHECKING:
    from rackwright.remote import Remote


@dataclass(frozen=True)
class Moved:
    hosts: tuple[str, ...]
    former: tuple[str, ...]
    """Empty: the hosts are the control hosts already."""
    copied: bool
    """Whether they have the data of the former control hosts."""
    locked: bool
    """Whether the lock was changed."""


def move_control(fleet: Fleet, console: Console, *, former_gone: bool) -> Moved:
    """Move lease, journal and the rest of the former control hosts' data to the hosts that the fleet file names.

    If they are the control hosts already, do what a move that was interrupted has left. `former_gone` allows the move
    if the former ones can't be reached. Raise LeasedError while another operator has the lease, a rollout is open, or
    a scheduled run works.
    """
    from rackwright.remote import Remote

    wanted = wanted_hosts(fleet)
    with Remote(tuple(target(fleet, name) for name in fleet.file.hosts)) as remote:
        moving = _moving(fleet, remote, wanted)
        if set(moving.former.hosts) == set(wanted):
            return _ended(moving)
        refuse_unready(remote, wanted)
        with _former(moving, console) as former:
            if former is None:
                _agree_without(moving, console, former_gone=former_gone)
            console.confirm(f"Move lease and journal from {moving.from_} to {moving.to}?")
            if former is not None:
                # A run may have started while the operator was asked.
                refuse_scheduled(former.store)
            with _new(moving, former) as lease_session:
                copied = _load(moving, former, lease_session)
                copy_other_files(moving)
                record_move(moving, lease_session, former)
                if moving.within_etcd:
                    moving.membership.keep_only(wanted, moving.through)
        if not moving.within_etcd and len(moving.former.hosts) > 1:
            moving.membership.clear(moving.former.hosts)
    return Moved(wanted, moving.former.hosts, copied, record_in_lock(fleet, wanted))


def _moving(fleet: Fleet, remote: Remote, wanted: tuple[str, ...]) -> Moving:
    """Return the move from the hosts in the newest record, else from those that the lock names."""
    report = ask_control_hosts(remote, fleet)
    operator, now = operator_of(fleet, remote.connection(wanted[0])), utc_now()
    who = operator.who
    former = report.latest or ControlRecord(hosts=fleet.recorded or fleet.control_hosts, number=0, since=now, who=who)
    record = ControlRecord(hosts=wanted, number=former.number + 1, since=now, who=who)
    why = f"lease move from {enumerated(former.hosts)} to {enumerated(wanted)}"
    work = owner(who, operator.machine, why)
    return Moving(fleet, remote, former, record, tuple(report.records), work)


def _ended(moving: Moving) -> Moved:
    """Do what a move that was interrupted after its record still had to do."""
    hosts = moving.record.hosts
    locked = record_in_lock(moving.fleet, hosts)
    if len(hosts) > 1:
        with hold(moving.store, moving.work):
            moving.membership.keep_only(hosts, moving.through)
    elif len(moving.fleet.recorded) > 1:
        moving.membership.clear(moving.fleet.recorded)
    return Moved(hosts, (), copied=False, locked=locked)


@contextmanager
def _former(moving: Moving, console: Console) -> Iterator[LeaseSession | None]:
    """Yield the former control hosts' lease, while no rollout is open and no scheduled run works.

    Yield None if they can't be reached, or if one was started alone: it may lack what another one has.
    """
    if not moving.known:
        console.say(f"{moving.from_} isn't in the fleet file")
        yield None
        return
    if alone := moving.started_alone:
        console.say(f"a move that was interrupted has started {enumerated(alone)} alone")
        yield None
        return
    store = moving.former_store
    try:
        store.show()
    except HostError as error:
        console.say(f"{moving.from_} can't be reached: {error.problems[0].what}")
        yield None
        return
    with hold(store, moving.work) as lease_session:
        refuse_open(lease_session, moving.former)
        refuse_scheduled(lease_session.store)
        yield lease_session


def _agree_without(moving: Moving, console: Console, *, former_gone: bool) -> None:
    """Return if the operator agrees to go on without the former control hosts. Raise RackwrightError if not."""
    if moving.within_etcd:
        raise RackwrightError(
            f"too few of {moving.from_} work together",
            should="more than half of them are needed to change them",
            next="move to one of those that are left: name it alone in control:, then rackwright lease move",
        )
    agree_without(moving.former, console, former_gone=former_gone)
    if len(moving.record.hosts) == 1:
        say_open(moving.store, moving.record.hosts[0], console)


@contextmanager
def _new(moving: Moving, former: LeaseSession | None) -> Iterator[LeaseSession]:
    """Yield the new control hosts' lease, once they can keep what they get."""
    if former is not None and moving.within_etcd:
        _exchange(moving, former)
        yield former
        return
    if len(moving.record.hosts) > 1:
        moving.membership.form(moving.record.hosts)
    with hold(moving.store, moving.work) as lease_session:
        yield lease_session


def _exchange(moving: Moving, former: LeaseSession) -> None:
    """Add the new members, once those that leave and are dead are removed: etcd refuses new ones otherwise."""
    members, through = moving.membership, moving.through
    for name in members.failing([one for one in moving.leaving if one in moving.known]):
        former.check()
        members.remove(name, through)
    for name in moving.leaving:
        if name not in moving.known:
            members.forget(name, through)
    for name in moving.joining:
        former.check()
        members.add(name, through)


def _load(moving: Moving, former: LeaseSession | None, lease_session: LeaseSession) -> bool:
    """Give the new control hosts what the former ones have; return whether they have it then."""
    if former is lease_session:
        return True
    contents = former.store.dump() if former else contents_of_survivors(moving)
    if contents is None:
        return False
    lease_session.store.load(lease_session.lease, contents)
    return True
