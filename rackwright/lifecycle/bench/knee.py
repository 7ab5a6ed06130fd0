"""Search for the knee: the highest rate that a service keeps up with. Pure: measured steps in, the next rate out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rackwright.state.bench import Step

KEPT_UP = 0.8
"""A service keeps up if its throughput is at least this share of the throughput without any waiting."""
GROWTH = 0.25
"""A higher rate is still good if throughput grew by at least this share of the rate's growth."""
CLOSE = 1.25
"""The search ends when the lowest bad rate is at most this many times the highest good one."""
MOST_STEPS = 12

Judge = Callable[[Step], str | None]
"""Given a step, return which objectives were missed, or None."""


@dataclass(frozen=True)
class Search:
    """The state of a search for the knee."""

    knee: Step | None
    """The highest good rate so far."""
    next_rate: float | None
    """The rate to try next; None: the search has ended."""
    why: str
    """Why it ended, or went back to lower rates."""


def search(steps: Sequence[Step], judge: Judge) -> Search:
    """Given the steps so far, in order, return how to continue: double the rate while it is good, then try rates
    between the highest good one and the lowest bad one until they are close."""
    good, bad, why = _sorted_out(steps, judge)
    if good is None:
        return Search(None, None, f"already at {steps[0].rate:g} per second, {why}")
    if bad is None and len(steps) >= MOST_STEPS:
        return Search(good, None, f"{MOST_STEPS} rates were tried, all of them good")
    if bad is None:
        return Search(good, _readable(good.rate * 2), "")
    why = f"at {bad.rate:g} per second, {why}"
    if len(steps) >= MOST_STEPS or bad.rate / good.rate <= CLOSE:
        return Search(good, None, why)
    return Search(good, _readable((good.rate * bad.rate) ** 0.5), why)


def _readable(rate: float) -> float:
    """Round to four significant digits."""
    return float(f"{rate:.4g}")


def _sorted_out(steps: Sequence[Step], judge: Judge) -> tuple[Step | None, Step | None, str]:
    """Return the highest good step below all bad ones, the lowest bad one, and why it is bad."""
    good: Step | None = None
    for step in sorted(steps, key=lambda step: step.rate):
        reason = judge(step) or behind(step) or _stalled(good, step)
        if reason:
            return good, step, reason
        good = step
    return good, None, ""


def behind(step: Step) -> str | None:
    """Return a sentence that the service fell behind the rate, or None.

    The throughput without waiting assumes that the last request is answered as fast as the fastest one was.
    """
    if step.latency is None:
        return "nothing was answered"
    without_waiting = step.requests / ((step.requests - 1) / step.rate + step.latency.least)
    if step.requests_per_second >= KEPT_UP * without_waiting:
        return None
    return f"the service fell behind: it answered {step.requests_per_second:.2f} of {without_waiting:.2f} per second"


def _stalled(before: Step | None, step: Step) -> str | None:
    """Return a sentence that throughput no longer grows compared with the next lower rate, or None."""
    if before is None:
        return None
    wanted = before.requests_per_second * (1 + GROWTH * (step.rate / before.rate - 1))
    if step.requests_per_second >= wanted:
        return None
    return f"throughput no longer grew: {step.requests_per_second:.2f} after {before.requests_per_second:.2f}"
