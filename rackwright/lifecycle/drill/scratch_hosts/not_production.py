"""Proof that each scratch host is neither a host of the fleet nor the controller, before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rackwright.errors import Problem, ProofError, RackwrightError
from rackwright.lifecycle.drill.evidence.conclusion import NOT_PRODUCTION
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.scratch_hosts.identity import Identity, ask
from rackwright.lifecycle.drill.scratch_hosts.isolation import closed_off
from rackwright.lifecycle.drill.scratch_hosts.marker import ALIVE_SECONDS, in_use
from rackwright.lifecycle.drill.scratch_hosts.scratch import FOLDER, MODELS_AT, each_outcome, on_each
from rackwright.remote import known_hosts
from rackwright.remote.connection import Connection
from rackwright.values.network import Address
from rackwright.values.targets import Target

_FOLDERS = ("/etc/rackwright", "/var/lib/rackwright", "/opt/rackwright")
_LOCAL_DISKS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "tmpfs", "overlay")
_USE = "should be a machine that this fleet doesn't use"
_FREE = "should be a machine without rackwright and without services"


@dataclass(frozen=True)
class Production:
    """What the fleet's hosts, which a drill must never touch, are known by."""

    fleet: str
    connections: Mapping[str, Connection]
    """To the hosts in service; only read-only commands are run."""
    addresses: Mapping[Address, str]
    """Address → what it is in the fleet file, like `gate1's address` or `the VIP`; repository servers, too."""
    ports: frozenset[int] = frozenset({443})
    """Ports on which the fleet serves."""
    models_at: tuple[str, ...] = (MODELS_AT,)
    """Folders with weights."""
    drills: Callable[[str], frozenset[str]] = lambda _: frozenset()
    """Given a drill's id, return the scratch hosts that it used, by this machine's records."""

    def knowing(self, others: Mapping[str, frozenset[str]]) -> Production:
        """Return the same with drills of other machines: each one's id and scratch hosts."""
        return replace(self, drills=lambda drill: self.drills(drill) | others.get(drill, frozenset()))


@dataclass(frozen=True)
class Proven:
    checks: tuple[Check, ...]
    found: Mapping[str, Identity]
    """Scratch host → its identity."""

    @property
    def leftovers(self) -> tuple[str, ...]:
        """Scratch hosts that an earlier drill of this fleet left behind. They must be wiped before the drill."""
        return tuple(name for name, one in self.found.items() if one.marker)


def prove_not_production(
    scratch: Mapping[str, Connection], production: Production, *, take_over: bool = False
) -> Proven:
    """Return the checks that all scratch hosts passed. Nothing has been changed.

    `take_over` accepts hosts of a drill that still seems to run. Raise ProofError with every problem of every host,
    HostError if a scratch host can't be asked.
    """
    found = on_each(scratch, lambda connection: ask_all(connection, production))
    compared = compare(scratch, found, production)
    serving = may_serve(scratch, found, production)
    problems = [
        problem
        for name, identity in found.items()
        for problem in (
            *compared.problems[name],
            *_in_use(name, identity, production, take_over=take_over),
            *serving[name],
        )
    ]
    if problems:
        raise refusal(problems)
    return Proven((*_passed(found, compared.answered), *compared.unknown), found)


def ask_all(connection: Connection, production: Production) -> Identity:
    """Return a scratch host's identity with all traces of rackwright. Raise HostError if it can't be asked."""
    return ask(connection, *_FOLDERS, *production.models_at)


@dataclass(frozen=True)
class Compared:
    """Scratch hosts compared with the machines that a drill must never touch."""

    problems: Mapping[str, tuple[Problem, ...]]
    """Scratch host → why it may be one of these."""
    answered: int
    """How many hosts of the fleet answered."""
    unknown: tuple[Check, ...]
    """One for each host of the fleet that can't be asked."""


def compare(scratch: Mapping[str, Connection], found: Mapping[str, Identity], production: Production) -> Compared:
    """Compare each found scratch host with the fleet's hosts, the controller and each other. Nothing is changed."""
    hosts = each_outcome(production.connections, lambda connection: ask(connection))
    known = {name: one for name, one in hosts.items() if isinstance(one, Identity)}
    pins = {name: _pinned(one.target) for name, one in production.connections.items()}
    problems = {
        name: (
            *_same_machine(name, identity, scratch[name].target, known, pins),
            *_twice(name, identity, found),
            *_addresses(name, identity, production),
        )
        for name, identity in found.items()
    }
    return Compared(problems, len(known), tuple(_unknown(hosts, pins)))


def may_serve(
    scratch: Mapping[str, Connection], found: Mapping[str, Identity], production: Production
) -> Mapping[str, tuple[Problem, ...]]:
    """Return for each found scratch host what is on it that no drill left there. Nothing is changed.

    A marker alone excuses nothing: it stays on a machine that gets another task, and on copies of its disk. But a
    drill isolates a host before anything gets there, and lifts the isolation when nothing is left.
    """
    closed = closed_off({name: scratch[name] for name, identity in found.items() if identity.marker})
    return {
        name: () if name in closed else tuple(_not_free(name, identity, production))
        for name, identity in found.items()
    }


