"""The phases of one change: gate, drain, act, prove, canary, undrain, soak; and what follows a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout.change import (
    Change,
    Clock,
    Paused,
    Phase,
    Proof,
    Revert,
    RolloutTraffic,
    Rules,
    Trial,
    nothing,
    untried,
)
from rackwright.lifecycle.rollout.early_downtime import EarlyDowntime
from rackwright.lifecycle.rollout.progress import IN_FLIGHT_SECONDS, draining_line

UNDRAIN_SECONDS = 60
"""Longest wait until a proven replica answers through the gateways, and until an undrained one is healthy there."""
LOOK_SECONDS = 0.25
"""Between two checks while waiting."""


@dataclass
class Steps:
    """One change in progress. The functions connect it with the rollout that it is part of."""

    change: Change
    traffic: RolloutTraffic
    rules: Rules
    clock: Clock
    enter: Callable[[Phase, str], None]
    """Writes the phase to the journal and says it, before the phase starts."""
    say: Callable[[str], None]
    stopping: Callable[[], bool]
    take: Callable[[], frozenset[str] | None]
    """Returns when the replicas may go down: the models that no other replica serves. None: the rollout stops."""
    retake: Callable[[], None]
    """Does the same for a revert."""
    returned: Callable[[], None]
    """Called when the replicas are healthy again."""
    _announced: list[Replica] = field(default_factory=list)
    """One of each model whose downtime was announced to the gateways."""
    _earlier: frozenset[str] = frozenset()
    """What an earlier run had drained: the addresses of replicas, and the host if a gateway."""
    _watched: set[str] = field(default_factory=set)
    """Addresses of the replicas that should get requests again."""

    def carry_out(self) -> bool:
        """Return whether the change was made; if it wasn't, its replicas are unchanged. Raise as `Rollout.run`."""
        self.enter(Phase.GATE, self.change.why)
        # First, because it may take minutes, in which other replicas may fail.
        self.change.check()
        last = self.take()
        if last is None:
            self.enter(Phase.DONE, "unchanged: the rollout stops")
            return False
        manual = self._manual()
        self._earlier = self._drained_earlier(manual)
        # The gateways are changed from here on. The check may have taken so long that the lease has ended.
        self.enter(Phase.DRAIN, "no new requests")
        with self._downtime(last):
            if not self._drain(manual):
                return False
            self._changed(manual)
        return True

    def _manual(self) -> frozenset[str]:
        """Return what of it an operator drained manually: the addresses of replicas, and the host if a gateway."""
        left = frozenset(gateway for gateway in self._gateway if self.traffic.left_manually(gateway))
        # A new fleet may not have a gateway that could be asked.
        replicas = self.change.addresses and self.change.addresses & self.traffic.drained_manually()
        return left | replicas

    def _drained_earlier(self, manual: frozenset[str]) -> frozenset[str]:
        """Return what of it an earlier run has drained: it may be changed and unproven."""
        left = frozenset(gateway for gateway in self._gateway if not self.traffic.takes_requests(gateway))
        replicas = self.change.addresses and self.change.addresses & self.traffic.drained_by_runs()
        return (left | replicas) - manual

    # Planned downtime.

    @contextmanager
    def _downtime(self, models: Iterable[str]) -> Iterator[None]:
        self._announced = [
            next(one for one in self.change.replicas if one.model == model) for model in sorted(models)
        ]
        try:
            yield
        except LeasedError:
            # The downtime is now up to the run that has the lease.
            raise
        except BaseException:
            self._end_downtimes()
            raise
        self._end_downtimes()

    def _announce(self, *, early: int = 0) -> None:
        for replica in self._announced:
            self.traffic.downtime(replica, self.rules.downtime(replica.model), early=early)

    def _end_downtimes(self) -> None:
        for replica in self._announced:
            self.traffic.end_downtime(replica)

    # Drain.

    def _drain(self, manual: frozenset[str]) -> bool:
        """Return whether no request is left in flight; False: the operator wants to stop, and all serve as before."""
        try:
            left = self._emptied()
        except HostError as error:
            # Some gateways may have drained it already, or expect the downtime.
            with suppress(HostError):
                self._leave(_reason(error), manual)
            raise
        if not left:
            return True
        stopped = self.stopping()
        self._leave("interrupted" if stopped else left, manual)
        if stopped:
            return False
        raise Paused(
            f"{left} after {self.rules.drain} s; the rollout pauses, and no request was killed",
            where=self.change.subject,
            should="wait for them, or raise rollout.drain_timeout",
            next="rackwright status",
        )

    def _leave(self, why: str, manual: frozenset[str]) -> None:
        left = manual | self._manual() | self._earlier
        if self._drained_here(left):
            self.enter(Phase.UNDRAIN, f"at every gateway: {why}")
            self._undrain(left)
        stays = "; stays drained, as an earlier run left it" if self._earlier else ""
        self.enter(Phase.DONE, f"unchanged: {why}{stays}")

    def _emptied(self) -> str:
        """Drain all of it; return what is left at the end: nothing unless time is up or `stopping`."""
        # First, because it refuses if no other gateway could take over: then no replica was drained for nothing.
        for gateway in self._gateway:
            self.traffic.leave(gateway)
        deadline = self.clock.now() + self.rules.drain
        # What waits for a slot of a model that no other replica serves would have none left.
        early = EarlyDowntime(lambda seconds: self._announce(early=seconds), self._queued, self.clock.now)
        if self._announced and (left := self._until_none(early.queued, "queued", deadline)):
            return left
        for replica in self.change.replicas:
            self.traffic.drain(replica)
        return self._until_none(self._in_flight, "in flight", deadline)

    def _until_none(self, count: Callable[[], int], where: str, deadline: float) -> str:
        said = self.clock.now() - IN_FLIGHT_SECONDS
        while (left := count()) > 0:
            if self.clock.now() - said >= IN_FLIGHT_SECONDS:
                said = self.clock.now()
                self.say(draining_line(self.change, f"{left} {where}"))
            if self.stopping() or self.clock.now() >= deadline:
                return f"{left} requests are still {where}"
            self.clock.sleep(LOOK_SECONDS)
        return ""

    def _queued(self) -> int:
        return sum(self.traffic.queued(replica.model) for replica in self._announced)

    def _in_flight(self) -> int:
        through = sum(self.traffic.passing(gateway) for gateway in self._gateway)
        return through + sum(self.traffic.in_flight(replica) for replica in self.change.replicas)

    # Act and prove.

    def _changed(self, manual: frozenset[str]) -> None:
        """Change what is drained; if that fails, revert it."""
        try:
            self.enter(Phase.ACT, self.change.why)
            # The drain may have taken minutes: announce how long the downtime is from now on.
            self._announce()
            self.change.act()
            if self._needs_no_proof():
                self._end_idle(manual)
                return
            self.enter(Phase.PROVE, self.change.proves)
            self._until_proven(self.change.prove, self.rules.prove)
            self._commit()
            if self._returned(self.change.serves, manual, self.change.trial):
                self._soak()
                self.enter(Phase.DONE, self.change.why)
        except LeasedError:
            # Without the lease, this run changes nothing more.
            raise
        except Paused as error:
            self._note(f"changed, and stays drained: {_reason(error)}")
            raise
        except RackwrightError as error:
            raise self._failed(error, manual) from None

    def _commit(self) -> None:
        if self.change.commit is not nothing:
            self.enter(Phase.COMMIT, "for good")
            self.change.commit()

    def _needs_no_proof(self) -> bool:
        return self.change.host is None and self.change.addresses <= self.change.idle

    def _end_idle(self, manual: frozenset[str]) -> None:
        if self._drained_here(manual):
            self.enter(Phase.UNDRAIN, "at every gateway")
            self._undrain(manual)
        self.enter(Phase.DONE, "done, but not proven: it did not serve before, either")

    def _until_proven(self, prove: Proof, seconds: int) -> None:
        deadline = self.clock.now() + seconds
        while (reason := prove()) is not None:
            if self.clock.now() >= deadline:
                raise ProofError(f"not proven after {seconds} s: {reason}", where=self.change.subject)
            self.clock.sleep(LOOK_SECONDS)

    # Undrain and soak.

    def _returned(self, serves: Proof, manual: frozenset[str], trial: Trial = untried) -> bool:
        """Return whether it serves again; False: an operator drained all of it manually, so it stays drained.

        Before that, a request of rackwright's is answered through each gateway. A gateway or host proxy may notice
        only seconds later that an engine was down or is up; an answer shows that they know.
        """
        if self._drained_here(manual):
            self._until_proven(serves, UNDRAIN_SECONDS)
        if not self.change.replicas and not self.change.gateway:
            return True
        if not self._drained_here(manual | self._manual()):
            self.enter(Phase.DONE, "done; stays drained, as an operator drained it manually")
            return False
        trial(lambda detail: self.enter(Phase.CANARY, detail))
        self.enter(Phase.UNDRAIN, "at every gateway")
        self._undrain(manual | self._manual())
        self._until_healthy()
        self.returned()
        return True

    def _drained_here(self, manual: frozenset[str]) -> bool:
        """Return whether this run drained anything, apart from what an operator drained manually."""
        return bool((self.change.addresses | self._gateway) - manual)

    @property
    def _gateway(self) -> frozenset[str]:
        return frozenset({self.change.host} if self.change.gateway and self.change.host else ())

    def _undrain(self, manual: frozenset[str]) -> None:
        # An operator may have drained one manually since it was undrained the last time.
        self._watched.clear()
        for gateway in self._gateway - manual:
            self.traffic.rejoin(gateway)
        for replica in self.change.replicas:
            if replica.address not in manual:
                self.traffic.undrain(replica)
                if replica.address not in self.change.idle:
                    self._watched.add(replica.address)

    def _until_healthy(self) -> None:
        deadline = self.clock.now() + UNDRAIN_SECONDS
        while missing := self._missing():
            if self.clock.now() >= deadline:
                raise ProofError(
                    f"the gateways don't send requests to {self._named(missing)} again",
                    where=self.change.subject,
                    next="rackwright status",
                )
            self.clock.sleep(LOOK_SECONDS)

    def _soak(self) -> None:
        if not self._watched:
            return
        self.enter(Phase.SOAK, f"for {self.rules.soak} s")
        deadline = self.clock.now() + self.rules.soak
        while self.clock.now() < deadline and not self.stopping():
            self.clock.sleep(min(1.0, deadline - self.clock.now()))
            if missing := self._missing():
                named = f"{self._named(missing)} " if self.change.host else ""
                raise ProofError(f"{named}stopped taking requests while it was soaking", where=self.change.subject)

    def _missing(self) -> set[str]:
        """Return the addresses of its replicas that should get requests again and don't."""
        watched = [one for one in self.change.replicas if one.address in self._watched]
        healthy = [self.traffic.healthy(model) for model in dict.fromkeys(one.model for one in watched)]
        return self._watched.difference(*healthy)

    def _named(self, addresses: set[str]) -> str:
        return ", ".join(sorted(addresses)) if self.change.host else "it"

    # After a failure.

    def _failed(self, error: RackwrightError, manual: frozenset[str]) -> RackwrightError:
        """Revert the change if that is possible; return the error, with what became of it."""
        if self.change.revert is None:
            self._note(f"failed: {_reason(error)}")
            return self._then(error, "the other replicas still serve")
        try:
            self._revert(self.change.revert, _reason(error), manual)
        except LeasedError:
            raise
        except Paused as second:
            self._note(f"not reverted: {_reason(second)}")
            return self._then(error, f"it was not reverted, and serves: {_reason(second)}")
        except RackwrightError as second:
            self._note(f"could not be reverted: {_reason(second)}")
            return self._then(error, f"it could not be reverted and stays drained: {_reason(second)}")
        return self._then(error, f"it was reverted, and {self.change.restored}")

    def _revert(self, before: Revert, reason: str, manual: frozenset[str]) -> None:
        self.enter(Phase.REVERT, reason)
        # It may have been undrained already, and other replicas may have failed since.
        self.retake()
        if left := self._emptied():
            raise RackwrightError(left, where=self.change.subject)
        # The drain may have taken long. Writing the phase again ends this run if it has lost the lease.
        self.enter(Phase.ACT, before.what)
        self._announce()
        before.act()
        self._until_proven(before.prove, self.rules.prove)
        if self._returned(before.serves, manual):
            self.enter(Phase.DONE, f"reverted: {self.change.restored}")

    def _note(self, outcome: str) -> None:
        # An unreachable control host must not hide how the change went.
        with suppress(HostError):
            self.enter(Phase.DONE, outcome)

    def _then(self, error: RackwrightError, became: str) -> RackwrightError:
        where, first = self.change.subject, error.problems[0]
        return error.but(where=where, should=became, next=first.next or f"rackwright logs {where}")


def _reason(error: RackwrightError) -> str:
    return error.problems[0].what
