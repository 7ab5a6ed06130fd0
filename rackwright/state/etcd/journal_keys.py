"""The journal in etcd: one key for each entry. No key is used twice; their create revision is their order."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from rackwright.state.etcd import ctl_scripts
from rackwright.state.etcd.held import LEASE_KEY
from rackwright.state.etcd.lease_keys import held_by, refuse_lost
from rackwright.state.etcd.members import Members
from rackwright.state.etcd.output import Pair, committed, range_of
from rackwright.state.etcd.transaction import Transaction, delete, get, put
from rackwright.state.journal import Entry, Event, parse_journal
from rackwright.state.lease import Lease
from rackwright.state.scripts import JOURNAL_KEPT

JOURNAL = "/rackwright/journal/"
MANY = 4000
"""How many keys the journal has before it is worth reading whether it should be trimmed."""
MOST_OPERATIONS = 100
"""A transaction of etcd has at most 128."""


def append(members: Members, lease: Lease, line: str) -> None:
    """Add the line under a new key. Raise LeasedError, writing nothing, if the lease has ended."""
    key = f"{JOURNAL}{secrets.token_hex(16)}"
    writing = Transaction(
        when=(held_by(lease),),
        then=(put(key, line),),
        otherwise=(get(LEASE_KEY), get(key, "--keys-only")),
    )
    reply = members.ask(ctl_scripts.COMMIT, stdin=writing.text, what="writing the journal")
    done = committed(reply)
    # If the first answer was lost, the entry is there already, whatever happened to the lease since.
    if not done.succeeded and done.found.named(key) is None:
        refuse_lost(reply, done, lease)


def read(members: Members) -> tuple[Entry, ...]:
    """Return the entries that stay, oldest first. Raise RackwrightError if one has a newer format."""
    return tuple(one.entry for one in _judged(members) if one.stays)


def trim(members: Members, lease: Lease) -> None:
    """Remove what need not stay if it is more than what stays. Raise LeasedError if the lease has ended."""
    found = _judged(members)
    total, staying = sum(one.size for one in found), sum(one.size for one in found if one.stays)
    if total > 2 * max(JOURNAL_KEPT, staying):
        remove(members, lease, [one.key for one in found if not one.stays])


def remove(members: Members, lease: Lease, keys: Iterable[str]) -> None:
    """Remove these keys, in this order. Raise LeasedError if the lease has ended.

    Oldest first: a rollout whose first entry is gone never seems open, wherever this is cut off.
    """
    rest = iter(keys)
    while some := tuple(islice(rest, MOST_OPERATIONS)):
        removing = Transaction(when=(held_by(lease),), then=tuple(map(delete, some)), otherwise=(get(LEASE_KEY),))
        reply = members.ask(ctl_scripts.COMMIT, stdin=removing.text, what="trimming the journal")
        done = committed(reply)
        if not done.succeeded:
            refuse_lost(reply, done, lease)


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Return the entries' pairs, oldest first. Those that one transaction created are in the order of their keys."""
    return sorted(pairs, key=lambda pair: (pair.create_revision, pair.key))


@dataclass(frozen=True)
class _Judged:
    key: str
    entry: Entry
    size: int
    stays: bool


def _judged(members: Members) -> list[_Judged]:
    """Judge as the file store does: the last entries stay, and all entries of rollouts that may be open."""
    reply = members.ask(ctl_scripts.GET, "--prefix", "--", JOURNAL, what="reading the journal")
    pairs = in_order(range_of(reply).kvs)
    entries = [(pair, entry) for pair in pairs for entry in parse_journal(pair.value, f"etcd on {reply.host}")]
    still_open: set[str] = set()
    for _, entry in entries:
        if entry.event is Event.OPENED:
            still_open.add(entry.rollout)
        elif entry.event is Event.CLOSED:
            still_open.discard(entry.rollout)
    after, found = 0, []
    for pair, entry in reversed(entries):
        size = len(pair.value.encode()) + 1
        found.append(_Judged(pair.key, entry, size, after < JOURNAL_KEPT or entry.rollout in still_open))
        after += size
    return found[::-1]
