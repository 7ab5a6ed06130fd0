"""The parts of a rollout: the change of one replica, phases, rules, and the protocols that it uses."""

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

    def drain(self, replica: Replica) -> None:
        """Ensure that no gateway sends new requests to the replica."""

    def in_flight(self, replica: Replica) -> int:
        """Return the number of requests that the replica has in flight, from all gateways together."""

    def undrain(self, replica: Replica) -> None:
        """Let every gateway send requests to the replica."""

    def downtime(self, replica: Replica, seconds: int) -> None:
        """Announce to the gateways that its model is down for about this long: they do what rollout.downtime says."""

    def end_downtime(self, replica: Replica) -> None:
        """End the downtime, whether the replica was changed or not."""


class Clock(Protocol):
    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


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


@dataclass(frozen=True)
class Change:
    """One change of one replica."""

    replica: Replica
    why: str
    act: Act
    prove: Proof
    check: Act = nothing
    """Checks what must be right before the replica is drained. Raises RackwrightError if it isn't."""
    serves: Proof = nothing
    """The proof through the gateways, after `prove`: they pass on requests of a proof to a drained replica."""
    revert: Revert | None = None
    """None: there is nothing to revert to."""
    idle: bool = False
    """The replica didn't serve before and needn't afterwards: it is changed, but neither proven nor watched."""
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
    """Models whose last healthy replica may be taken down."""
    downtime: Callable[[str], int] = lambda _: DOWNTIME_SECONDS
    """Model → expected downtime of its only replica, in seconds."""


class Journal(Protocol):
    def append(self, phase: Phase, replica: str, detail: str) -> None:
        """Write a line; it is on the control host's disk on return. Raise LeasedError if the lease has ended."""
