"""Errors and times of the fleet's answers, against the cloud's in the same migration."""

from __future__ import annotations

from rackwright.migrate.review.finding import Finding, State, Unit
from rackwright.verdict.result import Comparison, Figure, Verdict, Word

_STATES: dict[Word, State] = {Word.PASS: "kept", Word.FAIL: "broken", Word.INCONCLUSIVE: "open"}


def of_times(verdict: Verdict, next_: str) -> tuple[Finding, ...]:
    """Return a finding for each comparison. `next_`: what to do about one that isn't kept."""
    return tuple(_finding(one, next_) for one in verdict.comparisons)


def _finding(one: Comparison, next_: str) -> Finding:
    errors, promised = one.figure is Figure.ERRORS, one.running.value
    unit: Unit = "share" if errors else "s"
    state: State = _STATES[one.word]
    if one.candidate.value is None or promised is None:
        state = "not measured"
    limit = None if promised is None else promised + one.threshold if errors else promised * one.threshold
    return Finding(
        promise="errors" if errors else "latency",
        of="" if errors else one.figure.value,
        unit=unit,
        promised=promised,
        measured=one.candidate.value,
        limit=limit,
        state=state,
        why=f"{one.candidate.count:,} requests of the fleet, {one.running.count:,} of the cloud: {one.why}",
        next="" if state == "kept" else next_,
    )
