"""Canaries, as the control host keeps them: how far those of an open rollout are, and the verdicts on all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from rackwright.state.formats import Moment, parse
from rackwright.state.lease_session import LeaseSession
from rackwright.state.series import Series
from rackwright.state.shell import FOLDER, Shell
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from rackwright.values.text import Name, Sha256
from rackwright.verdict import Verdict

Outcome = Literal["open", "PASS", "FAIL", "INCONCLUSIVE", "left"]
"""open: it goes on; left: whoever tried it was stopped or cut off before it came to an end."""


class Progress(Stored):
    """How far the canary of one model is."""

    replica: str
    """HOST/MODEL@N."""
    step: int
    """Index of the share that it has or had last."""
    passed: bool = False


class Trial(Stored):
    """The canaries of one rollout."""

    format: str = "trial/1"
    rollout: str
    models: Mapping[Name, Progress] = {}

    def untried(self, models: Iterable[str]) -> frozenset[str]:
        """Return those of the models whose canary hasn't passed."""
        return frozenset(name for name in models if name not in self.models or not self.models[name].passed)


class CanaryVerdict(Stored):
    """What was known of one canary when it was judged last, and what became of it."""

    format: str = "canary/1"
    run: str
    rollout: str
    what: str
    """The command that opened it, like `model update assistant`."""
    when: Moment
    who: str
    model: Name
    replica: str
    """HOST/MODEL@N that was the canary."""
    before: Sha256
    """Digest of the weights that the others ran."""
    after: Sha256
    """Of those that it ran."""
    share: float
    """Per cent of the conversations that it had at last."""
    outcome: Outcome
    why: str
    golden: Sha256 | None = None
    """Digest of the golden set; None: there was none."""
    verdict: Verdict | None = None
    """None: it ended before there was enough for one."""


def write_trial(lease_session: LeaseSession, trial: Trial) -> None:
    """The control host keeps it afterwards, on disk. Raise LeasedError if the lease has ended."""
    lease_session.keep(_name(trial.rollout), trial.model_dump_json(indent=1) + "\n")


def read_trial(store: ControlStore, rollout: str) -> Trial:
    """Return how far the rollout's canaries are. Raise RackwrightError if that is newer or damaged."""
    text = store.kept(_name(rollout))
    return parse(Trial, "trial", text, f"rollout {rollout}") if text else Trial(rollout=rollout)


_SERIES = Series("canaries", CanaryVerdict, "canary", "verdicts")


def write_verdict(shell: Shell, verdict: CanaryVerdict, *, folder: str = FOLDER) -> None:
    """The control host keeps it afterwards, in place of what this run wrote of it before. Raise as `Series.write`."""
    _SERIES.write(shell, verdict, folder)


def read_verdicts(shell: Shell, model: str, *, folder: str = FOLDER) -> tuple[CanaryVerdict, ...]:
    """Return what is kept of the model's canaries, oldest first. Raise as `Series.read`."""
    return _SERIES.read(shell, model, folder)


def _name(rollout: str) -> str:
    return f"trial-{rollout}.json"
