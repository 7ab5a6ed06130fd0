"""The trial of a canary: its share grows step by step, and a verdict says whether it may be returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.observe import Watch
from rackwright.lifecycle.canary.state_file import Keeper
from rackwright.lifecycle.canary.steps import Moment, Next, following, growth_for, is_due, is_hopeless
from rackwright.lifecycle.canary.verdict import verdict_on
from rackwright.lifecycle.rollout.change import Act, Change, Clock, Enter, Paused, Undecided
from rackwright.state.canaries import Outcome
from rackwright.stopping import Stopping
from rackwright.verdict import Verdict, Word

LOOK_SECONDS = 10
"""Between two looks at the gateways, at most."""


@dataclass(frozen=True)
class Tried:
    """One canary and what it is tried by."""

    replica: Replica
    rules: Canary
    ready: Act
    """Before it is drained. Raises Paused where it couldn't be tried."""
    watch: Callable[[Enter], Watch]
    """Asks what is asked before it gets any traffic."""
    keeper: Keeper
    clock: Clock
    stopping: Stopping
    first: int = 0
    """Index of the step to begin with: an earlier run may have come so far."""

    def run(self, enter: Enter) -> None:
        """Return when it has passed; it has its last share still. Else it has none, and its report says why.

        Raise ProofError where it failed, Undecided where nobody can tell, Paused where the operator stops, HostError
        where a host can't be asked.
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
        """What the operator's own questions show already, no client has to. Their answers don't grow while clients
        ask; of their times, clients' own may still decide."""
        if watch.golden is None:
            return
        verdict = verdict_on(watch.evidence(), self.rules)
        if verdict.word is Word.FAIL:
            raise ProofError(verdict.why)
        for comparison in verdict.of(Word.INCONCLUSIVE):
            if comparison.figure.of == "prompts" and not comparison.figure.is_ratio:
                raise Undecided(f"{comparison.figure}: {comparison.why}", should="no client met the new version")

    @contextmanager
    def _share_ends_with_it(self) -> Iterator[None]:
        try:
            yield
        except LeasedError:
            # It is the canary of whoever has the lease now.
            raise
        except BaseException:
            # What can't be told ends by itself.
            with suppress(HostError):
                self.keeper.session.gateways.end_canary(self.replica.model)
            raise

    def _step(self, number: int, watch: Watch, enter: Enter) -> Verdict | None:
        """Return the verdict when the next step may begin, or, of the last, when it has passed."""
        percent, rules = self.rules.share[number], self.rules
        least = f"{rules.min_duration} s and {rules.min_requests} requests"
        enter(f"{percent:g} % of the conversations, for at least {least}")
        self.keeper.reached(number)
        watch.begin(percent)
        watch.look()
        step = _Step(begun=self.clock.now(), last=number == len(rules.share) - 1)
        while True:
            self._wait()
            watch.look()
            next = self._judged(watch, step)
            if next is Next.BACK:
                raise ProofError(step.verdict.why if step.verdict else "most requests fail, and the others' don't")
            if next is Next.PAUSE:
                raise Undecided(self._open(watch, step), should="the others have all of the traffic")
            if next is not Next.WAIT:
                return step.verdict

    def _wait(self) -> None:
        self.clock.sleep(min(LOOK_SECONDS, self.rules.min_duration / 5))
        self.keeper.lease_session.check()
        if self.stopping():
            raise Paused("interrupted; the canary gets no more traffic", where=self.replica.address)

    def _judged(self, watch: Watch, step: _Step) -> Next:
        evidence, requests = watch.evidence(), watch.candidate.count
        if is_hopeless(evidence.running, evidence.candidate):
            return Next.BACK
        moment = Moment(step.last, self.clock.now() - step.begun, requests)
        growth = growth_for(step.verdict) if step.verdict else 1.0
        if not is_due(self.rules, moment, step.judged, growth):
            return following(self.rules, moment)
        step.judged = (*step.judged, requests)
        step.verdict = verdict_on(evidence, self.rules)
        self.keeper.judged(watch.share, step.verdict)
        return following(self.rules, replace(moment, word=step.verdict.word))

    def _open(self, watch: Watch, step: _Step) -> str:
        if step.verdict:
            return step.verdict.why
        return f"{watch.candidate.count} requests in {self.rules.max_duration} s, of {self.rules.min_requests}"

    def _reported(self, outcome: Outcome, error: RackwrightError, *seen: Watch) -> RackwrightError:
        """By now it has no traffic any more."""
        self._ended(outcome, error, *seen)
        first, report = error.problems[0], f"rackwright model verdict {self.replica.model}"
        where = self.replica.address
        return type(error)(f"{outcome}: {first.what}", where=where, should=first.should, next=report)

    def _ended(self, outcome: Outcome, error: RackwrightError, *seen: Watch) -> None:
        """Nothing was seen where the questions before came to no end."""
        verdicts = [verdict_on(watch.evidence(), self.rules) for watch in seen]
        share = max((watch.share for watch in seen), default=0.0)
        self.keeper.ended(outcome, share, error.problems[0].what, *verdicts)


def with_trial(change: Change, tried: Tried) -> Change:
    """Return the change of the canary: the same, but it isn't returned before its trial has been passed."""

    def check() -> None:
        tried.ready()
        change.check()

    return replace(change, check=check, trial=tried.run)


@dataclass
class _Step:
    begun: float
    last: bool
    judged: tuple[int, ...] = ()
    """Its requests in this step, each time that a verdict was asked for."""
    verdict: Verdict | None = None
