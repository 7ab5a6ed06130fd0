"""What a rollout is made of: the change of one replica, phases and rules, and what it needs of gateways and time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rackwright.errors import ExitCode, RackwrightError
from rackwright.fleet.fleet import Replica

DOWNTIME_SECONDS = 60
"""How long a replica is expected to be away of which nobody has seen one change."""


class Phase(StrEnum):
    GATE = "gate"
    DRAIN = "drain"
    ACT = "act"
    PROVE = "prove"
    CANARY = "canary"
    """Of a change that is tried: a part of the traffic, while it is still drained for the rest."""
    UNDRAIN = "undrain"
    SOAK = "soak"
    REVERT = "revert"
    """Instead of what was left, after a failure."""
    DONE = "done"


class Paused(RackwrightError):
    """Nothing is wrong with what was changed, and it goes no further by itself; what was begun is whole."""


class Undecided(Paused):
    """A trial that nobody can tell the end of: the replica stays as it was changed, and drained."""

    exit_code = ExitCode.NOT_PROVEN


class Traffic(Protocol):
    """The gateways, as the rollout needs them."""

    def healthy(self, model: str) -> set[str]:
        """Return the addresses (HOST/MODEL@N) of the replicas that every gateway would send a request to."""

    def drained_manually(self) -> set[str]:
        """Return the addresses of replicas that somebody drained by hand."""

    def drain(self, replica: Replica) -> None:
        """No gateway sends new requests to the replica afterwards."""

    def in_flight(self, replica: Replica) -> int:
        """Return the replica's requests in flight over all gateways."""

    def undrain(self, replica: Replica) -> None:
        """Every gateway may send requests to the replica afterwards."""

    def downtime(self, replica: Replica, seconds: int) -> None:
        """Tell gateways that nothing serves its model for about this long: they do what rollout.downtime says."""

    def end_downtime(self, replica: Replica) -> None:
        """The downtime is over, or given up."""


class Clock(Protocol):
    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


Act = Callable[[], None]
"""Raises RackwrightError where it can't be done."""
Proof = Callable[[], str | None]
"""Returns why it isn't proven yet, or None; raises ProofError where it never will be."""


Enter = Callable[[str], None]
"""Writes down what is about to be tried."""
Trial = Callable[[Enter], None]
"""Returns where it was passed; raises ProofError where it failed, Undecided where nobody can tell."""


def nothing() -> None:
    """Nothing to do, and nothing against it."""


def untried(_: Enter) -> None:
    """It needs no trial."""


@dataclass(frozen=True)
class Revert:
    """How what ran before runs again, and is proven as a change is."""

    act: Act
    prove: Proof
    serves: Proof = nothing


@dataclass(frozen=True)
class Change:
    """What happens to one replica."""

    replica: Replica
    why: str
    act: Act
    prove: Proof
    check: Act = nothing
    """Before it is drained: what must be right by then. Raises ProofError."""
    serves: Proof = nothing
    """Asked then, through the gateways: they answer those who prove it while it is still drained."""
    revert: Revert | None = None
    """None: there is nothing to go back to."""
    idle: bool = False
    """It served nobody before, and need not afterwards: it is changed and neither proven nor watched."""
    trial: Trial = untried
    """Runs before the replica is undrained. A replica that is drained manually isn't tried."""
    doing: str = "restarting"
    """What the progress line says while `act` runs."""


@dataclass(frozen=True)
class Rules:
    """From the fleet file's `rollout`; times in seconds."""

    max_unavailable: int
    drain: int
    soak: int
    prove: int = 600
    outages: frozenset[str] = frozenset()
    """Models of which the last healthy replica may be taken, too."""
    downtime: Callable[[str], int] = lambda _: DOWNTIME_SECONDS
    """Model → how long its only replica is expected to be away."""


class Journal(Protocol):
    def append(self, phase: Phase, replica: str, detail: str) -> None:
        """The line is on disk of the control host afterwards. Raise LeasedError if the lease has ended."""
