"""One procedure for every change under traffic: gate, drain, act, prove, return, soak; one replica at a time.

It knows the act and the proof only as values handed in, and traffic only through `Traffic`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rackwright.errors import ProofError, RackwrightError
from rackwright.fleet.fleet import Replica

RETURN_SECONDS = 60
"""Longest wait until the gateways take a replica back."""
STEADY_SECONDS = 6
"""How long they must see it healthy without a break. What they see is older than what is: an engine that restarted in
a moment is still thought up from before, then found down, then up again (probe, agent and two checks: 5 s)."""


class Phase(StrEnum):
    GATE = "gate"
    DRAIN = "drain"
    ACT = "act"
    PROVE = "prove"
    RETURN = "return"
    SOAK = "soak"
    DONE = "done"


class Traffic(Protocol):
    """The gateways, as the rollout needs them."""

    def healthy(self, model: str) -> set[str]:
        """Return the addresses (HOST/MODEL@N) of the replicas that every gateway would send a request to."""

    def held(self) -> set[str]:
        """Return the addresses of replicas that somebody drained by hand."""

    def drain(self, replica: Replica) -> None:
        """No gateway sends new requests to the replica afterwards."""

    def in_flight(self, replica: Replica) -> int:
        """Return the replica's requests in flight over all gateways."""

    def give_back(self, replica: Replica) -> None:
        """Every gateway may send requests to the replica afterwards."""


class Clock(Protocol):
    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass(frozen=True)
class Change:
    """What happens to one replica. `act` raises on failure; `prove` returns why it isn't proven, or None."""

    replica: Replica
    act: Callable[[], None]
    prove: Callable[[], str | None]
    why: str


@dataclass(frozen=True)
class Rules:
    """From the fleet file's `rollout`; times in seconds."""

    max_unavailable: int
    drain: int
    soak: int
    prove: int = 600
    allow_outage: bool = False


class Journal(Protocol):
    def append(self, phase: Phase, replica: str, detail: str) -> None:
        """The line is on disk of the control host afterwards."""


@dataclass(frozen=True)
class Rollout:
    traffic: Traffic
    rules: Rules
    size: Callable[[str], int]
    """Model → how many replicas it should have."""
    journal: Journal
    tell: Callable[[Phase, Replica, str], None]
    clock: Clock
    stopping: Callable[[], bool] = lambda: False
    """Whether the operator wants nothing further begun."""

    def run(self, changes: Sequence[Change], done: Callable[[Change], None] = lambda _: None) -> None:
        """Carry out each change in turn, and tell `done` of it. The first failure stops the run.

        So does `stopping`: a replica that only drains goes back untouched, one that is changed already is proven and
        returned first, without its soak.

        What failed before its return stays drained, with its reason; what fell out after it is not drained again:
        the gateways leave it out by themselves and take it back when it is well.
        Raise RackwrightError when the gate, the drain or the act fails or it was stopped, ProofError when a proof
        fails.
        """
        for index, change in enumerate(changes):
            if self.stopping() or not self._one(change):
                raise _stopped(changes[:index], changes[index:])
            done(change)

    def _one(self, change: Change) -> bool:
        """Return whether the change was made: all of it, or nothing."""
        self._gate(change)
        held = change.replica.address in self.traffic.held()
        self._drain(change)
        if self.stopping():
            self._leave(change, held=held)
            return False
        self._act(change)
        self._prove(change)
        if held:
            self._enter(Phase.DONE, change, "stays drained: it was drained by hand before")
            return True
        self._return(change)
        self._soak(change)
        self._enter(Phase.DONE, change, change.why)
        return True

    def _gate(self, change: Change) -> None:
        self._enter(Phase.GATE, change, change.why)
        replica = change.replica
        healthy = self.traffic.healthy(replica.model)
        others = healthy - {replica.address}
        if not others and not self.rules.allow_outage:
            raise RackwrightError(
                f"is the last healthy replica of {replica.model}: taking it would stop the service",
                where=replica.address,
                should="bring another replica up first, or accept the gap",
                next="the same command with --allow-outage",
            )
        unavailable = self.size(replica.model) - len(others)
        if unavailable > self.rules.max_unavailable and not self.rules.allow_outage:
            raise RackwrightError(
                f"{unavailable} of {self.size(replica.model)} replicas of {replica.model} would be unavailable",
                where=replica.address,
                should=f"rollout.max_unavailable is {self.rules.max_unavailable}",
                next="rackwright status",
            )

    def _drain(self, change: Change) -> None:
        self._enter(Phase.DRAIN, change, "no new requests")
        self.traffic.drain(change.replica)
        deadline = self.clock.now() + self.rules.drain
        while not self.stopping() and (count := self.traffic.in_flight(change.replica)) > 0:
            if self.clock.now() >= deadline:
                raise RackwrightError(
                    f"{count} requests still in flight after {self.rules.drain} s; paused, nothing was killed",
                    where=change.replica.address,
                    should="wait for them, or raise rollout.drain",
                    next=f"rackwright undrain {change.replica.address}",
                )
            self.clock.sleep(0.5)

    def _leave(self, change: Change, *, held: bool) -> None:
        """It serves as before; what was drained by hand stays so."""
        if not held:
            self.traffic.give_back(change.replica)
        self._enter(Phase.DONE, change, "left as it was: interrupted")

    def _act(self, change: Change) -> None:
        self._enter(Phase.ACT, change, change.why)
        change.act()

    def _prove(self, change: Change) -> None:
        self._enter(Phase.PROVE, change, "a real answer at its socket")
        deadline = self.clock.now() + self.rules.prove
        while (reason := change.prove()) is not None:
            if self.clock.now() >= deadline:
                raise ProofError(
                    f"not proven after {self.rules.prove} s: {reason}",
                    where=change.replica.address,
                    should="it stays drained; the others go on serving",
                    next=f"rackwright logs {change.replica.address}",
                )
            self.clock.sleep(0.5)

    def _return(self, change: Change) -> None:
        self._enter(Phase.RETURN, change, "back at every gateway")
        self.traffic.give_back(change.replica)
        self._until_healthy(change, "the gateways don't take it back")

    def _soak(self, change: Change) -> None:
        self._enter(Phase.SOAK, change, f"{self.rules.soak} s under traffic")
        deadline = self.clock.now() + self.rules.soak
        while self.clock.now() < deadline and not self.stopping():
            self.clock.sleep(min(1.0, deadline - self.clock.now()))
            if not self._healthy(change):
                raise ProofError("fell out of the gateways while soaking", where=change.replica.address)

    def _until_healthy(self, change: Change, otherwise: str) -> None:
        began = steady = self.clock.now()
        while self.clock.now() - steady < STEADY_SECONDS:
            self.clock.sleep(0.5)
            if self._healthy(change):
                continue
            steady = self.clock.now()
            if steady - began >= RETURN_SECONDS:
                raise ProofError(otherwise, where=change.replica.address, next="rackwright status")

    def _healthy(self, change: Change) -> bool:
        return change.replica.address in self.traffic.healthy(change.replica.model)

    def _enter(self, phase: Phase, change: Change, detail: str) -> None:
        self.journal.append(phase, change.replica.address, detail)
        self.tell(phase, change.replica, detail)


def _stopped(done: Sequence[Change], left: Sequence[Change]) -> RackwrightError:
    names = [", ".join(change.replica.address for change in changes) or "none" for changes in (done, left)]
    return RackwrightError(f"interrupted; done: {names[0]}; not begun: {names[1]}", next="rackwright status")
