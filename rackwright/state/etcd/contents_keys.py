"""Move everything but the lease out of etcd, and into it."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.state.contents import FIRST_STAYS, Contents
from rackwright.state.etcd import ctl_scripts, journal_keys
from rackwright.state.etcd.document_keys import refuse_large
from rackwright.state.etcd.held import HOLDER_KEY, LEASE_KEY
from rackwright.state.etcd.journal_keys import JOURNAL, MOST_OPERATIONS, in_order
from rackwright.state.etcd.lease_keys import held_by, refuse_lost
from rackwright.state.etcd.members import Members
from rackwright.state.etcd.output import Committed, Range, committed, range_of
from rackwright.state.etcd.transaction import Transaction, created, get, modified, put
from rackwright.state.lease import Lease

ROOT = "/rackwright/"
CONTROL = f"{ROOT}control/"
_MOST_BYTES = 2**20
"""How much one transaction writes, unless a single document is larger."""
_TRIES = 20


@dataclass(frozen=True)
class _Write:
    key: str
    value: str


def dump(members: Members, *, quorum: bool) -> Contents:
    """Return all contents; without a quorum, as the member with the last revision has them."""
    words, what = ("--prefix", "--", ROOT), "reading what etcd holds"
    if quorum:
        return _contents(range_of(members.ask(ctl_scripts.GET, *words, what=what)))
    replies = members.ask_each(ctl_scripts.GET, "--consistency=s", *words, what=what)
    return _contents(max(map(range_of, replies), key=lambda found: found.header.revision))


def _contents(found: Range) -> Contents:
    pairs = [pair for pair in found.kvs if pair.key not in (LEASE_KEY, HOLDER_KEY)]
    journal = in_order(pair for pair in pairs if pair.key.startswith(JOURNAL))
    return Contents(
        journal=tuple(pair.value for pair in journal),
        kept={pair.key.removeprefix(CONTROL): pair.value for pair in pairs if pair.key.startswith(CONTROL)},
        documents={
            pair.key.removeprefix(ROOT): pair.value for pair in pairs if not pair.key.startswith((JOURNAL, CONTROL))
        },
        token=found.header.revision,
    )


def load(members: Members, lease: Lease, contents: Contents) -> None:
    """Store the contents. Raise LeasedError if the lease has ended."""
    writes = [_Write(f"{CONTROL}{name}", content) for name, content in contents.kept.items()]
    writes += [_Write(f"{ROOT}{path}", content) for path, content in contents.documents.items()]
    for write in writes:
        refuse_large(write.key, write.value)
    present = {pair.key: pair.mod_revision for pair in _listed(members, ROOT).kvs}
    first = f"{ROOT}{FIRST_STAYS}"
    for batch in _batches(write for write in writes if not write.key.startswith(first)):
        _replace(members, lease, batch, present)
    for write in writes:
        if write.key.startswith(first) and write.key not in present:
            _commit(members, lease, (created(write.key, 0),), (write,))
    _replace_journal(members, lease, contents.journal)


def _replace_journal(members: Members, lease: Lease, lines: tuple[str, ...]) -> None:
    """The new entries have new keys: what removes the old ones can't remove them, however late it arrives."""
    before = in_order(_listed(members, JOURNAL).kvs)
    load_id = secrets.token_hex(8)
    writes = [_Write(f"{JOURNAL}{load_id}-{number:08}", line) for number, line in enumerate(lines)]
    journal_keys.remove(members, lease, [pair.key for pair in before])
    for batch in _batches(writes):
        _commit(members, lease, (), batch)


def _replace(members: Members, lease: Lease, writes: tuple[_Write, ...], present: Mapping[str, int]) -> None:
    """Store these documents in place of those with the present revisions, or of whatever there is by then."""
    for _ in range(_TRIES):
        when = tuple(modified(write.key, present.get(write.key, 0)) for write in writes)
        done = _commit(members, lease, when, writes)
        if done.succeeded:
            return
        present = {pair.key: pair.mod_revision for pair in done.found.kvs}
        # If an answer was lost, they have been written already.
        values = {pair.key: pair.value for pair in done.found.kvs}
        writes = tuple(write for write in writes if values.get(write.key) != write.value)
        if not writes:
            return
    raise HostError(f"documents were replaced by others {_TRIES} times", where=members.names, next="try again")


def _commit(members: Members, lease: Lease, when: tuple[str, ...], writes: tuple[_Write, ...]) -> Committed:
    storing = Transaction(
        when=(held_by(lease), *when),
        then=tuple(put(write.key, write.value) for write in writes),
        otherwise=(get(LEASE_KEY), *(get(write.key) for write in writes)),
    )
    reply = members.ask(ctl_scripts.COMMIT, stdin=storing.text, what="storing the control hosts' state")
    done = committed(reply)
    if not done.succeeded:
        refuse_lost(reply, done, lease)
    return done


def _listed(members: Members, prefix: str) -> Range:
    words = ("--prefix", "--keys-only", "--", prefix)
    return range_of(members.ask(ctl_scripts.GET, *words, what=f"reading {prefix}"))


def _batches(writes: Iterable[_Write]) -> Iterator[tuple[_Write, ...]]:
    batch: list[_Write] = []
    size = 0
    for write in writes:
        own = len(write.value.encode())
        if batch and (size + own > _MOST_BYTES or len(batch) == MOST_OPERATIONS):
            yield tuple(batch)
            batch, size = [], 0
        batch.append(write)
        size += own
    if batch:
        yield tuple(batch)
