"""What must be true before lease and journal move, and what the operator must know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.errors import HostError, LeasedError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.occasions import NAMES
from rackwright.lifecycle.schedule.due import lost
from rackwright.lifecycle.schedule.here import here
from rackwright.lifecycle.session.console import Console
from rackwright.roles.etcd.settings import UNIT
from rackwright.state.control import ControlRecord
from rackwright.state.formats import stamp, utc_now
from rackwright.state.journal import open_rollout
from rackwright.state.lease_session import LeaseSession, refuse_open_rollout
from rackwright.state.schedule import tries_of
from rackwright.state.shell import command
from rackwright.state.store import ControlStore
from rackwright.values.text import enumerated

if TYPE_CHECKING:
    from rackwright.remote import Remote

_INSTALLED = 'systemctl cat -- "$1" >/dev/null 2>&1 && echo yes || echo no\n'


def wanted_hosts(fleet: Fleet) -> tuple[str, ...]:
    """Return the hosts that the fleet file names. Raise RackwrightError if one of several is out of service."""
    named = fleet.named(fleet.file.control)
    if out := [name for name in named if name not in fleet.hosts] if len(named) > 1 else []:
        raise RackwrightError(
            f"{enumerated(out)} is out of service",
            where=f"{fleet.path} control",
            should="lease and journal move to hosts in service only",
            next="put it back in service, or name another host in control:",
        )
    return fleet.named_control


def refuse_unready(remote: Remote, hosts: tuple[str, ...]) -> None:
    """Raise RackwrightError unless apply has set up all of these hosts, if they are several."""
    if len(hosts) < 2:
        return
    asking = command(_INSTALLED, UNIT)
    found = remote.each(hosts, lambda name: remote.connection(name).run(asking).check("looking for etcd").stdout)
    if missing := [name for name, said in found.items() if said.strip() != "yes"]:
        raise RackwrightError(
            f"etcd isn't set up on {', '.join(missing)}",
            should="all control hosts should have it",
            next="rackwright apply, then rackwright lease move",
        )


def refuse_open(lease_session: LeaseSession, former: ControlRecord) -> None:
    """Raise LeasedError if a rollout is open on the former control hosts."""
    try:
        refuse_open_rollout(lease_session.store)
    except LeasedError as error:
        next_ = f"control: [{', '.join(former.hosts)}] again, then rackwright rollout resume or abort"
        raise error.but(should="it must be closed before the lease and the journal can move", next=next_) from None


def refuse_scheduled(store: ControlStore) -> None:
    """Raise LeasedError if a scheduled run works: it would write on to this store. A drill takes no lease."""
    tries = [one for name in NAMES for one in tries_of(store, name) if one.state == "running"]
    with here() as this:
        working = next((one for one in tries if not lost(one, utc_now(), this)), None)
    if working:
        raise LeasedError(
            f"it runs on {working.process.machine} since {stamp(working.claimed)}, started by {working.who}",
            where=f"schedule {working.schedule}",
            should="it must have ended before the lease and the journal can move",
            next="wait for it; rackwright schedule list shows its end",
        )


def agree_without(former: ControlRecord, console: Console, *, former_gone: bool) -> None:
    """Return if the operator agrees to move although the former control hosts can't be asked. Raise HostError if not.

    --yes doesn't agree.
    """
    if former_gone:
        return
    names = enumerated(former.hosts)
    unknown = f"it is unknown whether an operator has the lease on {names}, or a rollout is open there"
    refusal = HostError(
        unknown,
        where=names,
        should="should be reachable, or permanently out of use",
        next="rackwright lease move --former-gone",
    )
    console.say(f"{names}: {unknown}")
    verb = "Is" if len(former.hosts) == 1 else "Are"
    console.confirm(f"{verb} {names} out of use, and no operator at work?", refusal=refusal)


def say_open(store: ControlStore, host: str, console: Console) -> None:
    """Say which rollout the host has open from the last time that it was the control host."""
    if opened := open_rollout(store.entries()):
        console.say(
            f"{host} has the rollout {opened.rollout} ({opened.detail}) open since {stamp(opened.time)}, when it"
            " was the control host. To see it: rackwright rollout status"
        )
