"""One procedure for every change under traffic: gate, drain, act, prove, canary, undrain, soak; replica by replica.

Acts and proofs are passed to it as functions, and the gateways as `RolloutTraffic`. A change that fails is reverted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.lifecycle.rollout.change import (
    Change,
    Clock,
    Journal,
    Paused,
    Phase,
    Proof,
    Revert,
    RolloutTraffic,
    Rules,
    Trial,
    untried,
)
from rackwright.lifecycle.rollout.progress import IN_FLIGHT_SECONDS, draining_line, progress_line

UNDRAIN_SECONDS = 60
"""Longest wait until a proven replica answers through the gateways, and until an undrained one is healthy there."""
LOOK_SECONDS = 0.25
"""Between two checks while waiting."""


@dataclass(frozen=True)
class Rollout:
    traffic: RolloutTraffic
    rules: Rules
    size: Callable[[str], int]
    """Model → how many replicas it should have."""
    journal: Journal
    say: Callable[[str], None]
    """Prints a line of progress."""
    clock: Clock
    stopping: Callable[[], bool] = lambda: False
    """Whether the operator wants to stop: then nothing more is started."""

    def run(self, changes: Sequence[Change], done: Callable[[Change], None] = lambda _: None) -> None:
        """Carry out the changes in order; call `done` after each. The first failure ends the run.

        `stopping` ends it, too: a replica that is still draining is undrained unchanged; one that is being changed is
        proven and undrained first, without its soak.

        A change that fails during or after its act is reverted; the replica is then proven and undrained. If the
        revert fails, or there is nothing to revert to, it stays drained, and the journal has the reason. A replica
        that was drained manually stays drained in any case.
        Raise Paused if `max_unavailable`, requests in flight or the operator stop the run, ProofError if a proof
        fails, RackwrightError if an act fails, LeasedError at once if the lease has ended, Undecided if a trial ends
        without a verdict: that replica stays changed, and drained.
        """
        for index, change in enumerate(changes):
            if self.stopping() or not self._one(change):
                raise _stopped(changes[:index], changes[index:])
            done(change)

    def _one(self, change: Change) -> bool:
        """Return whether the change was made. If it wasn't, the replica is unchanged."""
        alone = self._gate(change)
        drained_manually = change.replica.address in self.traffic.drained_manually()
        with self._downtime(change) if alone else _no_downtime():
            if not self._drain(change, drained_manually=drained_manually):
                return False
            self._changed(change, drained_manually=drained_manually, alone=alone)
        return True

    def _gate(self, change: Change) -> bool:
        """Return whether no other replica serves its model. Raise Paused if it must not be taken down."""
        self._enter(Phase.GATE, change, change.why)
        # First, because it may take minutes, in which other replicas may fail.
        change.check()
        return not self._others(change)

    def _others(self, change: Change) -> int:
        """Return how many other replicas serve its model. Raise Paused if this one must not be taken down."""
        healthy = self.traffic.healthy(change.replica.model)
        others = len(healthy - {change.replica.address})
        if change.replica.address in healthy:
            self._refuse_costly(change, others)
        return others

    def _refuse_costly(self, change: Change, others: int) -> None:
        model = change.replica.model
        if not others:
            if model in self.rules.outages:
                return
            raise Paused(
                f"is the last healthy replica of {model}: changing it would stop the service",
                where=change.replica.address,
                should="start another replica first, or allow planned downtime",
                next="run the same command with --allow-outage",
            )
        if (unavailable := self.size(model) - others) > self.rules.max_unavailable:
            raise Paused(
                f"{unavailable} of {self.size(model)} replicas of {model} would be unavailable",
                where=change.replica.address,
                should=f"rollout.max_unavailable is {self.rules.max_unavailable}",
                next="rackwright status",
            )

    @contextmanager
    def _downtime(self, change: Change) -> Iterator[None]:
        try:
            # Inside the try: if it fails, the downtime may have started at some gateways.
            self.traffic.downtime(change.replica, self.rules.downtime(change.replica.model))
            yield
        except LeasedError:
            # The downtime is now up to the run that has the lease.
            raise
        except BaseException:
            self.traffic.end_downtime(change.replica)
            raise
        self.traffic.end_downtime(change.replica)

    def _drain(self, change: Change, *, drained_manually: bool) -> bool:
        """Return whether no request is left in flight; False: the operator wants to stop, and it serves as before."""
        self._enter(Phase.DRAIN, change, "no new requests")
        try:
            left = self._emptied(change)
        except HostError as error:
            # Some gateways may have drained it already.
            with suppress(HostError):
                self._leave(change, _reason(error), drained_manually=drained_manually)
            raise
        if not left:
            return True
        stopped = self.stopping()
        self._leave(
            change, "interrupted" if stopped else f"{left} requests in flight", drained_manually=drained_manually
        )
        if stopped:
            return False
        raise Paused(
            f"{left} requests are still in flight after {self.rules.drain} s; the rollout pauses, "
            "and no request was killed",
            where=change.replica.address,
            should="wait for them, or raise rollout.drain_timeout",
            next="rackwright status",
        )

    def _leave(self, change: Change, why: str, *, drained_manually: bool) -> None:
        if not (drained_manually or change.replica.address in self.traffic.drained_manually()):
            self._enter(Phase.UNDRAIN, change, f"at every gateway: {why}")
            self.traffic.undrain(change.replica)
        self._enter(Phase.DONE, change, f"unchanged: {why}")

    def _emptied(self, change: Change) -> int:
        """Drain the replica; return how many requests are in flight at the end: 0 unless time is up or `stopping`."""
        self.traffic.drain(change.replica)
        said = self.clock.now() - IN_FLIGHT_SECONDS
        deadline = self.clock.now() + self.rules.drain
        while (left := self.traffic.in_flight(change.replica)) > 0:
            if self.clock.now() - said >= IN_FLIGHT_SECONDS:
                said = self.clock.now()
                self.say(draining_line(change, left))
            if self.stopping() or self.clock.now() >= deadline:
                break
            self.clock.sleep(LOOK_SECONDS)
        return left

    def _changed(self, change: Change, *, drained_manually: bool, alone: bool) -> None:
        """Change a drained replica; if that fails, revert it."""
        try:
            self._enter(Phase.ACT, change, change.why)
            if alone:
                # The drain may have taken minutes: announce how long the downtime is from now on.
                self.traffic.downtime(change.replica, self.rules.downtime(change.replica.model))
            change.act()
            if change.idle:
                self._end_idle(change, drained_manually=drained_manually)
                return
            self._enter(Phase.PROVE, change, "real tokens at its socket, then through every gateway")
            self._until_proven(change, change.prove, self.rules.prove)
            if self._undrained(change, change.serves, drained_manually=drained_manually, trial=change.trial):
                self._soak(change)
                self._enter(Phase.DONE, change, change.why)
        except LeasedError:
            # Without the lease, this run changes nothing more.
            raise
        except Paused as error:
            self._note(change, f"changed, and stays drained: {_reason(error)}")
            raise
        except RackwrightError as error:
            raise self._failed(change, error, drained_manually=drained_manually) from None

    def _end_idle(self, change: Change, *, drained_manually: bool) -> None:
        if not drained_manually:
            self._enter(Phase.UNDRAIN, change, "at every gateway")
            self.traffic.undrain(change.replica)
        self._enter(Phase.DONE, change, "done, but not proven: it did not serve before, either")

    def _until_proven(self, change: Change, prove: Proof, seconds: int) -> None:
        deadline = self.clock.now() + seconds
        while (reason := prove()) is not None:
            if self.clock.now() >= deadline:
                raise ProofError(f"not proven after {seconds} s: {reason}", where=change.replica.address)
            self.clock.sleep(LOOK_SECONDS)

    def _undrained(self, change: Change, serves: Proof, *, drained_manually: bool, trial: Trial = untried) -> bool:
        """Return whether it was undrained; False: an operator drained it manually, so it stays drained.

        Before that, a request of rackwright's is answered through each gateway. A gateway or host proxy may notice
        only seconds later that an engine was down or is up; an answer shows that they know.
        """
        if not drained_manually:
            self._until_proven(change, serves, UNDRAIN_SECONDS)
        if drained_manually or change.replica.address in self.traffic.drained_manually():
            self._enter(Phase.DONE, change, "done; stays drained, as an operator drained it manually")
            return False
        trial(lambda detail: self._enter(Phase.CANARY, change, detail))
        self._enter(Phase.UNDRAIN, change, "at every gateway")
        self.traffic.undrain(change.replica)
        self._until_healthy(change)
        return True

    def _until_healthy(self, change: Change) -> None:
        deadline = self.clock.now() + UNDRAIN_SECONDS
        while not self._healthy(change):
            if self.clock.now() >= deadline:
                where = change.replica.address
                raise ProofError(
                    "the gateways don't send requests to it again", where=where, next="rackwright status"
                )
            self.clock.sleep(LOOK_SECONDS)

    def _soak(self, change: Change) -> None:
        self._enter(Phase.SOAK, change, f"for {self.rules.soak} s")
        deadline = self.clock.now() + self.rules.soak
        while self.clock.now() < deadline and not self.stopping():
            self.clock.sleep(min(1.0, deadline - self.clock.now()))
            if not self._healthy(change):
                raise ProofError("stopped taking requests while it was soaking", where=change.replica.address)

    def _healthy(self, change: Change) -> bool:
        return change.replica.address in self.traffic.healthy(change.replica.model)

    def _failed(self, change: Change, error: RackwrightError, *, drained_manually: bool) -> RackwrightError:
        """Revert the change if that is possible; return the error, with what became of the replica."""
        if change.revert is None:
            self._note(change, f"failed: {_reason(error)}")
            return _then(change, error, "the other replicas still serve")
        try:
            self._revert(change, change.revert, _reason(error), drained_manually=drained_manually)
        except LeasedError:
            raise
        except Paused as second:
            self._note(change, f"not reverted: {_reason(second)}")
            return _then(change, error, f"it was not reverted, and serves: {_reason(second)}")
        except RackwrightError as second:
            self._note(change, f"could not be reverted: {_reason(second)}")
            return _then(change, error, f"it could not be reverted and stays drained: {_reason(second)}")
        return _then(change, error, "it was reverted, and the previous version serves")

    def _revert(self, change: Change, before: Revert, reason: str, *, drained_manually: bool) -> None:
        self._enter(Phase.REVERT, change, reason)
        # It may have been undrained already, and other replicas may have failed since.
        self._others(change)
        if left := self._emptied(change):
            raise RackwrightError(f"{left} requests are still in flight", where=change.replica.address)
        # The drain may have taken long. Writing the phase again ends this run if it has lost the lease.
        self._enter(Phase.ACT, change, "the previous version")
        before.act()
        self._until_proven(change, before.prove, self.rules.prove)
        if self._undrained(change, before.serves, drained_manually=drained_manually):
            self._enter(Phase.DONE, change, "reverted: the previous version serves")

    def _note(self, change: Change, outcome: str) -> None:
        # An unreachable control host must not hide how the change went.
        with suppress(HostError):
            self._enter(Phase.DONE, change, outcome)

    def _enter(self, phase: Phase, change: Change, detail: str) -> None:
        self.journal.append(phase, change.replica.address, detail)
        self.say(progress_line(phase, change, detail))


@contextmanager
def _no_downtime() -> Iterator[None]:
    yield


def _reason(error: RackwrightError) -> str:
    return error.problems[0].what


def _then(change: Change, error: RackwrightError, became: str) -> RackwrightError:
    where, first = change.replica.address, error.problems[0]
    return error.but(where=where, should=became, next=first.next or f"rackwright logs {where}")


def _stopped(done: Sequence[Change], left: Sequence[Change]) -> Paused:
    names = [", ".join(change.replica.address for change in changes) or "none" for changes in (done, left)]
    return Paused(f"interrupted; done: {names[0]}; not started: {names[1]}", next="rackwright status")