def refusal(problems: Sequence[Problem]) -> ProofError:
    """Return one error with all these problems."""
    first, *rest = problems
    error = ProofError(first.what, where=first.where, should=first.should, next=first.next, listed=first.listed)
    return error.with_problems(rest)


def _same_machine(
    name: str, identity: Identity, target: Target, known: Mapping[str, Identity], pins: Mapping[str, frozenset[str]]
) -> Iterator[Problem]:
    if not identity.machine_id:
        yield Problem(name, "has no machine ID", "should have one in /etc/machine-id", "systemd-machine-id-setup")
    if target.address == "@local" or (identity.machine_id and identity.machine_id == _controller()):
        yield Problem(name, "is the machine that rackwright runs on", _USE)
    own = identity.keys | _pinned(target)
    if not own:
        yield Problem(name, "shows no SSH host key", "should have one, because hosts are recognized by it")
    for host in dict.fromkeys((*known, *pins)):
        there = known.get(host)
        if there and identity.machine_id == there.machine_id:
            yield Problem(name, f"has the machine ID of {host}, a host of the fleet", _USE)
        if own & (pins.get(host, frozenset()) | (there.keys if there else frozenset())):
            yield Problem(name, f"has an SSH host key of {host}, a host of the fleet", _USE)


def _twice(name: str, identity: Identity, found: Mapping[str, Identity]) -> Iterator[Problem]:
    names = list(found)
    for other in names[names.index(name) + 1 :]:
        same = identity.machine_id and identity.machine_id == found[other].machine_id
        if same or identity.keys & found[other].keys:
            yield Problem(name, f"is the same machine as {other}", "each scratch host should be a machine of its own")


def _addresses(name: str, identity: Identity, production: Production) -> Iterator[Problem]:
    for address in sorted(identity.addresses & production.addresses.keys(), key=str):
        yield Problem(name, f"has the address {address}, {production.addresses[address]}", _USE)


def _in_use(name: str, identity: Identity, production: Production, *, take_over: bool) -> Iterator[Problem]:
    for path, kind in (identity.filesystems or {}).items():
        if kind not in _LOCAL_DISKS:
            yield Problem(
                name, f"{path} is on {kind}", "should be on a disk of the machine, because a wipe empties it"
            )
    marker = identity.marker
    if marker is None:
        return
    known = name in production.drills(marker.drill)
    if marker.fleet != production.fleet:
        yield Problem(
            name,
            f"is the scratch host of another fleet, {marker.fleet}: the drill {marker.drill} of {marker.who}",
            "should be wiped with the fleet file of that fleet",
        )
    elif abs(identity.seen) < ALIVE_SECONDS and not (take_over and known):
        yield from in_use(name, marker, max(identity.seen, 0), known=known).problems
    elif not known:
        yield Problem(
            name,
            f"has the marker of the drill {marker.drill} of {marker.who}, of which there is no record here",
            "should have a report or a draft that names this scratch host; get it from who ran that drill",
            "rackwright drill clean, which asks before it wipes",
        )


def _not_free(name: str, identity: Identity, production: Production) -> Iterator[Problem]:
    marker, use = identity.marker, _FREE
    why = "and not for a drill"
    if marker:
        why = f"and the isolation of the drill {marker.drill} isn't in force"
        use = f"should be isolated until it is wiped: reinstall it, or remove {FOLDER} if it is in use"
    if identity.left:
        yield Problem(name, f"rackwright has set it up, {why}", use, listed=identity.left[:20])
    if identity.running:
        yield Problem(name, "units of rackwright run on it", use, listed=identity.running[:20])
    if ports := sorted(identity.ports & production.ports):
        listed = ", ".join(map(str, ports[:20]))
        yield Problem(name, f"something listens on ports on which the fleet serves: {listed}", use)


def _passed(found: Mapping[str, Identity], answered: int) -> Iterator[Check]:
    against = f"{answered} hosts of the fleet that answered"
    for name, identity in found.items():
        left = f"leftovers of the drill {identity.marker.drill}" if identity.marker else "no traces of rackwright"
        yield Check(
            NOT_PRODUCTION,
            "passed",
            name,
            found=f"machine ID and SSH host keys differ from those of {against}; {left}",
            expected="a machine that the fleet doesn't use",
        )


def _unknown(hosts: Mapping[str, Identity | RackwrightError], pins: Mapping[str, frozenset[str]]) -> Iterator[Check]:
    for name, one in hosts.items():
        if isinstance(one, RackwrightError):
            how = "by its pinned host key and its addresses only" if pins[name] else "by its addresses only"
            yield Check(
                "compared with every host of the fleet",
                "not run",
                found=f"{name} can't be asked ({one.problems[0].what}); scratch hosts were compared with it {how}",
            )


def _pinned(target: Target) -> frozenset[str]:
    keys: Sequence[known_hosts.HostKey] = known_hosts.lookup(target).keys
    return frozenset(f"{key.type} {key.data}" for key in keys)


def _controller() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return ""
