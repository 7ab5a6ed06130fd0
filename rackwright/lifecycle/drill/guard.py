"""Hold scratch hosts for a drill: proven not to be production, marked, isolated, and wiped at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, cached_property

from rackwright.errors import LeasedError, RackwrightError, together
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.keys_file import read_keys
from rackwright.fleet.lock import Lock
from rackwright.lifecycle.client.origin import own_address
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.scope import Scope
from rackwright.lifecycle.drill.scratch_hosts.destinations import Destination, destinations
from rackwright.lifecycle.drill.scratch_hosts.fleet_addresses import (
    Lookup,
    addresses_of_makers,
    drill_makers,
    hosts_addresses,
    look_up,
    places_of,
    production_of,
)
from rackwright.lifecycle.drill.scratch_hosts.isolation import Closed, Isolation, close_off, lift, still_closed
from rackwright.lifecycle.drill.scratch_hosts.marker import NONE, SIGN_SECONDS, Marker, claim, give_sign, leave
from rackwright.lifecycle.drill.scratch_hosts.not_production import Proven, prove_not_production
from rackwright.lifecycle.drill.scratch_hosts.reach_probes import Place, probe_here, probe_inside, probe_outside
from rackwright.lifecycle.drill.scratch_hosts.scratch import each_outcome, on_each
from rackwright.lifecycle.drill.scratch_hosts.wipe import Brought, require_wiped, wipe
from rackwright.ports import FIRST_PORT
from rackwright.remote import Connection, Remote
from rackwright.values.network import parse_address

_HTTPS = 443
_TEXTS = 5


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

    def prove(self, *, take_over: bool, drills: Mapping[str, frozenset[str]]) -> Proven:
        """Return the proof that no scratch host is production. Nothing has been changed.

        `drills` are those of other machines that may have left something, with their scratch hosts.
        """
        known = production_of(self.own, self.lock, self.production, self._servers, lookup=self._lookup)
        return prove_not_production(self.scratch, known.knowing(drills), take_over=take_over)

    @contextmanager
    def held(self, proven: Proven) -> Iterator[Signs]:
        """Take the scratch hosts in this block, and show on them that the drill is alive.

        Raise HostError if another drill has taken one in the meantime.
        """
        found = {self.scratch[name].name: one.marker_sha256 for name, one in proven.found.items()}
        done = each_outcome(self.scratch, lambda host: claim(host, self.marker, found=found[host.name]))
        if errors := [one for one in done.values() if isinstance(one, RackwrightError)]:
            # Both of two drills that begin at the same moment may get one host; neither must keep it from the next.
            fresh = [name for name, one in done.items() if one is None and proven.found[name].marker_sha256 == NONE]
            each_outcome({name: self.scratch[name] for name in fresh}, lambda host: leave(host, self.marker))
            raise together(errors)
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
            tools=addresses_of_makers(self.own),
        )
        return close_off(self.scratch, isolation)

    def probe_from_inside(self, closed: Mapping[str, Closed]) -> tuple[Check, ...]:
        """Return what the scratch hosts could reach."""
        forbidden = places_of(self.own, lookup=self._lookup)
        return (*still_closed(self.scratch), *probe_inside(self.scratch, closed, forbidden))

    def probe_from_outside(self) -> tuple[Check, ...]:
        """Return who could reach the scratch hosts.

        This machine may reach only ssh and 443, hosts that make drills only ssh, and the other ones nothing.
        """
        places = {name: tuple(_ports(name, one)) for name, one in self.scratch.items()}
        # A host of the fleet may be this machine, which the isolation lets in.
        own = {own_address(one.target.address) for one in self.scratch.values()}
        named = hosts_addresses(self.own, lookup=self._lookup).items()
        this = {what.partition("'")[0] for address, what in named if str(address) in own}
        others = {
            name: one for name, one in self.production.items() if name not in this and not self.own.is_local(name)
        }
        expected = {name: (one.target.port, _HTTPS) for name, one in self.scratch.items()}
        here = probe_here(places, expected=expected)
        ssh = {place for name, some in places.items() for place in some if place.port == expected[name][0]}
        outside = probe_outside(places, others, dict.fromkeys(drill_makers(self.own), ssh))
        return (*still_closed(self.scratch), *outside, *here)

    def wiped(self, brought: Mapping[str, Brought]) -> tuple[Check, ...]:
        """Wipe all scratch hosts, and lift the isolation of those that are proven to be wiped.

        `brought` is by host of the fleet; without it, what every host of the fleet may have is removed. Raise
        ProofError if a host isn't proven to be wiped.
        """
        known = {self.scope.scratch[host]: one for host, one in brought.items()}
        brought = {name: known.get(name, anything(self.own)) for name in self.scratch}
        return wipe_and_lift(self.scratch, brought, self.marker)

    def clean(self, names: Iterable[str]) -> None:
        """Wipe what an earlier drill left on these scratch hosts. Raise ProofError if one isn't wiped."""
        scratch = {name: self.scratch[name] for name in names}
        require_wiped(wipe(scratch, dict.fromkeys(scratch, anything(self.own)), self.marker))

    def as_hosts(self, checks: Iterable[Check]) -> tuple[Check, ...]:
        """Return the checks with the fleet's host in place of the scratch host that stands for it."""
        stands_for = {scratch: host for host, scratch in self.scope.scratch.items()}
        return tuple(replace(check, host=stands_for.get(check.host, check.host)) for check in checks)


