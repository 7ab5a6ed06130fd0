"""How a rollout's phases read on a terminal and in a log: one line for each, after the replica or host."""

from __future__ import annotations

from rackwright.lifecycle.rollout.change import Change, Phase

IN_FLIGHT_SECONDS = 10
"""Between two lines that say how many requests are still in flight."""


def progress_line(phase: Phase, change: Change, detail: str) -> str:
    """Return the line; `detail` is what the journal has of the phase."""
    return f"{change.subject}  {_text(phase, change, detail)}"


def draining_line(change: Change, left: str) -> str:
    """Return the line that says how many requests are left, and where."""
    return f"{change.subject}  draining ({left})"


def _text(phase: Phase, change: Change, detail: str) -> str:
    match phase:
        case Phase.GATE:
            return "checking that it may go down"
        case Phase.DRAIN:
            return "draining"
        case Phase.ACT:
            return (
                change.doing if detail == change.why else f"{'going back' if change.host else 'restarting'}: {detail}"
            )
        case Phase.PROVE:
            return f"proving: {detail}"
        case Phase.COMMIT:
            return f"committing: {detail}"
        case Phase.CANARY:
            return f"canary: {detail}"
        case Phase.UNDRAIN:
            return f"undraining {detail}"
        case Phase.SOAK:
            return f"soaking {detail}"
        case Phase.REVERT:
            return f"reverting: {detail}"
        case Phase.DONE:
            return "done" if detail == change.why else detail
