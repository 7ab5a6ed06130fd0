"""Canaries, as the control host keeps them: how far those of an open rollout are, and the verdicts on all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from rackwright.state.formats import Moment, parse
from rackwright.state.holding import Held
from rackwright.state.shell import FOLDER, Shell, call
from rackwright.state.store import ControlStore
from rackwright.values import Name, Sha256, Stored
from rackwright.verdict import Verdict

Outcome = Literal["open", "PASS", "FAIL", "INCONCLUSIVE", "left"]
"""open: it goes on; left: whoever tried it was stopped or cut off before it came to an end."""
KEPT = 100
"""Verdicts on one model; older ones are removed."""

# A run's id begins with its UTC time: their order is the order of time.
_WRITE = """set -eu
umask 022
mkdir -p -- "$1/canaries/$2"
cd -- "$1/canaries/$2"
trap 'rm -f -- ".$3.$$"' EXIT
cat >".$3.$$"
sync ".$3.$$"
mv -fT -- ".$3.$$" "$3.json"
sync .
ls | sort | head -n "-$4" | while IFS= read -r old; do rm -f -- "$old"; done
"""
_READ = """set -eu
cd -- "$1/canaries/$2" 2>/dev/null || exit 0
for file in *.json; do
    [ ! -f "$file" ] || { printf '%s\\n' "$file"; cat -- "$file"; printf '\\036'; }
done
"""
_END = "\x1e"
"""RECORD SEPARATOR: stands in no JSON text (RFC 7464)."""


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


def keep_trial(held: Held, trial: Trial) -> None:
    """The control host keeps it afterwards, on disk. Raise LeasedError if the lease has ended."""
    held.keep(_name(trial.rollout), trial.model_dump_json(indent=1) + "\n")


def kept_trial(store: ControlStore, rollout: str) -> Trial:
    """Return how far the rollout's canaries are. Raise RackwrightError if that is newer or damaged."""
    text = store.kept(_name(rollout))
    return parse(Trial, "trial", text, f"rollout {rollout}") if text else Trial(rollout=rollout)


def write_verdict(shell: Shell, verdict: CanaryVerdict, *, folder: str = FOLDER) -> None:
    """The control host keeps it afterwards, on disk, in place of what this run wrote of it before."""
    content = verdict.model_dump_json(indent=1) + "\n"
    call(shell, _WRITE, folder, verdict.model, verdict.run, KEPT, stdin=content, what="keeping the verdict")


def read_verdicts(shell: Shell, model: str, *, folder: str = FOLDER) -> tuple[CanaryVerdict, ...]:
    """Return what is kept of the model's canaries, oldest first. Raise RackwrightError if one is newer or damaged."""
    text = call(shell, _READ, folder, model, what="reading verdicts")
    return tuple(_parsed(text, f"{shell.name}: {folder}/canaries/{model}"))


def _parsed(text: str, where: str) -> Iterator[CanaryVerdict]:
    for written in text.split(_END)[:-1]:
        name, _, document = written.partition("\n")
        yield parse(CanaryVerdict, "canary", document, f"{where}/{name}")


def _name(rollout: str) -> str:
    return f"trial-{rollout}.json"
