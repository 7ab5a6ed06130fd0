"""Hold scratch hosts for a drill: proven not to be production, marked, isolated, and wiped at the end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rackwright.errors import LeasedError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.sections.backup import Repository
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.scope import Scope
from rackwright.lifecycle.drill.scratch_hosts.destinations import destinations
from rackwright.lifecycle.drill.scratch_hosts.isolation import Closed, Isolation, close_off, lift, still_closed
from rackwright.lifecycle.drill.scratch_hosts.marker import SIGN_SECONDS, Marker, claim, give_sign
from rackwright.lifecycle.drill.scratch_hosts.not_production import Production, Proven, prove_not_production
from rackwright.lifecycle.drill.scratch_hosts.reach_probes import Place, probe_here, probe_inside, probe_outside
from rackwright.lifecycle.drill.scratch_hosts.scratch import each_outcome, on_each
from rackwright.lifecycle.drill.scratch_hosts.wipe import Brought, require_wiped, wipe
from rackwright.ports import FIRST_PORT, LAST_PORT, PEERS_PORT
from rackwright.remote import Connection, Remote
from rackwright.values.network import Address, parse_address

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

    def prove(self, *, take_over: bool) -> Proven:
        """Return the proof that no scratch host is production. Nothing has been changed."""
        return prove_not_production(self.scratch, _production(self.own, self.production), take_over=take_over)

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
            wanted=destinations(self.own, self.lock, tuple(self.scope.scratch)),
            scratch={name: one.addresses for name, one in proven.found.items()},
            production=tuple(_addresses(self.own)),
            reach=drill.reach if drill else (),
        )
        return close_off(self.scratch, isolation)

    def probe_from_inside(self, closed: Mapping[str, Closed]) -> tuple[Check, ...]:
        """Return what the scratch hosts could reach."""
        return (*still_closed(self.scratch), *probe_inside(self.scratch, closed, tuple(_places(self.own))))

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
    return Brought(models_at=tuple(dict.fromkeys(host.store.path for host in fleet.file.hosts.values())))


def _production(fleet: Fleet, connections: Mapping[str, Connection]) -> Production:
    return Production(
        fleet=fleet.file.fleet,
        connections=connections,
        addresses=dict(_named_addresses(fleet)),
        ports=frozenset((_HTTPS, PEERS_PORT, *range(FIRST_PORT, LAST_PORT + 1))),
        models_at=tuple(dict.fromkeys(host.store.path for host in fleet.file.hosts.values())),
    )


def _named_addresses(fleet: Fleet) -> Iterator[tuple[Address, str]]:
    for name, host in fleet.file.hosts.items():
        for kind, text in (("address", host.address), ("service", host.service), ("fabric", host.fabric)):
            if address := _address(text):
                yield address, f"{name}'s {kind}"
    if vip := fleet.file.gateway.vip:
        yield vip, "the virtual address"
    for asked in fleet.file.backup.to if fleet.file.backup else ():
        if address := _address(_server(asked)):
            yield address, f"the server of the repository {asked.name}"


def _server(asked: Repository) -> str:
    place = asked.url.partition("@")[2] if asked.kind == "sftp" else asked.url.partition("//")[2]
    return place[1:].partition("]")[0] if place.startswith("[") else place.partition("/")[0].partition(":")[0]


def _addresses(fleet: Fleet) -> Iterator[Address]:
    """Yield the addresses of the fleet's hosts, and its virtual address."""
    yield from (address for address, what in _named_addresses(fleet) if not what.startswith("the server"))


def _address(text: object) -> Address | None:
    try:
        return parse_address(str(text)) if text else None
    except ValueError:
        return None


def _places(fleet: Fleet) -> Iterator[Place]:
    for name in fleet.hosts:
        host = fleet.file.hosts[name]
        known = {address for text in (host.address, host.service) if (address := _address(text))}
        for address in sorted(known, key=str):
            yield Place(address, host.ssh.port, f"{name}'s ssh")
            if name in fleet.gateways:
                yield Place(address, _HTTPS, f"{name}'s gateway")


def _ports(name: str, connection: Connection) -> Iterator[Place]:
    address = parse_address(connection.target.address)
    for port, what in ((connection.target.port, "ssh"), (_HTTPS, "gateway"), (FIRST_PORT, "first replica")):
        yield Place(address, port, f"{name}'s {what}")
