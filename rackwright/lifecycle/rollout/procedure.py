"""One procedure for every change under traffic: gate, drain, act, prove, canary, undrain, soak.

Acts and proofs are passed to it as functions, and the gateways as `RolloutTraffic`. Here is which change starts when;
`steps.py` has the phases of one change, and `budget.py` what may be unavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from rackwright.errors import LeasedError, RackwrightError, together
from rackwright.lifecycle.rollout.budget import Budget
from rackwright.lifecycle.rollout.change import (
    Change,
    Clock,
    Journal,
    Kill,
    Paused,
    Phase,
    RolloutTraffic,
    Rules,
)
from rackwright.lifecycle.rollout.progress import progress_line
from rackwright.lifecycle.rollout.steps import LOOK_SECONDS, Steps


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
    lost: Callable[[], Collection[str]] = tuple
    """The hosts that can't be reached now: they count as unavailable."""

    def run(self, changes: Sequence[Change], done: Callable[[Change], None] = lambda _: None) -> None:
        """Carry out the changes; call `done` after each. The first failure ends the run.

        Changes start in their order, unfinished ones before all others, at most `max_unavailable` replicas, or
        `max_hosts` hosts, at the same time. The first one of a series passes before the next one starts. With a limit
        of 1, one change includes its soak; with more, a replica that soaks doesn't keep the next one from starting.
        Two changes never work on the same host at the same time.

        After a failure nothing more is started, and the changes that are in progress go on to their end. `stopping`
        ends the run, too: a replica that is still draining is undrained unchanged; one that is being changed is
        proven and undrained first, without its soak.

        A change that fails during or after its act is reverted; the replica is then proven and undrained. If the
        revert fails, or there is nothing to revert to, it stays drained, and the journal has the reason. A replica
        that was drained manually stays drained in any case.
        Raise Paused if a budget, requests in flight or the operator stop the run, ProofError if a proof fails,
        RackwrightError if an act fails, LeasedError at once if the lease has ended, Undecided if a trial ends without
        a verdict: that replica stays changed, and drained. If several changes fail, the error has all their problems.
        """
        _Run(self, sorted(changes, key=lambda change: not change.unfinished), done).carry_out()


def nobody(_: BaseException) -> None:
    """Kill work that hasn't started."""


@dataclass(eq=False)
class _Started:
    """A change that was started and hasn't ended."""

    change: Change
    away: bool = False
    """Its replicas are unavailable, or will be at once."""
    soaking: bool = False
    kill: Kill = nobody


