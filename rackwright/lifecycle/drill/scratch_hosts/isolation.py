"""Isolation of scratch hosts: closed before any data arrives, in force across reboots, and lifted after the wipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rackwright.errors import HostError, ProofError, RackwrightError, together
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.drill.evidence.conclusion import ISOLATED
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.scratch_hosts import isolation_scripts as scripts
from rackwright.lifecycle.drill.scratch_hosts.destinations import Destination, Opened, archives, opened
from rackwright.lifecycle.drill.scratch_hosts.marker import Marker
from rackwright.lifecycle.drill.scratch_hosts.ruleset import Allowed, ruleset
from rackwright.lifecycle.drill.scratch_hosts.scratch import each_outcome, on_each
from rackwright.lifecycle.drill.scratch_hosts.surroundings import Surroundings, look_around
from rackwright.remote.connection import Connection
from rackwright.state.shell import call, command
from rackwright.values.network import Address, Network

CONFIRM_SECONDS = 60
"""The old rules return after this time unless a fresh connection gets in."""
_INSTALL_SECONDS = 600


@dataclass(frozen=True)
class Isolation:
    """What the scratch hosts may reach, before their names are resolved on each of them."""

    fleet: Fleet
    wanted: tuple[Destination, ...]
    """Repositories and download sources, from `destinations`."""
    scratch: Mapping[str, frozenset[Address]]
    """Scratch host → the addresses at which the others reach it; not those that many machines have, like Docker's."""
    production: tuple[Address, ...]
    """Addresses of the fleet's hosts, and its virtual address."""
    reach: tuple[Network, ...] = ()
    tools: tuple[Address, ...] = ()
    """Addresses of the hosts whose tool makes drills."""


@dataclass(frozen=True)
class Closed:
    """What one scratch host may reach."""

    allowed: Allowed
    opened: Opened


def close_off(scratch: Mapping[str, Connection], isolation: Isolation) -> dict[str, Closed]:
    """Isolate all scratch hosts, now and at boot, and return what each may reach.

    Each must have the drill's marker. Raise ProofError if a repository has no address there, HostError if a host
    can't be isolated, or doesn't answer a fresh connection afterwards; then its old rules return within
    CONFIRM_SECONDS. Run it again when addresses of download sources have changed.
    """
    on_each(scratch, _install)
    planned = on_each(scratch, lambda connection: _planned(connection, isolation))
    if errors := [error for name, (_, one) in planned.items() for error in _unreachable(name, one)]:
        raise together(errors)
    closed = {name: _closed(name, around, one, isolation) for name, (around, one) in planned.items()}
    rules = {scratch[name].name: ruleset(one.allowed) for name, one in closed.items()}
    on_each(scratch, lambda connection: _load(connection, rules[connection.name]))
    on_each(scratch, _keep)
    return closed


def still_closed(scratch: Mapping[str, Connection]) -> tuple[Check, ...]:
    """Return for each host whether the rules that were loaded are in force, unchanged."""
    found = on_each(scratch, lambda connection: call(connection, scripts.LOOK, what="looking at the isolation"))
    return tuple(
        Check(
            ISOLATED,
            "passed" if said.strip() == "closed" else "failed",
            name,
            found="the drill's packet filter is in force" if said.strip() == "closed" else "it isn't in force",
            expected="the drill's packet filter is in force, unchanged",
        )
        for name, said in found.items()
    )


def closed_off(scratch: Mapping[str, Connection]) -> frozenset[str]:
    """Return the hosts on which a drill's isolation is in force, unchanged; not one that can't be asked."""
    found = each_outcome(scratch, lambda connection: call(connection, scripts.LOOK, what="looking at the isolation"))
    return frozenset(name for name, said in found.items() if isinstance(said, str) and said.strip() == "closed")


def lift(connection: Connection, marker: Marker | None = None) -> None:
    """Remove the isolation and the marker, the drill's last act on a host. The host has been proven to be wiped.

    Raise HostError if it has no marker, or another one than this: then another drill restores to it.
    """
    call(connection, scripts.LIFT, marker.sha256 if marker else "", what="lifting the isolation")


def _install(connection: Connection) -> None:
    connection.run(scripts.INSTALL, timeout=_INSTALL_SECONDS).check("installing nftables")


def _planned(connection: Connection, isolation: Isolation) -> tuple[Surroundings, Opened]:
    own = archives(isolation.fleet, look_around(connection))
    wanted = (*isolation.wanted, *own)
    around = look_around(connection, (one.name for one in wanted))
    if around.controller is None:
        raise HostError(
            "this connection isn't an SSH connection, so the isolation could lock it out",
            where=connection.name,
            should="a scratch host should be reached by SSH",
        )
    return around, opened(wanted, around)


def _unreachable(name: str, found: Opened) -> Iterator[RackwrightError]:
    for one in found.unresolved:
        if one.repository:
            what = f"{one.name}, the server of {one.why}, has no address on this host"
            yield ProofError(what, where=name, should="the host's DNS servers should know it")


def _closed(name: str, around: Surroundings, found: Opened, isolation: Isolation) -> Closed:
    assert around.controller  # noqa: S101
    others: Iterable[Address] = (
        address for other, own in isolation.scratch.items() if other != name for address in own
    )
    allowed = Allowed(
        controller=around.controller,
        ssh_port=around.ssh_port,
        tools=isolation.tools,
        peers=tuple(others),
        resolvers=around.resolvers,
        servers=found.servers,
        reach=isolation.reach,
        production=isolation.production,
    )
    return Closed(allowed, found)


def _load(connection: Connection, rules: str) -> None:
    call(connection, scripts.CLOSE, CONFIRM_SECONDS, stdin=rules, what="isolating the host")


def _keep(connection: Connection) -> None:
    """Confirm over a new connection: the old one would also work through rules that let nobody in."""
    connection.close()
    try:
        done = connection.run(command(scripts.KEEP), stdin=scripts.UNIT_TEXT)
    except HostError as error:
        raise error.but(
            should=f"the isolation should let the controller in; the old rules return within {CONFIRM_SECONDS} s"
        ) from error
    done.check("confirming the isolation")
