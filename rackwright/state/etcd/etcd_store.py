"""A ControlStore in etcd, whose members run on the control hosts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from rackwright.errors import RackwrightError
from rackwright.roles.etcd.settings import CTL
from rackwright.state.contents import Contents
from rackwright.state.etcd import contents_keys, document_keys, journal_keys, lease_keys
from rackwright.state.etcd.journal_keys import JOURNAL
from rackwright.state.etcd.members import LIMIT, PATIENCE, Members
from rackwright.state.journal import Entry
from rackwright.state.lease import SECONDS, Lease, Owner, leased
from rackwright.state.shell import Shell
from rackwright.state.store import KEPT

ROOT = "/rackwright"


@dataclass(frozen=True)
class EtcdStore:
    """A ControlStore in etcd. The control hosts are in order; each runs a member.

    What isn't known to have been written, because an answer was lost, is safe to write again on another host: every
    write says what must hold before it, so it takes effect once. etcd itself refuses a write without the lease.
    """

    shells: tuple[Shell, ...]
    ctl: str = CTL
    seconds: int = SECONDS
    patience: float = PATIENCE
    limit: float = LIMIT
    _members: Members = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_members", Members(self.shells, self.ctl, self.patience, self.limit))

    def acquire(self, owner: Owner) -> Lease:
        taken = lease_keys.take(self._members, owner, self.seconds, JOURNAL)
        if taken.keys > journal_keys.MANY:
            # A journal that can't be trimmed now just stays long.
            with suppress(RackwrightError):
                journal_keys.trim(self._members, taken.lease)
        return taken.lease

    def renew(self, lease: Lease, seconds: int | None = None) -> Lease:
        if seconds:
            return lease_keys.renew_for(self._members, lease, seconds)
        return lease_keys.renew(self._members, lease, self.seconds)

    def release(self, lease: Lease) -> None:
        lease_keys.remove(self._members, lease)

    def show(self) -> Lease | None:
        return lease_keys.look(self._members)

    def break_(self, lease: Lease) -> None:
        if other := lease_keys.remove(self._members, lease):
            raise leased(other)

    def append(self, lease: Lease, entry: Entry) -> None:
        journal_keys.append(self._members, lease, entry.model_dump_json())

    def entries(self) -> tuple[Entry, ...]:
        return journal_keys.read(self._members)

    def keep(self, lease: Lease, name: str, content: str) -> None:
        alike = _key(f"control/{name.partition('-')[0]}-")
        document_keys.replace(self._members, _key(f"control/{name}"), content, alike=alike, kept=KEPT, lease=lease)

    def kept(self, name: str) -> str | None:
        return self.read(f"control/{name}")

    def put(self, path: str, content: str, kept: int | None = None) -> None:
        key = _key(path)
        alike = key if kept is None else key[: key.rindex("/") + 1]
        document_keys.replace(self._members, key, content, alike=alike, kept=kept)

    def put_first(self, path: str, content: str) -> str:
        return document_keys.put_first(self._members, _key(path), content)

    def read(self, path: str) -> str | None:
        return document_keys.read_key(self._members, _key(path))

    def read_all(self, folder: str) -> Mapping[str, str]:
        return document_keys.read_below(self._members, _key(f"{folder}/"))

    def place(self, path: str) -> str:
        return f"{_key(path)} in etcd on {self._members.names}"

    def dump(self, *, quorum: bool = True) -> Contents:
        return contents_keys.dump(self._members, quorum=quorum)

    def load(self, lease: Lease, contents: Contents) -> None:
        if contents != Contents():
            contents_keys.load(self._members, lease, contents)


def _key(path: str) -> str:
    return f"{ROOT}/{path}"
