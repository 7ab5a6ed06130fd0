"""A stand-in for the control host: lease, journal and documents in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from rackwright.state.journal import Entry
from rackwright.state.lease import Lease, Owner, lost
from tests.lifecycle.patch.seen import NOW


@dataclass
class Store:
    """A ControlStore in memory."""

    token: int = 0
    owner: Owner | None = None
    journal: list[Entry] = field(default_factory=list)
    documents: dict[str, str] = field(default_factory=dict)
    writes: int = 0
    fault: Callable[[int, bool], None] = lambda number, written: None
    """Called before and after each write, with its number from 1."""

    def acquire(self, owner: Owner) -> Lease:
        self.token, self.owner = self.token + 1, owner
        lease = self.show()
        assert lease
        return lease

    def show(self) -> Lease | None:
        return Lease(self.owner, self.token, NOW, NOW + timedelta(minutes=1), NOW, "gate1") if self.owner else None

    def renew(self, lease: Lease, seconds: int | None = None) -> Lease:
        if lease.token != self.token:
            raise lost(self.show(), "gate1")
        return lease

    def release(self, lease: Lease) -> None:
        self.owner = None

    break_ = release

    def append(self, lease: Lease, entry: Entry) -> None:
        self._write(lease, lambda: self.journal.append(entry))

    def keep(self, lease: Lease, name: str, content: str) -> None:
        self._write(lease, lambda: self.documents.update({name: content}))

    def entries(self) -> tuple[Entry, ...]:
        return tuple(self.journal)

    def kept(self, name: str) -> str | None:
        return self.documents.get(name)

    def _write(self, lease: Lease, write: Callable[[], None]) -> None:
        if lease.token != self.token:
            raise lost(self.show(), "gate1")
        self.writes += 1
        number = self.writes
        self.fault(number, False)
        write()
        self.fault(number, True)
