"""The parts of a rollout: one change, its phases, the rules, and the protocols that it uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rackwright.errors import ExitCode, RackwrightError
from rackwright.fleet.fleet import Replica

DOWNTIME_SECONDS = 60
"""Expected downtime of a model's only replica if none has been measured yet."""


class Phase(StrEnum):
    GATE = "gate"
    DRAIN = "drain"
    ACT = "act"
    PROVE = "prove"
    COMMIT = "commit"
    """Only for a change that isn't permanent on its own: after it, a host keeps its new kernel."""
    CANARY = "canary"
    """Only for a change with a trial: the replica gets a share of the traffic, and stays drained for the rest."""
    UNDRAIN = "undrain"
    SOAK = "soak"
    REVERT = "revert"
    """After a failure, instead of the remaining phases."""
    DONE = "done"


class Paused(RackwrightError):
    """The rollout needs an operator to go on. Nothing has failed, and no replica is left half changed."""


class Undecided(Paused):
    """A trial ended without a verdict: the replica stays changed, and drained."""

    exit_code = ExitCode.NOT_PROVEN


class RolloutTraffic(Protocol):
    """What a rollout needs from the gateways."""

    def healthy(self, model: str) -> set[str]:
        """Return the addresses (HOST/MODEL@N) of the replicas that every gateway would send a request to."""

    def drained_manually(self) -> set[str]:
        """Return the addresses of replicas that an operator drained manually."""

    def drained_by_runs(self) -> set[str]:
        """Return the addresses of replicas that a run has drained, this one or an earlier one."""

    def takes_requests(self, gateway: str) -> bool:
        """Return whether this gateway is in service."""

    def left_manually(self, gateway: str) -> bool:
        """Return whether an operator took this gateway out of service."""

    def drain(self, replica: Replica) -> None:
        """Ensure that no gateway sends new requests to the replica."""

    def in_flight(self, replica: Replica) -> int:
        """Return the number of requests that the replica has in flight, from all gateways together."""

    def queued(self, model: str) -> int:
        """Return the number of requests that wait for a slot of the model, at all gateways together."""

    def undrain(self, replica: Replica) -> None:
        """Let every gateway send requests to the replica."""

    def downtime(self, replica: Replica, seconds: int, *, early: int = 0) -> None:
        """Announce to the gateways that its model is down for about this long: they do what rollout.downtime says.

        They do so for `early` seconds although the replica still takes requests: it answers those that are queued.
        """

    def end_downtime(self, replica: Replica) -> None:
        """End the downtime, whether the replica was changed or not."""

    def leave(self, gateway: str) -> None:
        """Ensure that this gateway gets no new requests; those in flight go on."""

    def passing(self, gateway: str) -> int:
        """Return the number of requests in flight through this gateway."""

    def rejoin(self, gateway: str) -> None:
        """Let this gateway get requests again. Its replicas are drained as at the other gateways."""


Kill = Callable[[BaseException], None]
"""Raises this in a piece of work where it waits, and returns when the work has ended."""


class Clock(Protocol):
    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None:
        """Let other work that was started go on for this long. Only here does one piece of work yield to another."""

    def start(self, work: Callable[[], None]) -> Kill:
        """Start the work next to this one. Return what ends it early."""


class SystemClock:
    """gevent's: commands on hosts are waited for in the same way."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        import gevent

        gevent.sleep(seconds)

    def start(self, work: Callable[[], None]) -> Kill:
        import gevent

        started = gevent.spawn(work)
        return lambda error: started.kill(error)


Act = Callable[[], None]
"""Raises RackwrightError if it fails."""
Proof = Callable[[], str | None]
"""Returns why the replica isn't proven yet, None if it is; raises ProofError if waiting won't help."""


Enter = Callable[[str], None]
"""Writes the next step of a trial to the journal, before that step starts."""
Trial = Callable[[Enter], None]
"""Returns if it passed; raises ProofError if it failed, Undecided if it ends without a verdict."""


def nothing() -> None:
    """Do nothing: an act that isn't needed, or a proof that always succeeds."""


def untried(_: Enter) -> None:
    """Pass: the change needs no trial."""


@dataclass(frozen=True)
class Revert:
    """How to start the previous version again, and to prove it."""

    act: Act
    prove: Proof
    serves: Proof = nothing
    what: str = "the previous version"
    """What the journal has of the act."""


@dataclass(frozen=True)
class Change:
    """One change: of one replica, or of a host with all its replicas."""

    replicas: tuple[Replica, ...]
    """Those that it makes unavailable: exactly one unless `host` is set."""
    why: str
    act: Act
    prove: Proof
    check: Act = nothing
    """Checks what must be right before anything is drained. Raises RackwrightError if it isn't."""
    serves: Proof = nothing
    """The proof through the gateways, after `prove`: they pass on requests of a proof to a drained replica."""
    revert: Revert | None = None
    """None: there is nothing to revert to."""
    idle: frozenset[str] = frozenset()
    """Addresses of the replicas that didn't serve before: they need not serve afterwards."""
    commit: Act = nothing
    """Makes the change permanent once it is proven, before anything is undrained."""
    trial: Trial = untried
    """Runs before the replica is undrained. A replica that is drained manually isn't tried."""
    doing: str = "restarting"
    """What the progress line says while `act` runs."""
    host: str | None = None
    """The host that changes."""
    gateway: bool = False
    """The host is a gateway: it gets no requests during the change."""
    exclusive: bool = False
    """Nothing else changes at the same time, for example because the host is a gateway."""
    proves: str = "real answers at its socket, then through every gateway"
    """What the journal has of the proof."""
    restored: str = "the previous version serves"
    """What a revert leads to."""
    series: str = ""
    """Of the changes of one series, the first must have passed before another starts. Empty: it waits for none."""
    unfinished: bool = False
    """An earlier run has left the host drained or unproven: it keeps its slot until it returns."""

    @property
    def subject(self) -> str:
        """What the journal and the progress lines call it: the host, or HOST/MODEL@N."""
        return self.host or self.replicas[0].address

    @property
    def addresses(self) -> frozenset[str]:
        return frozenset(replica.address for replica in self.replicas)

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(replica.model for replica in self.replicas))

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that it works on."""
        members = frozenset(host for replica in self.replicas for host in replica.hosts)
        return members | {self.host} if self.host else members


@dataclass(frozen=True)
class Rules:
    """From the fleet file's `rollout` and `patch`; times in seconds."""

    max_unavailable: int
    """Replicas of one model; also the most replicas that are changed at the same time."""
    drain: int
    soak: int
    prove: int = 600
    outages: frozenset[str] = frozenset()
    """Models whose last healthy replica may be taken down."""
    downtime: Callable[[str], int] = lambda _: DOWNTIME_SECONDS
    """Model → expected downtime of its only replica, in seconds."""
    max_hosts: int = 1
    """Hosts that may be unavailable; also the most hosts that are changed at the same time."""


class Journal(Protocol):
    def append(self, phase: Phase, subject: str, detail: str) -> None:
        """Write a line about a replica or a host; it is on the control host's disk on return.

        Raise LeasedError if the lease has ended.
        """
