"""The trial of a canary: its share grows step by step, and a verdict says whether it may be undrained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.keeper import Keeper
from rackwright.lifecycle.canary.observe import Watch
from rackwright.lifecycle.canary.steps import Moment, Next, following, growth_for, is_due, is_hopeless
from rackwright.lifecycle.canary.verdict import verdict_on
from rackwright.lifecycle.rollout.change import Act, Change, Clock, Enter, Paused, Undecided
from rackwright.state.canaries import Outcome
from rackwright.stopping import Stopping
from rackwright.verdict import Verdict, Word

LOOK_SECONDS = 10
"""Longest time between two looks at the gateways."""


@dataclass(frozen=True)
class Tried:
    """One canary, and how it is tried."""

    replica: Replica
    rules: Canary
    ready: Act
    """Called before it is drained. Raises Paused if it can't be tried."""
    watch: Callable[[Enter], Watch]
    """Called before it gets any traffic; asks the golden set."""
    keeper: Keeper
    clock: Clock
    stopping: Stopping
    first: int = 0
    """Index of the step to start with: an earlier run may have reached it."""

    def run(self, enter: Enter) -> None:
        """Run the trial, and return if the canary passes; it then still has its last share. If not, its share is
        ended, and its report says why.

        Raise ProofError if it failed, Undecided if there is no clear verdict, Paused if the operator stops, HostError
        if a host can't be asked.
        """
        seen: list[Watch] = []
        try:
            with self._share_ends_with_it():
                seen.append(self.watch(enter))
                self._steps(seen[0], enter)
        except LeasedError:
            raise
        except ProofError as error:
            raise self._reported("FAIL", error, *seen) from None
        except Undecided as error:
            raise self._reported("INCONCLUSIVE", error, *seen) from None
        except RackwrightError as error:
            self._ended("left", error, *seen)
            raise

    def _steps(self, watch: Watch, enter: Enter) -> None:
        self._ask_golden(watch)
        verdict = None
        for number in range(self.first, len(self.rules.share)):
            verdict = self._step(number, watch, enter)
        self.keeper.passed(watch.share, verdict)

    def _ask_golden(self, watch: Watch) -> None:
        """Judge the golden set before clients use the canary. Its scores won't change during the trial, so they must
        decide now; its times may stay open, because clients' requests can still decide them."""
        if watch.golden is None:
            return
        verdict = verdict_on(watch.evidence(), self.rules)
        if verdict.word is Word.FAIL:
            raise ProofError(verdict.why)
        for comparison in verdict.of(Word.INCONCLUSIVE):
            if comparison.figure.of == "prompts" and not comparison.figure.is_ratio:
                raise Undecided(
                    f"{comparison.figure}: {comparison.why}", should="no client's request went to the new version"
                )

    @contextmanager
    def _share_ends_with_it(self) -> Iterator[None]:
        try:
            yield
        except LeasedError:
            # The canary now belongs to the run that has the lease.
            raise
        except BaseException:
            # At a gateway that can't be reached, the share expires on its own.
            with suppress(HostError):
                self.keeper.session.gateways.end_canary(self.replica.model)
            raise

    def _step(self, number: int, watch: Watch, enter: Enter) -> Verdict | None:
        """Return the verdict when the next step may start, or, in the last step, when the canary has passed."""
        percent, rules = self.rules.share[number], self.rules
        least = f"{rules.min_duration} s and {rules.min_requests} requests"
        enter(f"{percent:g} % of the conversations, for at least {least}")
        self.keeper.reached(number)
        watch.begin(percent)
        watch.look()
        step = _Step(start=self.clock.now(), last=number == len(rules.share) - 1)
        while True:
            self._wait()
            watch.look()
            next = self._judged(watch, step)
            if next is Next.BACK:
                raise ProofError(step.verdict.why if step.verdict else "most of its requests fail, the others' don't")
            if next is Next.PAUSE:
                raise Undecided(self._open(watch, step), should="the other replicas get all of the traffic")
            if next is not Next.WAIT:
                return step.verdict

    def _wait(self) -> None:
        self.clock.sleep(min(LOOK_SECONDS, self.rules.min_duration / 5))
        self.keeper.lease_session.check()
        if self.stopping():
            raise Paused("interrupted; the canary gets no more traffic", where=self.replica.address)

    def _judged(self, watch: Watch, step: _Step) -> Next:
        requests = watch.candidate.count
        if is_hopeless(watch.running.newest(), watch.candidate.newest()):
            return Next.BACK
        moment = Moment(step.last, self.clock.now() - step.start, requests)
        growth = growth_for(step.verdict) if step.verdict else 1.0
        if not is_due(self.rules, moment, step.judged, growth):
            return following(self.rules, moment)
        step.judged = (*step.judged, requests)
        step.verdict = verdict_on(watch.evidence(), self.rules)
        self.keeper.judged(watch.share, step.verdict)
        return following(self.rules, replace(moment, word=step.verdict.word))

    def _open(self, watch: Watch, step: _Step) -> str:
        if step.verdict:
            return step.verdict.why
        return (
            f"the canary had {watch.candidate.count} requests in {self.rules.max_duration} s, and needs "
            f"{self.rules.min_requests}"
        )

    def _reported(self, outcome: Outcome, error: RackwrightError, *seen: Watch) -> RackwrightError:
        """Record the end, and return the error with a reference to the report. The canary has no traffic any more."""
        self._ended(outcome, error, *seen)
        first, report = error.problems[0], f"rackwright model verdict {self.replica.model}"
        where = self.replica.address
        return type(error)(f"{outcome}: {first.what}", where=where, should=first.should, next=report)

    def _ended(self, outcome: Outcome, error: RackwrightError, *seen: Watch) -> None:
        """Record the end. `seen` is empty if the golden set's questions were not completed."""
        verdicts = [verdict_on(watch.evidence(), self.rules) for watch in seen]
        share = max((watch.share for watch in seen), default=0.0)
        self.keeper.ended(outcome, share, error.problems[0].what, *verdicts)


def with_trial(change: Change, tried: Tried) -> Change:
    """Return the same change with a trial: the replica is undrained only after it has passed."""

    def check() -> None:
        tried.ready()
        change.check()

    return replace(change, check=check, trial=tried.run)


@dataclass
class _Step:
    start: float
    last: bool
    judged: tuple[int, ...] = ()
    """The canary's requests in this step at each verdict."""
    verdict: Verdict | None = None