class Signs:
    """Shows on the scratch hosts that the drill is alive, and notes if another one has taken them."""

    def __init__(self, scratch: Mapping[str, Connection], marker: Marker) -> None:
        self._scratch, self._marker = scratch, marker
        self._ended = threading.Event()
        self._lost: LeasedError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """Raise LeasedError if another drill has taken a scratch host."""
        if self._lost:
            raise self._lost

    def _run(self) -> None:
        while not self._ended.wait(SIGN_SECONDS):
            # All at once: one that doesn't answer must not keep the others from getting their signs. It may reboot.
            for error in each_outcome(self._scratch, lambda host: give_sign(host, self._marker)).values():
                if isinstance(error, LeasedError):
                    self._lost = error


def guard_of(own: Fleet, lock: Lock, scope: Scope, marker: Marker, remote: Remote) -> Guard:
    """Return the guard of the scope's scratch hosts; `remote` reaches these and the fleet's hosts."""
    scratch = {name: remote.connection(name) for name in dict.fromkeys(scope.scratch.values())}
    return Guard(own, lock, scope, marker, scratch, {name: remote.connection(name) for name in own.hosts})


def wipe_and_lift(
    scratch: Mapping[str, Connection], brought: Mapping[str, Brought], marker: Marker
) -> tuple[Check, ...]:
    """Wipe these scratch hosts, and lift the isolation of those that are proven to be wiped.

    A host without this marker is left alone. Raise ProofError if one isn't wiped, HostError if an isolation can't be
    lifted.
    """
    checks = wipe(scratch, brought, marker)
    failed = {check.host for check in checks if check.outcome == "failed"}
    try:
        on_each({name: one for name, one in scratch.items() if name not in failed}, lambda host: lift(host, marker))
    finally:
        require_wiped(checks)
    return checks


def anything(fleet: Fleet) -> Brought:
    """Return what a drill of this fleet can bring to any scratch host."""
    return Brought(tuple(dict.fromkeys(host.store.path for host in fleet.file.hosts.values())), texts=_texts(fleet))


def _texts(fleet: Fleet) -> tuple[str, ...]:
    """Return the hashes of some API keys, which each gateway and each control host has."""
    try:
        return tuple(key.sha256 for key in read_keys(fleet.sibling("keys.yml")))[:_TEXTS]
    except RackwrightError:  # A wipe must not depend on this file
        return ()


def _ports(name: str, connection: Connection) -> Iterator[Place]:
    address = parse_address(connection.target.address)
    for port, what in ((connection.target.port, "ssh"), (_HTTPS, "gateway"), (FIRST_PORT, "first replica")):
        yield Place(address, port, f"{name}'s {what}")
