"""One restore with one fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from benchmarks.restore_faults.judge import Outcome, Verdict, changed, not_done, wrong_snapshot, wrong_weights
from benchmarks.restore_faults.saved_host import Files, SavedHost
from rackwright.cli.common.console import Console
from rackwright.errors import RackwrightError
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.restore.agree import agree
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.restore.plan import HostPlan, RestorePlan
from tests.lifecycle.restore.host import Bench


@dataclass
class Trial:
    """What a fault is injected into."""

    host: SavedHost
    bench: Bench
    random: Random
    agreed: Callable[[], object] = lambda: None
    """Happens after the operator has agreed."""
    at: At = NEWEST
    expected: str = ""
    """The snapshot that should be restored."""
    more: dict[str, Files] = field(default_factory=dict)
    """More good snapshots, as SavedHost.states."""
    cleanup: list[Callable[[], object]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def now_or_later(self, does: Callable[[], object]) -> None:
        """Do this before the plan is made, or when the operator has agreed to it."""
        if self.random.random() < 0.5:
            does()
        else:
            self.agreed = does

    def repositories(self) -> tuple[str, ...]:
        """Return which repositories are hit: the first, or all."""
        return ("one", "two") if self.random.random() < 0.3 else ("one",)

    def seen(self, plan: HostPlan) -> None:
        self.said += [str(one) for one in plan.chosen.passed_over] + list(plan.chosen.newer)
        agree(RestorePlan((plan,), None), Asked(at=self.at), Console(quiet=True, yes=True))


@dataclass(frozen=True)
class Fault:
    inject: Callable[[Trial], object]
    says: str
    """Pattern of what names the fault."""


def judged(trial: Trial, fault: Fault) -> Verdict:
    """Inject the fault, restore, and return how it ended."""
    bench, machine = trial.bench, trial.bench.machine
    fault.inject(trial)
    before = machine.files
    try:
        done = bench.restore(trial.at, shown=trial.seen, agreed=trial.agreed)
    except RackwrightError as error:
        said = "\n".join((str(error), *trial.said, *bench.console.said))
        wrong = [*changed(before, machine.files), *wrong_weights(trial.host, wanted=False)]
        if wrong:
            return Verdict(Outcome.FALSE, f"refused, but {'; '.join(wrong[:3])}: {said}")
        named = re.search(fault.says, said)
        return Verdict(Outcome.REFUSED if named else Outcome.UNNAMED, said)
    finally:
        for clean in trial.cleanup:
            clean()
    said = "\n".join((*trial.said, *bench.console.said))
    states, expected = {**trial.host.states, **trial.more}, trial.expected or trial.host.newest
    why = wrong_snapshot(states, done.snapshot, expected, said) or not_done(
        trial.host, done, states[done.snapshot], before, machine.files
    )
    if why:
        return Verdict(Outcome.FALSE, f"{why}: {said}")
    if done.repository == "one" and done.snapshot == expected:
        return Verdict(Outcome.RESTORED, said)
    return Verdict(Outcome.ELSEWHERE if re.search(fault.says, said) else Outcome.UNNAMED, said)
