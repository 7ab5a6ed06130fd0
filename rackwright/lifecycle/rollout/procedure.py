"""One procedure for every change under traffic: gate, drain, act, prove, return, soak; one replica at a time.

It knows acts and proofs only as values handed in, and traffic only through `Traffic`. What fails is put back.
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
    Rules,
    Traffic,
    Trial,
    untried,
)
from rackwright.lifecycle.rollout.progress import IN_FLIGHT_SECONDS, draining_line, progress_line

UNDRAIN_SECONDS = 60
"""Longest wait until what answers at its socket answers through the gateways, and until they take it back."""
LOOK_SECONDS = 0.25
"""Between two looks at what is waited for."""


@dataclass(frozen=True)
class Rollout:
    traffic: Traffic
    rules: Rules
    size: Callable[[str], int]
    """Model → how many replicas it should have."""
    journal: Journal
    say: Callable[[str], None]
    """Takes lines of progress."""
    clock: Clock
    stopping: Callable[[], bool] = lambda: False
    """Whether the operator wants nothing further begun."""

    def run(self, changes: Sequence[Change], done: Callable[[Change], None] = lambda _: None) -> None:
        """Carry out each change in turn, and tell `done` of it. The first failure stops the run.

        So does `stopping`: a replica that only drains goes back untouched, one that is changed already is proven and
        returned first, without its soak.

        What fails from the act on is put back, proven and returned; where it can't be, or has nothing to go back to,
        it stays drained with the reason in the journal. What was drained by hand stays so in any case.
        Raise Paused where the budget, requests in flight or the operator hold it up, ProofError where a proof fails,
        RackwrightError where an act does, LeasedError at once when the lease has ended; Undecided where a trial ends
        so: that replica stays drained as it was changed.
        """
        for index, change in enumerate(changes):
            if self.stopping() or not self._one(change):
                raise _stopped(changes[:index], changes[index:])
            done(change)

    def _one(self, change: Change) -> bool:
        """Return whether the change was made: all of it, or nothing."""
        alone = self._gate(change)
        drained_manually = change.replica.address in self.traffic.drained_manually()
        with self._downtime(change) if alone else _no_downtime():
            if not self._drain(change, drained_manually=drained_manually):
                return False
            self._changed(change, drained_manually=drained_manually, alone=alone)
        return True

    def _gate(self, change: Change) -> bool:
        """Return whether nothing else serves its model. One that serves nobody itself costs nothing."""
        self._enter(Phase.GATE, change, change.why)
        # First: it may take minutes, in which others fall out.
        change.check()
        return not self._others(change)

    def _others(self, change: Change) -> int:
        """Return how many others serve its model. Raise Paused where taking it too would cost too much."""
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
            # Within: where it fails, some gateways may have heard of it.
            self.traffic.downtime(change.replica, self.rules.downtime(change.replica.model))
            yield
        except LeasedError:
            # It is the downtime of whoever has the lease now.
            raise
        except BaseException:
            self.traffic.end_downtime(change.replica)
            raise
        self.traffic.end_downtime(change.replica)

    def _drain(self, change: Change, *, drained_manually: bool) -> bool:
        """Return whether it is empty; False: somebody wants to stop, and it serves as before."""
        self._enter(Phase.DRAIN, change, "no new requests")
        try:
            left = self._emptied(change)
        except HostError as error:
            # Some gateways may have drained it.
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
        """Drain it; return how many requests are left in flight when it is empty, time is over or somebody stops."""
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
        """Change a replica that is drained, or put it back."""
        try:
            self._enter(Phase.ACT, change, change.why)
            if alone:
                # Its requests may have taken minutes to end: clients are told of the rest.
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
            # Whoever lost the lease changes nothing more.
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
        self._enter(Phase.DONE, change, "reverted; it did not serve before, either")

    def _until_proven(self, change: Change, prove: Proof, seconds: int) -> None:
        deadline = self.clock.now() + seconds
        while (reason := prove()) is not None:
            if self.clock.now() >= deadline:
                raise ProofError(f"not proven after {seconds} s: {reason}", where=change.replica.address)
            self.clock.sleep(LOOK_SECONDS)

    def _undrained(self, change: Change, serves: Proof, *, drained_manually: bool, trial: Trial = untried) -> bool:
        """Return whether the gateways send to it again, not: what was drained by hand stays so.

        A request of ours through each gateway comes first. Once it is answered, neither gateway nor host proxy may
        still have to find out that the engine was away: what they see is older than what is, by seconds.
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
        """Put it back if that can be; return the error with what became of the replica."""
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
        # It may have been returned already, and others have fallen out since.
        self._others(change)
        if left := self._emptied(change):
            raise RackwrightError(f"{left} requests are still in flight", where=change.replica.address)
        # It may have taken long: written again, for whoever lost the lease meanwhile changes nothing more.
        self._enter(Phase.ACT, change, "the previous version")
        before.act()
        self._until_proven(change, before.prove, self.rules.prove)
        if self._undrained(change, before.serves, drained_manually=drained_manually):
            self._enter(Phase.DONE, change, "reverted: the previous version serves")

    def _note(self, change: Change, outcome: str) -> None:
        # A control host out of reach must not hide how the change went.
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
