"""Take, renew and remove the lease in etcd."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from rackwright.errors import LeasedError
from rackwright.state.etcd import ctl_scripts
from rackwright.state.etcd.held import HOLDER_KEY, LEASE_KEY, attempt_of, expired, live, value_of
from rackwright.state.etcd.members import Members, Reply, unexpected
from rackwright.state.etcd.output import Committed, Pair, committed, kept_alive, range_of, remaining, seconds
from rackwright.state.etcd.transaction import (
    LEASE,
    Transaction,
    attach,
    created,
    delete,
    get,
    modified,
    put_quoted,
)
from rackwright.state.lease import Lease, Owner, leased, lost

_MORE_SECONDS = 5
"""etcd may grant some seconds more than it was asked for."""


@dataclass(frozen=True)
class Taken:
    lease: Lease
    keys: int
    """How many keys of the journal there are."""


def take(members: Members, owner: Owner, lasts: int, journal: str) -> Taken:
    """Take the lease, and count the keys of the journal. Raise LeasedError if there is a live lease."""
    attempt = secrets.token_hex(8)
    value = value_of(owner, attempt)
    taking = Transaction(
        when=(created(LEASE_KEY, 0),),
        then=(
            get(HOLDER_KEY),
            get(journal, "--prefix", "--count-only"),
            put_quoted(LEASE_KEY, value, f"--lease={LEASE}"),
            put_quoted(HOLDER_KEY, value),
            get(LEASE_KEY),
        ),
        otherwise=(get(LEASE_KEY),),
    )
    reply = members.ask(ctl_scripts.GRANT_AND_COMMIT, lasts, stdin=taking.text, what="taking the lease")
    done = committed(reply)
    pair = _there(reply, done)
    if done.succeeded:
        lease = live(pair, seconds(reply), lasts, reply.host)
        previous = expired(done.found.named(HOLDER_KEY), seconds(reply), reply.host)
        return Taken(replace(lease, previous=previous), done.found.count)
    lease = _with_time_left(members, pair, unneeded=reply.line(0).partition(" ")[2])
    # If the first answer was lost, this very call has taken it.
    if attempt_of(pair) != attempt:
        raise leased(lease)
    return Taken(lease, 0)


def renew(members: Members, lease: Lease, lasts: int) -> Lease:
    """Renew the lease's etcd lease, which lasts this long. Raise LeasedError if the lease has ended."""
    reply = members.ask(ctl_scripts.KEEP_ALIVE, _hex(lease.etcd), LEASE_KEY, what="renewing the lease")
    now, left, pair = seconds(reply), kept_alive(reply), range_of(reply, 2).named(LEASE_KEY)
    if pair is None or pair.create_revision != lease.token:
        raise _lost(pair, now, reply.host)
    if left is None or not lasts <= left <= lasts + _MORE_SECONDS or pair.lease != lease.etcd:
        return renew_for(members, lease, lasts)
    return replace(live(pair, now, left, reply.host), previous=lease.previous)


def renew_for(members: Members, lease: Lease, lasts: int) -> Lease:
    """Bind the lease to a new etcd lease that lasts this long. Raise LeasedError if the lease has ended."""
    binding = Transaction(
        when=(created(LEASE_KEY, lease.token),), then=(get(LEASE_KEY), attach(LEASE_KEY)), otherwise=(get(LEASE_KEY),)
    )
    reply = members.ask(ctl_scripts.GRANT_AND_COMMIT, lasts, stdin=binding.text, what="renewing the lease")
    now, done, granted = seconds(reply), committed(reply), reply.line(0).partition(" ")[2]
    former = done.found.named(LEASE_KEY)
    members.ask(ctl_scripts.REVOKE, _hex(former.lease) if former and done.succeeded else granted, what="revoking")
    if former is None or not done.succeeded:
        raise _lost(former, now, reply.host)
    renewed = live(former, now, lasts, reply.host)
    return replace(renewed, previous=lease.previous, etcd=int(granted, 16))


def remove(members: Members, lease: Lease) -> Lease | None:
    """Remove the lease, live or expired, if it is still this one. Return a live one that is there instead."""
    removing = Transaction(
        when=(modified(HOLDER_KEY, lease.token),),
        then=(delete(LEASE_KEY), delete(HOLDER_KEY)),
        otherwise=(get(LEASE_KEY),),
    )
    script, what = ctl_scripts.COMMIT_AND_REVOKE, "removing the lease"
    reply = members.ask(script, _hex(lease.etcd), stdin=removing.text, what=what)
    other = committed(reply).found.named(LEASE_KEY)
    return _with_time_left(members, other) if other else None


def look(members: Members) -> Lease | None:
    """Return the present lease, live or expired. Change nothing."""
    looking = Transaction(then=(get(LEASE_KEY), get(HOLDER_KEY)))
    reply = members.ask(ctl_scripts.COMMIT, stdin=looking.text, what="reading the lease")
    found = committed(reply).found
    pair = found.named(LEASE_KEY)
    if pair:
        return _with_time_left(members, pair)
    return expired(found.named(HOLDER_KEY), seconds(reply), reply.host)


def held_by(lease: Lease) -> str:
    """Return the comparison that guards a write under the lease."""
    return created(LEASE_KEY, lease.token)


def refuse_lost(reply: Reply, done: Committed, lease: Lease) -> None:
    """Given the answer to a refused write with `get(LEASE_KEY)`, raise LeasedError unless the lease is this one."""
    pair = done.found.named(LEASE_KEY)
    if pair is None or pair.create_revision != lease.token:
        raise _lost(pair, seconds(reply), reply.host)


def _lost(pair: Pair | None, now: int, where: str) -> LeasedError:
    return lost(live(pair, now, 1, where) if pair else None, where)


def _with_time_left(members: Members, pair: Pair, unneeded: str = "") -> Lease:
    reply = members.ask(ctl_scripts.LEFT, _hex(pair.lease), unneeded, what="reading the lease")
    # While there is the key, the lease isn't over.
    return live(pair, seconds(reply), max(1, remaining(reply)), reply.host)


def _there(reply: Reply, done: Committed) -> Pair:
    pair = done.found.named(LEASE_KEY)
    if pair is None:
        raise unexpected(reply)
    return pair


def _hex(etcd: int) -> str:
    return f"{etcd:x}"