@dataclass
class _Run:
    rollout: Rollout
    waiting: list[Change]
    done: Callable[[Change], None]
    started: list[_Started] = field(default_factory=list)
    passed: list[Change] = field(default_factory=list)
    unchanged: list[Change] = field(default_factory=list)
    """Those that were started and ended before their act, because the run was stopping."""
    failed: list[Change] = field(default_factory=list)
    errors: list[RackwrightError] = field(default_factory=list)
    failing: bool = False
    """A change has failed and is reverted. It is in `failed` once that has ended, which takes minutes."""
    ended: BaseException | None = None
    """What ended the run at once."""
    judging: bool = False

    def carry_out(self) -> None:
        """Return when all changes have passed. Raise as `Rollout.run` does."""
        try:
            self._start_next()
            while self.started and not self.ended:
                self.rollout.clock.sleep(LOOK_SECONDS)
        except BaseException as error:
            self.ended = error
        if self.ended:
            self._abandon(self.ended)
            raise self.ended
        if self.errors:
            raise _first(self.errors)
        if self.waiting or self.unchanged:
            raise _stopped(self.passed, [*self.unchanged, *self.waiting])

    # Which change starts when.

    def _start_next(self) -> None:
        if self._stops():
            return
        for change in [*self.waiting]:
            if self._may_start(change):
                self.waiting.remove(change)
                started = _Started(change)
                self.started.append(started)
                started.kill = self.rollout.clock.start(partial(self._carry_out, started))

    def _stops(self) -> bool:
        return bool(self.failing or self.errors or self.ended) or self.rollout.stopping()

    def _may_start(self, change: Change) -> bool:
        rules = self.rollout.rules
        limit = rules.max_hosts if change.host else rules.max_unavailable
        others = [one.change for one in self.started]
        busy = [one for one in self.started if limit == 1 or not one.soaking]
        return (
            len(busy) < limit
            and not (others and change.exclusive)
            and not any(other.exclusive or other.hosts & change.hosts for other in others)
            and self._follows(change, others)
        )

    def _follows(self, change: Change, others: Sequence[Change]) -> bool:
        """Return whether the first change of its series has passed, or this one is the first."""
        if not change.series or any(one.series == change.series for one in self.passed):
            return True
        return not any(other.series == change.series for other in others)

    # One change.

    def _carry_out(self, started: _Started) -> None:
        change = started.change
        try:
            if self._steps(started).carry_out():
                self.done(change)
                self.passed.append(change)
            else:
                self.unchanged.append(change)
        except LeasedError as error:
            self.ended = self.ended or error
        except RackwrightError as error:
            self.failed.append(change)
            self.errors.append(error)
        except BaseException as error:
            self.ended = self.ended or error
        self.started.remove(started)
        self._start_next()

    def _steps(self, started: _Started) -> Steps:
        rollout = self.rollout
        return Steps(
            started.change,
            rollout.traffic,
            rollout.rules,
            rollout.clock,
            enter=lambda phase, detail: self._enter(started.change, phase, detail),
            say=rollout.say,
            stopping=rollout.stopping,
            take=lambda: self._take(started),
            retake=lambda: self._retake(started),
            returned=lambda: self._returned(started),
        )

    def _enter(self, change: Change, phase: Phase, detail: str) -> None:
        self.failing = self.failing or phase is Phase.REVERT
        self.rollout.journal.append(phase, change.subject, detail)
        self.rollout.say(progress_line(phase, change, detail))

    def _abandon(self, error: BaseException) -> None:
        """End the changes in progress. Without the lease, they leave everything to the run that has it."""
        for one in [*self.started]:
            one.kill(error if isinstance(error, LeasedError) else SystemExit())

    # What may be unavailable.

    def _take(self, started: _Started) -> frozenset[str] | None:
        """Make its replicas unavailable as soon as the budgets allow it; return the models that no other serves.

        None: the run stops. Raise Paused if the budgets don't allow it and no change in progress could change that.
        """
        while not self._stops():
            if (last := self._tried(started)) is not None:
                if not self._stops():
                    return last
                # Another one failed while this one was judged, which takes seconds.
                started.away = False
                return None
            self.rollout.clock.sleep(LOOK_SECONDS)
        return None

    def _retake(self, started: _Started) -> None:
        """Do the same for a change that is reverted, even if the run stops."""
        while self._tried(started) is None:
            self.rollout.clock.sleep(LOOK_SECONDS)

    def _tried(self, started: _Started) -> frozenset[str] | None:
        with self._judged():
            others = [one.change for one in self.started if one is not started and one.away]
            try:
                last = self._budget.last_of(started.change, others)
            except Paused:
                if others or self._waits_for_unfinished(started.change):
                    return None
                raise
            started.away = True
            return last

    @property
    def _budget(self) -> Budget:
        rollout = self.rollout
        return Budget(rollout.traffic, rollout.rules, rollout.size, rollout.lost, self.failed, self._unfinished)

    @property
    def _unfinished(self) -> list[Change]:
        going = [*self.waiting, *(one.change for one in self.started if not one.soaking)]
        return [change for change in going if change.unfinished]

    def _waits_for_unfinished(self, change: Change) -> bool:
        """An unfinished one waits for no other unfinished one: each would wait for the other to return."""
        return not change.unfinished and any(one.change.unfinished and not one.soaking for one in self.started)

    @contextmanager
    def _judged(self) -> Iterator[None]:
        """One change at a time is judged: asking the gateways lets others go on meanwhile."""
        while self.judging:
            self.rollout.clock.sleep(LOOK_SECONDS)
        self.judging = True
        try:
            yield
        finally:
            self.judging = False

    def _returned(self, started: _Started) -> None:
        """Its replicas are healthy again: what follows is the soak."""
        started.away, started.soaking = False, True
        self._start_next()


def _first(errors: Sequence[RackwrightError]) -> Exception:
    """Return one error with all problems. A failure comes before a pause, because it must be reverted."""
    return together(sorted(errors, key=lambda error: isinstance(error, Paused)))


def _stopped(done: Sequence[Change], left: Sequence[Change]) -> Paused:
    names = [", ".join(change.subject for change in changes) or "none" for changes in (done, left)]
    return Paused(f"interrupted; done: {names[0]}; not started: {names[1]}", next="rackwright status")
