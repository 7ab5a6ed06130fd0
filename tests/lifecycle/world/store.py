"""Lease and journal of a simulated fleet, with a writer that can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rackwright.errors import HostError
from rackwright.state.contents import Contents
from rackwright.state.journal import Entry, parse_journal
from rackwright.state.lease import SECONDS, Lease, Owner, leased, lost

if TYPE_CHECKING:
    from tests.lifecycle.world.world import Process, World


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


@dataclass
class Control:
    """The data on the control host."""

    token: int = 0
    owner: Owner | None = None
    since: float = 0.0
    expires: float = 0.0
    journal: list[Entry] = field(default_factory=list)
    documents: dict[str, str] = field(default_factory=dict)
    writes: int = 0
    """Attempts to write a line of the journal or a document."""
    fault: Callable[[int, bool], None] = lambda number, written: None
    """Called before and after each write, with its number from 1; raises to fail it."""

    holder: Process | None = None

    host: str = "gate1"

    def tick(self, now: float) -> None:
        """A live process renews the lease; a dead or sleeping one doesn't, and an expired lease can't be renewed."""
        if self.live(now) and self.holder and self.holder.renews:
            self.expires = now + SECONDS

    def live(self, now: float) -> bool:
        return self.owner is not None and self.expires > now

    def held_by(self, process: Process, now: float) -> bool:
        return self.holder is process and self.live(now)

    def lease(self, now: float) -> Lease | None:
        if self.owner is None:
            return None
        return Lease(self.owner, self.token, moment(self.since), moment(self.expires), moment(now), self.host)


@dataclass(frozen=True)
class MemoryStore:
    """A ControlStore, as one process sees it."""

    world: World
    process: Process
    host: str = "gate1"

    def acquire(self, owner: Owner) -> Lease:
        control, now = self._control(), self.world.now
        previous = control.lease(now)
        if previous and previous.live:
            raise leased(previous)
        control.token += 1
        control.owner, control.since, control.expires = owner, now, now + SECONDS
        control.holder = self.process
        lease = control.lease(now)
        assert lease
        return replace(lease, previous=previous)

    def renew(self, lease: Lease, seconds: int | None = None) -> Lease:
        self._refuse_lost(lease)
        control = self._control()
        control.expires = self.world.now + (seconds or SECONDS)
        return lease

    def release(self, lease: Lease) -> None:
        control = self._control()
        if control.token == lease.token:
            control.owner = None

    def show(self) -> Lease | None:
        return self._control().lease(self.world.now)

    def break_(self, lease: Lease) -> None:
        self._control().owner = None

    def append(self, lease: Lease, entry: Entry) -> None:
        self._write(lease, lambda control: self._append(control, entry))

    def _append(self, control: Control, entry: Entry) -> None:
        self.world.watch.entered(self.process, entry)
        control.journal.append(entry)

    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._control().journal)

    def keep(self, lease: Lease, name: str, content: str) -> None:
        self._write(lease, lambda control: control.documents.update({name: content}))

    def kept(self, name: str) -> str | None:
        return self._control().documents.get(name)

    def read_all(self, folder: str) -> dict[str, str]:
        """No schedule has run."""
        self._control()
        return {}

    def dump(self, *, quorum: bool = True) -> Contents:
        control = self._control()
        lines = tuple(entry.line().rstrip("\n") for entry in control.journal)
        return Contents(lines, {**control.documents}, token=control.token)

    def load(self, lease: Lease, contents: Contents) -> None:
        control = self._control()
        control.journal = [*parse_journal("\n".join(contents.journal), self.host)]
        control.documents = {**contents.kept}
        control.token = max(control.token, contents.token)

    def _write(self, lease: Lease, write: Callable[[Control], None]) -> None:
        control = self._control()
        control.writes += 1
        number = control.writes
        control.fault(number, False)
        self._refuse_lost(lease)
        write(control)
        control.fault(number, True)

    def _refuse_lost(self, lease: Lease) -> None:
        control = self._control()
        if control.owner is None or control.token != lease.token or control.expires <= self.world.now:
            raise lost(control.lease(self.world.now), self.host)

    def _control(self) -> Control:
        self.process.breathe()
        if (gate := self.world.gates.get(self.host)) and gate.lost:
            raise HostError("unreachable", where=self.host)
        return self.world.control_of(self.host)
