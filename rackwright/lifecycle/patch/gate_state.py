"""What one gate found: a condition that must be met before a host is patched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rackwright.errors import Problem, RackwrightError


class GateState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    """It can't be judged; the host isn't patched."""


@dataclass(frozen=True)
class Gate:
    name: str
    """window, freeze, alerts, backup, clock or others."""
    state: GateState
    found: str
    should: str | None = None
    next: str | None = None
    listed: tuple[str, ...] = ()
    """What stops the host, if that is several things."""

    @property
    def is_open(self) -> bool:
        return self.state is GateState.OPEN

    def problem(self, host: str) -> Problem:
        """Return why the host may not be patched, as text for an operator."""
        return Problem(host, f"gate {self.name}: {self.found}", self.should, self.next, self.listed)


def problems(host: str, gates: Iterable[Gate]) -> tuple[Problem, ...]:
    """Return a problem for each gate that isn't open; empty: the host may be patched."""
    return tuple(gate.problem(host) for gate in gates if not gate.is_open)


def refuse_closed(host: str, gates: Iterable[Gate], error: type[RackwrightError]) -> None:
    """Raise the error with all gates that aren't open, if there are any."""
    if closed := problems(host, gates):
        first = closed[0]
        raised = error(first.what, where=first.where, should=first.should, next=first.next, listed=first.listed)
        raise raised.with_problems(closed)
