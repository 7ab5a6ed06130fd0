"""Which models fit on their hosts, according to the lock and the hosts' hardware."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rackwright.errors import HostError
from rackwright.fit.demand import Asked, Room
from rackwright.fit.fit import Fit
from rackwright.fit.from_fleet import asked_of
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.lock import Lock
from rackwright.hardware.hardware import COMMAND, Hardware, parse_hardware
from rackwright.shape.shape import ModelShape

if TYPE_CHECKING:
    from rackwright.remote import Remote

TIMEOUT = 120
"""Seconds. nvidia-smi alone takes half a minute if eight GPUs aren't kept initialized."""
SYSTEM_SHARE = 0.1
"""At least this share of a host's memory isn't for engines: the unit of one has MemoryMax=90%."""
SYSTEM = 10**9
"""Bytes of a host's memory for its system and rackwright's own programs."""


@dataclass(frozen=True)
class Memory:
    """One host's memory in bytes; None: unknown."""

    gpu: int | None = None
    """Memory of its smallest GPU, because a replica may get any of them."""
    ram: int | None = None

    @property
    def for_engines(self) -> int | None:
        """`ram` without what the system and rackwright's own programs take."""
        return None if self.ram is None else max(self.ram - max(SYSTEM, int(self.ram * SYSTEM_SHARE)), 0)


@dataclass(frozen=True)
class Overrides:
    """Values to use instead of the fleet file's; None: the fleet file's."""

    context: int | None = None
    parallel: int | None = None


AS_WRITTEN = Overrides()


@dataclass(frozen=True)
class Placed:
    """Identical replicas of one model: the same number of GPUs with the same memory."""

    model: str
    replicas: tuple[str, ...]
    """Their addresses, HOST/MODEL@N."""
    gpus: int
    """GPUs per replica, on each of its hosts; 0: they run on the processor."""
    fit: Fit | None
    """None: unknown, see `doubt`."""
    doubt: str | None = None
    """Why it is unknown whether they fit, and what would help; None: it is known."""

    def is_like(self, other: Placed) -> bool:
        return replace(self, replicas=other.replicas) == other


def ask(remote: Remote, hosts: tuple[str, ...]) -> tuple[dict[str, Memory], dict[str, str]]:
    """Ask hosts for their hardware; return the memory of each, and for each that failed the reason."""
    from rackwright.remote import read_each

    memories: dict[str, Memory] = {}
    unreachable: dict[str, str] = {}
    asked = remote.run_on(hosts, dict.fromkeys(hosts, COMMAND), timeout=TIMEOUT)
    for name, found in read_each(asked, "reading the hardware", parse_hardware).items():
        if isinstance(found, HostError):
            unreachable[name] = found.problems[0].line()
        else:
            memories[name] = memory_of(found)
    return memories, unreachable


def memory_of(hardware: Hardware) -> Memory:
    """Return the host's memory, and its GPUs' if a driver reports it. Cards that are split by MIG don't count."""
    cards = hardware.report.gpus if hardware.report else ()
    return Memory(min((card.memory for card in cards if not card.mig), default=None), hardware.memory or None)


def fit_fleet(
    fleet: Fleet, lock: Lock, memories: Mapping[str, Memory], *, overrides: Overrides = AS_WRITTEN
) -> tuple[Placed, ...]:
    """Given hosts and their memory, return how their replicas fit, identical ones once, in the fleet file's order."""
    found: list[Placed] = []
    for host, memory in memories.items():
        for here in fit_host(fleet, lock, host, memory, overrides=overrides):
            alike = next((one for one in found if one.is_like(here)), None)
            if alike is None:
                found.append(here)
            else:
                both = dict.fromkeys((*alike.replicas, *here.replicas))
                found[found.index(alike)] = replace(alike, replicas=tuple(both))
    order = list(fleet.file.models)
    return tuple(sorted(found, key=lambda one: order.index(one.model)))


def fit_host(
    fleet: Fleet, lock: Lock, host: str, memory: Memory, *, overrides: Overrides = AS_WRITTEN
) -> Iterator[Placed]:
    """Yield how each replica on this host fits, or this host's part of it if it spans hosts.

    Replicas on the processor share the host's memory, in the fleet file's order.
    """
    left = memory.for_engines
    for replica in fleet.parts_on(host):
        found = _placed(fleet, lock, replica, memory.gpu if replica.gpus else left, overrides)
        yield found
        if left is not None and not replica.gpus and found.fit:
            left = max(left - found.fit.taken, 0)


def _placed(fleet: Fleet, lock: Lock, replica: Replica, memory: int | None, overrides: Overrides) -> Placed:
    shape = lock.models[replica.model].shape if replica.model in lock.models else None
    if shape is None or memory is None:
        return Placed(replica.model, (replica.address,), replica.gpus, None, _doubt(shape, replica))
    asked = _asked(fleet, replica, overrides)
    return placed(replica.model, (replica.address,), replica.gpus, Fit(shape, asked, Room(memory, replica.gpus)))


def placed(model: str, replicas: tuple[str, ...], gpus: int, fit: Fit) -> Placed:
    """Return how these replicas fit."""
    return Placed(model, replicas, gpus, fit, fit.unknown if fit.fits is None else None)


def _asked(fleet: Fleet, replica: Replica, overrides: Overrides) -> Asked:
    model = fleet.file.models[replica.model]
    return asked_of(
        model,
        gpus=replica.gpus,
        hosts=len(replica.hosts),
        context=overrides.context,
        parallel=overrides.parallel,
    )


def _doubt(shape: ModelShape | None, replica: Replica) -> str:
    """Return why it is unknown whether a replica fits: no shape, or no known memory."""
    if shape is None:
        return "the lock has no shape of it; rackwright lock adds it"
    if replica.gpus:
        return "the memory of its GPUs isn't known until a driver runs; rackwright fit --gpu calculates it for a card"
    return "the host's memory isn't known; rackwright fit --ram calculates it for a size"
