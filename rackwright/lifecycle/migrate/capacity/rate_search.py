"""Find the highest rate of the recorded requests that a replica keeps up with."""

from __future__ import annotations

from collections.abc import Callable

from rackwright.fleet.sections.objectives import Objectives
from rackwright.lifecycle.bench.knee import MOST_STEPS, Search, search
from rackwright.lifecycle.bench.objectives import missed
from rackwright.state.bench import Step

_HALVINGS = 5


def search_rate(
    send: Callable[[float], Step], first: float, objectives: Objectives
) -> tuple[tuple[Step, ...], Search]:
    """Return each measured step, and how the search ended. It begins at `first`, and goes down if need be."""

    def judge(step: Step) -> str | None:
        return missed(step, objectives)

    steps = [send(_readable(first))]
    state = search(steps, judge)
    while state.knee is None and len(steps) <= _HALVINGS:
        steps.append(send(_readable(min(step.rate for step in steps) / 2)))
        state = search(steps, judge)
    while state.next_rate and len(steps) < MOST_STEPS:
        steps.append(send(state.next_rate))
        state = search(steps, judge)
    return tuple(steps), state


def _readable(rate: float) -> float:
    return float(f"{rate:.4g}")
