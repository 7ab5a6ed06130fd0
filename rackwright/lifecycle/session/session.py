"""What a command has open: the fleet, the lock that says what should run, and connections to the hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rackwright.fleet.ca import ca_of
from rackwright.fleet.desired import desired
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import read_lock, require_match
from rackwright.fleet.naming import hosts_named
from rackwright.fleet.targets import targets
from rackwright.lifecycle.session.control_store import store_of
from rackwright.lifecycle.session.operator import operator_of
from rackwright.roles.gateway.settings import longest_connection
from rackwright.state.operator import Operator
from rackwright.state.store import ControlStore

if TYPE_CHECKING:
    from rackwright.gateway import Gateways, Leaving
    from rackwright.remote import Remote
    from rackwright.runner import Progress, Runner


PLAN_MODULES = tuple(
    f"rackwright.{name}"
    for name in (
        "gateway",
        "state.journal",
        "hardware.hardware",
        "roles.firewall.closing",
        "roles.backup.state",
        "lifecycle.session.control_host",
        "lifecycle.session.survey",
        "lifecycle.session.remember",
        "fit.fit",
        "lifecycle.apply.plan",
    )
)
"""Imported one by one, so that replies from hosts are handled between two imports."""


@dataclass(frozen=True)
class Session:
    fleet: Fleet
    lock: Lock
    hosts: Mapping[str, HostSpec]
    """By host, for each host that this command works on."""
    remote: Remote
    """Reaches all hosts in service, because gateways are asked even if the work is limited to other hosts."""
    runner: Runner

    @cached_property
    def operator(self) -> Operator:
        return operator_of(self.fleet, *map(self.remote.connection, self.fleet.control))

    @cached_property
    def gateways(self) -> Gateways:
        from rackwright.gateway import Gateways

        return Gateways(self.remote, self.fleet.gateways)

    @cached_property
    def leaving(self) -> Leaving:
        """Takes one of the gateways out of service, and back in."""
        from rackwright.gateway import Addresses, Leaving

        asked = self.fleet.file.gateway
        addresses = {name: Addresses(self.fleet.service(name), asked.vip) for name in self.fleet.gateways}
        seconds = longest_connection(asked.response_timeout, asked.queue_timeout)
        return Leaving(self.gateways, addresses, longest_seconds=seconds)

    @cached_property
    def trusted(self) -> str:
        """PEM certificates that clients verify the gateways with."""
        own = self.fleet.file.gateway.certificate
        if own is not None:
            return self.fleet.at(own.certificate).read_text(encoding="ascii")
        return ca_of(self.fleet).ca_pem

    def connect_ahead(self, *others: str) -> None:
        """Start connecting to this command's hosts and `others`, and import a plan's modules at the same time."""
        from rackwright.remote import import_gently

        self.remote.open_ahead(dict.fromkeys((*others, *self.hosts)))
        import_gently(*PLAN_MODULES)

    @cached_property
    def store(self) -> ControlStore:
        """Lease, journal and documents."""
        return store_of(self.fleet, self.remote)


@contextmanager
def open_session(
    fleet: Fleet,
    *,
    limit: tuple[str, ...] = (),
    progress: Callable[[Progress], None] | None = None,
    lock: Lock | None = None,
) -> Iterator[Session]:
    """Yield a session. Connections open when first used, and close at the end of the block.

    `lock` says what should run; without it NAME.lock does. Raise FleetError if there is no lock that matches the
    fleet file, SecretError if a sudo password doesn't resolve.
    """
    from rackwright.remote import Remote
    from rackwright.runner import QuestionMemory, Runner

    if lock is None:
        lock = read_lock(fleet.sibling("lock"))
        require_match(fleet, lock)
    names = hosts_named(fleet, limit)
    specs = desired(fleet, lock)
    with Remote(targets(fleet)) as remote:
        runner = Runner(remote, memory=QuestionMemory(), on_step=progress)
        yield Session(fleet, lock, {name: specs[name] for name in names}, remote, runner)
