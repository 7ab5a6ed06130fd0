"""The trial of a canary: its share grows step by step, and a verdict says whether it may be returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from rackwright.errors import HostError, LeasedError, ProofError
from rackwright.fleet.fleet import Replica
from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.judging import verdict_on
from rackwright.lifecycle.canary.keep import Keeper
from rackwright.lifecycle.canary.steps import Moment, Next, following, is_due, is_hopeless
from rackwright.lifecycle.canary.watch import Watch
from rackwright.lifecycle.changes import Act, Change, Clock, Enter, Paused, Undecided
from rackwright.stopping import Stopping
from rackwright.verdict import Verdict, Word

LOOK_SECONDS = 10
"""Between two looks at the gateways, at most."""


@dataclass(frozen=True)
class Tried:
    """One canary and what it is tried by."""

    replica: Replica
    rules: Canary
    digest: str
    """Of its weights."""
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
        """Return when it has passed; it has its last share still. Else it has none.

        Raise ProofError where it failed, Undecided where nobody can tell, Paused where the operator stops.
        """
        with self._share_ends_with_it():
            watch = self.watch(enter)
            verdict = None
            for number in range(self.first, len(self.rules.share)):
                verdict = self._step(number, watch, enter)
            self.keeper.passed(watch.share, verdict)

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
                self.keeper.site.gateways.end_canary(self.replica.model)
            raise

    def _step(self, number: int, watch: Watch, enter: Enter) -> Verdict | None:
        """Return the verdict when the next step may begin, or, of the last, when it has passed."""
        percent, rules = self.rules.share[number], self.rules
        enter(f"{percent:g} % of the conversations, for {rules.hold} s and {rules.min_requests} requests at least")
        self.keeper.reached(number)
        watch.give(percent, digest=self.digest, run=self.keeper.run)
        step = _Step(begun=self.clock.now(), before=watch.candidate.count, last=number == len(rules.share) - 1)
        while True:
            self._wait()
            watch.look(digest=self.digest, run=self.keeper.run)
            verdict, next = self._judged(watch, step)
            if next is Next.BACK:
                raise self._failed(watch, verdict)
            if next is Next.PAUSE:
                raise self._undecided(watch, step, verdict)
            if next is not Next.WAIT:
                return verdict

    def _wait(self) -> None:
        self.clock.sleep(min(LOOK_SECONDS, self.rules.hold / 5))
        self.keeper.held.check()
        if self.stopping():
            raise Paused("interrupted; the canary gets no more traffic", where=self.replica.address)

    def _judged(self, watch: Watch, step: _Step) -> tuple[Verdict | None, Next]:
        evidence, requests = watch.evidence(), watch.candidate.count - step.before
        moment = Moment(step.last, self.clock.now() - step.begun, requests)
        if is_hopeless(evidence.running, evidence.candidate):
            return None, Next.BACK
        if not is_due(self.rules, moment, step.judged):
            return step.verdict, following(self.rules, moment)
        step.judged = (*step.judged, requests)
        step.verdict = verdict_on(evidence, self.rules)
        self.keeper.judged(watch.share, step.verdict)
        return step.verdict, following(self.rules, step.with_word(moment))

    def _failed(self, watch: Watch, verdict: Verdict | None) -> ProofError:
        why = verdict.why if verdict else "the canary fails most requests, and the others don't"
        self.keeper.ended("FAIL", watch.share, why, verdict)
        return ProofError(f"FAIL: {why}", where=self.replica.address, next=self._report)

    def _undecided(self, watch: Watch, step: _Step, verdict: Verdict | None) -> Undecided:
        requests = watch.candidate.count - step.before
        why = verdict.why if verdict else f"{requests} requests in {self.rules.limit} s, of {self.rules.min_requests}"
        self.keeper.ended("INCONCLUSIVE", watch.share, why, verdict)
        should = "the canary gets no traffic, the others have all of it"
        return Undecided(f"INCONCLUSIVE: {why}", where=self.replica.address, should=should, next=self._report)

    @property
    def _report(self) -> str:
        return f"rackwright model verdict {self.replica.model}"


def with_trial(change: Change, tried: Tried) -> Change:
    """Return the change of the canary: the same, but it isn't returned before its trial has been passed."""

    def check() -> None:
        tried.ready()
        change.check()

    return replace(change, check=check, trial=tried.run)


@dataclass
class _Step:
    begun: float
    before: int
    """The canary's requests before it."""
    last: bool
    judged: tuple[int, ...] = ()
    """Its requests in this step, each time that a verdict was asked for."""
    verdict: Verdict | None = None

    def with_word(self, moment: Moment) -> Moment:
        word: Word | None = self.verdict.word if self.verdict else None
        return Moment(moment.last, moment.lasted, moment.requests, word)
