"""Store and read documents in etcd."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.errors import HostError, RackwrightError
from rackwright.state.etcd import ctl_scripts
from rackwright.state.etcd.held import LEASE_KEY
from rackwright.state.etcd.lease_keys import held_by, refuse_lost
from rackwright.state.etcd.members import Members
from rackwright.state.etcd.output import Pair, Range, committed, range_of
from rackwright.state.etcd.transaction import Transaction, created, delete, get, modified, put
from rackwright.state.lease import Lease

LARGEST = 3 * 2**19
"""Bytes: etcdctl sends at most 2 MiB at once. The servers' max-request-bytes, 1.5 MiB by default, must be as many."""
_TRIES = 20
_MOST_DROPPED = 100
"""A transaction of etcd has at most 128 operations."""


def read_key(members: Members, key: str) -> str | None:
    found = _found(members, "--", key).named(key)
    return found.value if found else None


def read_below(members: Members, prefix: str) -> Mapping[str, str]:
    """Return the values below the prefix by the rest of their keys, in the order of the keys."""
    found = _found(members, "--prefix", "--", prefix)
    return {pair.key.removeprefix(prefix): pair.value for pair in sorted(found.kvs, key=lambda pair: pair.key)}


def put_first(members: Members, key: str, content: str) -> str:
    """Store the value unless there is one; return what is stored afterwards."""
    refuse_large(key, content)
    storing = Transaction(when=(created(key, 0),), then=(put(key, content),), otherwise=(get(key),))
    reply = members.ask(ctl_scripts.COMMIT, stdin=storing.text, what=f"storing {key}")
    found = committed(reply).found.named(key)
    return found.value if found else content


def replace(
    members: Members, key: str, content: str, *, alike: str, kept: int | None, lease: Lease | None = None
) -> None:
    """Store the value; of the keys that begin with `alike`, only so many stay. With a lease: only under it.

    The revision that is replaced is named in the transaction, so an attempt that arrives late replaces nothing newer.
    """
    refuse_large(key, content)
    for _ in range(_TRIES):
        present = _found(members, "--prefix", "--keys-only", "--", alike)
        before = present.named(key)
        revision = before.mod_revision if before else 0
        storing = Transaction(
            when=(modified(key, revision), *([held_by(lease)] if lease else [])),
            then=(put(key, content), *map(delete, _old(present.kvs, key, kept))),
            otherwise=(get(LEASE_KEY), get(key)),
        )
        reply = members.ask(ctl_scripts.COMMIT, stdin=storing.text, what=f"storing {key}")
        done = committed(reply)
        now = done.found.named(key)
        if done.succeeded or (now and now.mod_revision > revision and now.value == content):
            return
        if lease:
            refuse_lost(reply, done, lease)
    raise HostError(
        f"{key} was replaced by others {_TRIES} times while it was to be stored",
        where=members.names,
        next="try again",
    )


def _old(pairs: tuple[Pair, ...], key: str, kept: int | None) -> list[str]:
    if kept is None:
        return []
    others = sorted(pair.key for pair in pairs if pair.key != key)
    return others[: max(0, len(others) - (kept - 1))][:_MOST_DROPPED]


def _found(members: Members, *words: str) -> Range:
    return range_of(members.ask(ctl_scripts.GET, *words, what=f"reading {words[-1]}"))


def refuse_large(key: str, content: str) -> None:
    size = len(content.encode())
    if size > LARGEST:
        raise RackwrightError(f"{key} is too large: {size} bytes", should=f"should be at most {LARGEST}")
