"""The verdict on what is known so far, by the fleet file's thresholds."""

from __future__ import annotations

from rackwright.fleet.sections.canary import Canary
from rackwright.lifecycle.canary.steps import looks
from rackwright.verdict import Evidence, Thresholds, Verdict


def verdict_on(evidence: Evidence, rules: Canary) -> Verdict:
    """Return it; at most `looks(rules)` of them may be asked for in one trial."""
    # scipy takes its time to import.
    from rackwright.verdict.decide import decide

    return decide(evidence, thresholds_of(rules), looks=looks(rules))


def fewest_conversations(rules: Canary) -> int:
    """Return how many the canary must have for a PASS, at the least."""
    from rackwright.verdict import errors, times
    from rackwright.verdict.figure import chances

    return max(times.fewest(), errors.fewest(thresholds_of(rules).errors, chances(1, looks(rules))))


def thresholds_of(rules: Canary) -> Thresholds:
    """Return the fleet file's thresholds, with what is built in for those that it leaves out."""
    return Thresholds(**rules.thresholds.model_dump(exclude_none=True))
