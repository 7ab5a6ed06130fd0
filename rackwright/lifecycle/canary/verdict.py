"""Judge a canary by the fleet file's thresholds."""

from __future__ import annotations

from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.steps import looks
from rackwright.verdict import Evidence, Thresholds, Verdict


def verdict_on(evidence: Evidence, rules: Canary) -> Verdict:
    """Return the verdict on the evidence so far. Call it at most `looks(rules)` times in one trial."""
    # scipy is slow to import.
    from rackwright.verdict.decide import decide

    return decide(evidence, thresholds_of(rules), looks=looks(rules))


def fewest_conversations(rules: Canary) -> int:
    """Return the lowest number of conversations that the canary needs for a PASS."""
    from rackwright.verdict import errors, times
    from rackwright.verdict.figure import chances

    return max(times.fewest(), errors.fewest(thresholds_of(rules).errors, chances(1, looks(rules))))


def thresholds_of(rules: Canary) -> Thresholds:
    """Return the fleet file's thresholds, with the defaults for those that it leaves out."""
    return Thresholds(**rules.thresholds.model_dump(exclude_none=True))
