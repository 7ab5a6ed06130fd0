"""Record a canary's progress and every verdict on the control host."""

from __future__ import annotations

from dataclasses import dataclass

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.report.verdict_text import Ended, verdict_text
from rackwright.state.canaries import (
    CanaryVerdict,
    Outcome,
    Progress,
    Trial,
    read_trial,
    write_trial,
    write_verdict,
)
from rackwright.state.formats import utc_now
from rackwright.state.lease_session import LeaseSession
from rackwright.state.rollout import Rollout
from rackwright.verdict import Verdict


@dataclass(frozen=True)
class Keeper:
    """Keeps the records of one canary, for one run of the tool."""

    session: Session
    lease_session: LeaseSession
    console: Console
    rollout: Rollout
    replica: Replica
    golden: str | None
    """Digest of the golden set."""

    @property
    def run(self) -> str:
        return self.lease_session.run

    def reached(self, step: int) -> None:
        """Record the step, so that a resumed rollout starts with it."""
        self._keep(Progress(replica=self.replica.address, step=step))

    def passed(self, share: float, verdict: Verdict | None) -> None:
        """Record that the canary has passed, so that a resumed rollout doesn't repeat it."""
        self.ended("PASS", share, verdict.why if verdict else "", verdict)
        self._keep(Progress(replica=self.replica.address, step=0, passed=True))

    def judged(self, share: float, verdict: Verdict) -> None:
        """Record a verdict while the trial continues."""
        self.console.say(f"{self.replica.address}: at {share:g} %: {verdict.word}: {verdict.why}")
        self._write("open", share, verdict.why, verdict)

    def ended(self, outcome: Outcome, share: float, why: str, verdict: Verdict | None = None) -> None:
        """Record how the trial ended, and show its report to the operator. No verdict: nothing was observed."""
        self._write(outcome, share, why, verdict)
        if verdict and outcome != "left":
            about = f"{self.replica.address}: the report on the canary, at {share:g} % of the conversations"
            for line in verdict_text(verdict, about, Ended(outcome, why)):
                self.console.say(line)

    def _write(self, outcome: Outcome, share: float, why: str, verdict: Verdict | None) -> None:
        self.lease_session.check()
        kept = CanaryVerdict(
            run=self.run,
            rollout=self.rollout.id,
            what=self.rollout.what,
            when=utc_now(),
            who=self.lease_session.lease.owner.who,
            model=self.replica.model,
            replica=self.replica.address,
            before=self.rollout.before.models[self.replica.model].digest,
            after=self.rollout.after.models[self.replica.model].digest,
            share=share,
            outcome=outcome,
            why=why,
            golden=self.golden,
            verdict=verdict,
        )
        try:
            write_verdict(self.lease_session.store, kept)
        except HostError as error:
            # The verdict is valid even without its report.
            self.console.say(f"{self.replica.address}: its report could not be stored: {error.problems[0]}")

    def _keep(self, progress: Progress) -> None:
        earlier = read_trial(self.lease_session.store, self.rollout.id)
        models = {**earlier.models, self.replica.model: progress}
        write_trial(self.lease_session, Trial(rollout=self.rollout.id, models=models))
