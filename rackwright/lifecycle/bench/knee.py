"""The knee: the highest rate that a service keeps up with. Pure: steps that were measured in, the next rate out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rackwright.state.bench import Step

KEPT_UP = 0.8
"""A service keeps up if it answered this share at least of what it would have without any waiting."""
GROWTH = 0.25
"""A higher rate is worth it if throughput grew by this share at least of what the rate grew by."""
CLOSE = 1.25
"""A good and a bad rate this near to one another have the knee between them."""
MOST_STEPS = 12

Judge = Callable[[Step], str | None]
"""Given a step, say which objective was missed, or None."""


@dataclass(frozen=True)
class Search:
    """How far a search for the knee has come."""

    knee: Step | None
    """The highest good rate so far."""
    next_rate: float | None
    """To be tried; None: the search has ended."""
    why: str
    """What ends it, or sent it back to lower rates."""


def search(steps: Sequence[Step], judge: Judge) -> Search:
    """Given the steps so far, in order, return how to go on: twice the rate while it is good, then between the
    highest good rate and the lowest bad one until they are near."""
    good, bad, why = _sorted_out(steps, judge)
    if good is None:
        return Search(None, None, f"already at {steps[0].rate:g} a second {why}")
    if bad is None and len(steps) >= MOST_STEPS:
        return Search(good, None, f"{MOST_STEPS} rates were tried, all of them good")
    if bad is None:
        return Search(good, _readable(good.rate * 2), "")
    why = f"at {bad.rate:g} a second {why}"
    if len(steps) >= MOST_STEPS or bad.rate / good.rate <= CLOSE:
        return Search(good, None, why)
    return Search(good, _readable((good.rate * bad.rate) ** 0.5), why)


def _readable(rate: float) -> float:
    """In four digits, however small."""
    return float(f"{rate:.4g}")


def _sorted_out(steps: Sequence[Step], judge: Judge) -> tuple[Step | None, Step | None, str]:
    """Return the highest good step below all bad ones, the lowest bad one, and what is bad about it."""
    good: Step | None = None
    for step in sorted(steps, key=lambda step: step.rate):
        reason = judge(step) or behind(step) or _stalled(good, step)
        if reason:
            return good, step, reason
        good = step
    return good, None, ""


def behind(step: Step) -> str | None:
    """Say that the service fell behind the rate, or None.

    Without waiting the last request would be answered as fast as the fastest one: so long after the first was sent.
    """
    if step.latency is None:
        return "nothing was answered"
    without_waiting = step.requests / ((step.requests - 1) / step.rate + step.latency.least)
    if step.requests_per_second >= KEPT_UP * without_waiting:
        return None
    return f"the service fell behind: {step.requests_per_second:.2f} a second were answered of {without_waiting:.2f}"


def _stalled(before: Step | None, step: Step) -> str | None:
    """Say that throughput no longer grows, or None: judged against the next lower rate."""
    if before is None:
        return None
    wanted = before.requests_per_second * (1 + GROWTH * (step.rate / before.rate - 1))
    if step.requests_per_second >= wanted:
        return None
    return f"throughput no longer grew: {step.requests_per_second:.2f} after {before.requests_per_second:.2f}"
