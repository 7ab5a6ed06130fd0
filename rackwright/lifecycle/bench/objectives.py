"""Compare a step with the fleet file's objectives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.fleet.sections.objectives import Objectives
from rackwright.state.bench import Spread, Step

_TIMES = {"ttft_p95": "ttft", "tpot_p95": "tpot", "latency_p95": "latency"}


@dataclass(frozen=True)
class Verdict:
    """Whether one objective was met."""

    objective: str
    """Its name in the fleet file."""
    wanted: str
    found: str
    met: bool


def verdicts(step: Step, objectives: Objectives | None) -> tuple[Verdict, ...]:
    """Return a verdict on each objective; a time objective is missed if nothing was answered."""
    return tuple(_verdicts(step, objectives)) if objectives else ()


def missed(step: Step, objectives: Objectives | None) -> str | None:
    """Return which objectives were missed, or None."""
    failed = [verdict for verdict in verdicts(step, objectives) if not verdict.met]
    return ", ".join(f"{verdict.objective} is {verdict.found}" for verdict in failed) or None


def _verdicts(step: Step, objectives: Objectives) -> Iterator[Verdict]:
    for name, figure in _TIMES.items():
        wanted: int | None = getattr(objectives, name)
        found: Spread | None = getattr(step, figure)
        if wanted is not None:
            met = found is not None and found.p95 * 1000 <= wanted
            yield Verdict(name, f"at most {seconds(wanted / 1000)}", seconds(found.p95) if found else "none", met)
    if objectives.errors is not None:
        share = step.error_share
        found_errors = f"{share:.2%} ({step.failed} of {step.requests})"
        yield Verdict("errors", f"at most {objectives.errors:.2%}", found_errors, share <= objectives.errors)


def seconds(value: float) -> str:
    """Return seconds as text, in milliseconds below one second."""
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"
