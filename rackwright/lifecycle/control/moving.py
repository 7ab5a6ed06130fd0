"""A move of lease and journal: from which hosts, and to which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.control.membership import Membership
from rackwright.lifecycle.session.control_store import store_on
from rackwright.state.control import ControlRecord
from rackwright.state.lease import Owner
from rackwright.state.store import ControlStore
from rackwright.values.text import enumerated

if TYPE_CHECKING:
    from rackwright.remote import Remote


@dataclass(frozen=True)
class Moving:
    fleet: Fleet
    remote: Remote
    """Reaches all hosts of the fleet file, also those out of service."""
    former: ControlRecord
    record: ControlRecord
    """What is true after the move."""
    asked: tuple[str, ...]
    """The hosts that answered what their record is."""
    work: Owner

    @property
    def from_(self) -> str:
        return enumerated(self.former.hosts)

    @property
    def to(self) -> str:
        return enumerated(self.record.hosts)

    @property
    def known(self) -> tuple[str, ...]:
        """The former control hosts that are in the fleet file."""
        return tuple(name for name in self.former.hosts if name in self.fleet.file.hosts)

    @property
    def leaving(self) -> tuple[str, ...]:
        return tuple(name for name in self.former.hosts if name not in self.record.hosts)

    @property
    def joining(self) -> tuple[str, ...]:
        return tuple(name for name in self.record.hosts if name not in self.former.hosts)

    @property
    def within_etcd(self) -> bool:
        """Whether the same etcd goes on with other members."""
        return len(self.former.hosts) > 1 and len(self.record.hosts) > 1

    @property
    def former_store(self) -> ControlStore:
        """The store of the former control hosts; at least one of them must be known."""
        return store_on(self.remote, self.known, several=len(self.former.hosts) > 1)

    @property
    def store(self) -> ControlStore:
        return store_on(self.remote, self.record.hosts, several=len(self.record.hosts) > 1)

    @property
    def membership(self) -> Membership:
        return Membership(self.fleet, self.remote)

    @property
    def started_alone(self) -> tuple[str, ...]:
        """The former control hosts that a move has started alone before it was interrupted."""
        return self.membership.started_alone(self.known) if len(self.former.hosts) > 1 else ()

    @property
    def through(self) -> str:
        """A member that works and stays one, if there is one; else one that works."""
        staying = [name for name in self.former.hosts if name in self.record.hosts]
        hosts = [*staying, *(name for name in self.known if name not in staying), *self.joining]
        failing = self.membership.failing(hosts)
        return next((name for name in hosts if name not in failing), hosts[0])
