"""Errors and times of the fleet's answers, against the cloud's in the same migration."""

from __future__ import annotations

from rackwright.migrate.review.promises import Finding, State, Unit
from rackwright.verdict import words
from rackwright.verdict.result import Comparison, Figure, Verdict, Word

_STATES: dict[Word, State] = {Word.PASS: "kept", Word.FAIL: "broken", Word.INCONCLUSIVE: "open"}


def of_times(verdict: Verdict, *, broken: str, other: str) -> tuple[Finding, ...]:
    """Return a finding for each comparison. `broken`, `other`: what to do about a promise that is broken, or open."""
    nexts = {Word.PASS: "", Word.FAIL: broken, Word.INCONCLUSIVE: other}
    return tuple(_finding(one, nexts[one.word]) for one in verdict.comparisons)


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
        why=f"{one.candidate.count:,} requests of the fleet, {one.running.count:,} of the cloud: {_compared(one)}",
        next=next_,
    )


def _compared(one: Comparison) -> str:
    if one.difference is None:
        return one.why
    said, between = words.difference(one.figure, one.difference.estimate), one.difference.interval
    cloud = "the cloud's" if one.figure.is_ratio else "against the cloud"
    return f"{said} {cloud} ({words.interval(one.figure, between)})"
