"""What the control hosts store about canaries: the progress of an open rollout's canaries, and all verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from rackwright.state.formats import Moment, parse
from rackwright.state.lease_session import LeaseSession
from rackwright.state.series import Series
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored
from rackwright.values.text import Name, Sha256
from rackwright.verdict import Verdict

Outcome = Literal["open", "PASS", "FAIL", "INCONCLUSIVE", "left"]
"""open: the trial continues; left: the run that tried it was stopped or cut off before the end."""


class Progress(Stored):
    """The progress of one model's canary."""

    replica: str
    """HOST/MODEL@N."""
    step: int
    """Index of its present or last share."""
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
    """The last verdict on one canary, and the outcome of its trial."""

    format: str = "canary/1"
    run: str
    rollout: str
    what: str
    """The command that opened the rollout, like `model update assistant`."""
    when: Moment
    who: str
    model: Name
    replica: str
    """HOST/MODEL@N that was the canary."""
    before: Sha256
    """Digest of the weights of the other replicas."""
    after: Sha256
    """Digest of the canary's weights."""
    share: float
    """Percentage of the conversations that it had last."""
    outcome: Outcome
    why: str
    golden: Sha256 | None = None
    """Digest of the golden set; None: there was none."""
    verdict: Verdict | None = None
    """None: the trial ended before there was enough data."""


def write_trial(lease_session: LeaseSession, trial: Trial) -> None:
    """Store it on disk. Raise LeasedError if the lease has ended."""
    lease_session.keep(_name(trial.rollout), trial.model_dump_json(indent=1) + "\n")


def read_trial(store: ControlStore, rollout: str) -> Trial:
    """Return the progress of the rollout's canaries. Raise RackwrightError if it is damaged or of a newer format."""
    text = store.kept(_name(rollout))
    return parse(Trial, "trial", text, f"rollout {rollout}") if text else Trial(rollout=rollout)


_SERIES = Series("canaries", CanaryVerdict, "canary")


def write_verdict(store: ControlStore, verdict: CanaryVerdict) -> None:
    """Store the verdict, in place of this run's earlier one. Raise as `Series.write` does."""
    _SERIES.write(store, verdict)


def read_verdicts(store: ControlStore, model: str) -> tuple[CanaryVerdict, ...]:
    """Return the verdicts on the model's canaries, oldest first. Raise as `Series.read` does."""
    return _SERIES.read(store, model)


def _name(rollout: str) -> str:
    return f"trial-{rollout}.json"
