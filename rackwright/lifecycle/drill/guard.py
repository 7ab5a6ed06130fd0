"""Hold scratch hosts for a drill: proven not to be production, marked, isolated, and wiped at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property

from rackwright.errors import LeasedError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.scope import Scope
from rackwright.lifecycle.drill.scratch_hosts.destinations import Destination, destinations
from rackwright.lifecycle.drill.scratch_hosts.fleet_addresses import (
    Lookup,
    hosts_addresses,
    look_up,
    places_of,
    production_of,
)
from rackwright.lifecycle.drill.scratch_hosts.isolation import Closed, Isolation, close_off, lift, still_closed
from rackwright.lifecycle.drill.scratch_hosts.marker import SIGN_SECONDS, Marker, claim, give_sign
from rackwright.lifecycle.drill.scratch_hosts.not_production import Proven, prove_not_production
from rackwright.lifecycle.drill.scratch_hosts.reach_probes import Place, probe_here, probe_inside, probe_outside
from rackwright.lifecycle.drill.scratch_hosts.scratch import on_each
from rackwright.lifecycle.drill.scratch_hosts.wipe import Brought, require_wiped, wipe
from rackwright.ports import FIRST_PORT
from rackwright.remote import Connection, Remote
from rackwright.values.network import parse_address

_HTTPS = 443


@dataclass(frozen=True)
class Guard:
    """The scratch hosts of one drill."""

    own: Fleet
    lock: Lock
    scope: Scope
    marker: Marker
    scratch: Mapping[str, Connection]
    """By the scratch host's name, for each that the drill uses."""
    production: Mapping[str, Connection]
    """To the fleet's hosts in service. They are only asked."""

    @cached_property
    def _servers(self) -> tuple[Destination, ...]:
        return destinations(self.own, self.lock, tuple(self.scope.scratch))

    @cached_property
    def _lookup(self) -> Lookup:
        # A name that isn't known can take a resolver seconds.
        return cache(look_up)

    def prove(self, *, take_over: bool) -> Proven:
        """Return the proof that no scratch host is production. Nothing has been changed."""
        known = production_of(self.own, self.lock, self.production, self._servers, lookup=self._lookup)
        return prove_not_production(self.scratch, known, take_over=take_over)

    @contextmanager
    def held(self, proven: Proven) -> Iterator[Signs]:
        """Take the scratch hosts in this block, and show on them that the drill is alive.

        Raise HostError if another drill has taken one in the meantime.
        """
        found = {self.scratch[name].name: one.marker_sha256 for name, one in proven.found.items()}
        on_each(self.scratch, lambda connection: claim(connection, self.marker, found=found[connection.name]))
        signs = Signs(self.scratch, self.marker)
        signs.start()
        try:
            yield signs
        finally:
            signs.stop()

    def isolate(self, proven: Proven) -> Mapping[str, Closed]:
        """Close the scratch hosts off, and return what each may reach."""
        drill = self.own.file.drill
        isolation = Isolation(
            fleet=self.own,
            wanted=self._servers,
            scratch={name: one.addresses for name, one in proven.found.items()},
            production=tuple(hosts_addresses(self.own, lookup=self._lookup)),
            reach=drill.reach if drill else (),
        )
        return close_off(self.scratch, isolation)

    def probe_from_inside(self, closed: Mapping[str, Closed]) -> tuple[Check, ...]:
        """Return what the scratch hosts could reach."""
        forbidden = places_of(self.own, lookup=self._lookup)
        return (*still_closed(self.scratch), *probe_inside(self.scratch, closed, forbidden))

    def probe_from_outside(self) -> tuple[Check, ...]:
        """Return who could reach the scratch hosts: the fleet's hosts nothing, this machine only ssh and 443."""
        places = {name: tuple(_ports(name, one)) for name, one in self.scratch.items()}
        here = (
            check
            for name, some in places.items()
            for check in probe_here(name, some, expected=(self.scratch[name].target.port, _HTTPS))
        )
        return (*still_closed(self.scratch), *probe_outside(places, self.production), *here)

    def wiped(self, brought: Mapping[str, Brought]) -> tuple[Check, ...]:
        """Wipe all scratch hosts, and lift the isolation of those that are proven to be wiped.

        `brought` is by host of the fleet; without it, what every host of the fleet may have is removed. Raise
        ProofError if a host isn't proven to be wiped.
        """
        known = {self.scope.scratch[host]: one for host, one in brought.items()}
        return wipe_and_lift(self.scratch, {name: known.get(name, anything(self.own)) for name in self.scratch})

    def clean(self, names: Iterable[str]) -> None:
        """Wipe what an earlier drill left on these scratch hosts. Raise ProofError if one isn't wiped."""
        scratch = {name: self.scratch[name] for name in names}
        require_wiped(wipe(scratch, dict.fromkeys(scratch, anything(self.own))))

    def as_hosts(self, checks: Iterable[Check]) -> tuple[Check, ...]:
        """Return the checks with the fleet's host in place of the scratch host that stands for it."""
        stands_for = {scratch: host for host, scratch in self.scope.scratch.items()}
        return tuple(replace(check, host=stands_for.get(check.host, check.host)) for check in checks)


class Signs:
    """Shows on the scratch hosts that the drill is alive, and notes if another one has taken them."""

    def __init__(self, scratch: Mapping[str, Connection], marker: Marker) -> None:
        self._scratch, self._marker = scratch, marker
        self._ended = threading.Event()
        self._lost: RackwrightError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeasedError if another drill has taken a scratch host."""
        if self._lost:
            raise LeasedError(self._lost.problems[0].what, where=self._lost.problems[0].where)

    def _run(self) -> None:
        while not self._ended.wait(SIGN_SECONDS):
            for connection in self._scratch.values():
                try:
                    give_sign(connection, self._marker)
                except RackwrightError as error:
                    self._lost = error


def guard_of(own: Fleet, lock: Lock, scope: Scope, marker: Marker, remote: Remote) -> Guard:
    """Return the guard of the scope's scratch hosts; `remote` reaches these and the fleet's hosts."""
    scratch = {name: remote.connection(name) for name in dict.fromkeys(scope.scratch.values())}
    return Guard(own, lock, scope, marker, scratch, {name: remote.connection(name) for name in own.hosts})


def wipe_and_lift(scratch: Mapping[str, Connection], brought: Mapping[str, Brought]) -> tuple[Check, ...]:
    """Wipe these scratch hosts, and lift the isolation of those that are proven to be wiped.

    Raise ProofError if one isn't, HostError if an isolation can't be lifted.
    """
    checks = wipe(scratch, brought)
    failed = {check.host for check in checks if check.outcome == "failed"}
    try:
        on_each({name: one for name, one in scratch.items() if name not in failed}, lift)
    finally:
        require_wiped(checks)
    return checks


def anything(fleet: Fleet) -> Brought:
    """Return what a drill of this fleet can bring to any scratch host."""
    return Brought(models_at=tuple(dict.fromkeys(host.store.path for host in fleet.file.hosts.values())))


def _ports(name: str, connection: Connection) -> Iterator[Place]:
    address = parse_address(connection.target.address)
    for port, what in ((connection.target.port, "ssh"), (_HTTPS, "gateway"), (FIRST_PORT, "first replica")):
        yield Place(address, port, f"{name}'s {what}")
