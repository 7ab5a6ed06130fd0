"""What one run over the hosts did or would do: its steps, their outcomes and totals."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property


def new_run_id() -> str:
    """Return a run's id: its UTC time and four hex digits, like 20261125T040500Z-1a2b."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


class Outcome(StrEnum):
    UNCHANGED = "unchanged"
    WOULD_CHANGE = "would change"
    CHANGED = "changed"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Step:
    """One operation on one host."""

    host: str
    role: str
    operation: str
    outcome: Outcome
    seconds: float = 0.0
    diff: str | None = None
    """Unified diff of a file, or why none is shown ("content differs" for a secret file)."""
    output: tuple[str, ...] = ()
    """The last lines that a failed operation printed."""
    note: str | None = None
    """Something on the host that differs from the fleet file and is left alone."""


@dataclass(frozen=True)
class Totals:
    changed: int = 0
    unchanged: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Run:
    """The steps of one run, in order for each host, and the hosts that could not be reached."""

    steps: tuple[Step, ...] = ()
    unreachable: dict[str, str] = field(default_factory=dict)
    """Host → reason."""
    interrupted: bool = False
    """Whether an operator stopped it; the remaining steps are `NOT_RUN`."""

    @property
    def failed_hosts(self) -> tuple[str, ...]:
        failed = {step.host for step in self.steps if step.outcome is Outcome.FAILED}
        return tuple(sorted(failed | set(self.unreachable)))

    @property
    def changes(self) -> int:
        """The number of steps that changed something or would change it."""
        return sum(step.outcome in (Outcome.CHANGED, Outcome.WOULD_CHANGE) for step in self.steps)

    @property
    def failures(self) -> Run:
        """This run with only the failed steps and the hosts that could not be reached."""
        return Run(tuple(step for step in self.steps if step.outcome is Outcome.FAILED), self.unreachable)

    @property
    def notes(self) -> tuple[Step, ...]:
        """The steps with a note about something left alone, without duplicates for the same host and role."""
        return tuple({(step.host, step.role, step.note): step for step in self.steps if step.note}.values())

    def of(self, host: str) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.host == host)

    def totals(self, host: str | None = None) -> Totals:
        """Return the counts that `--json` prints, for this host or, with None, for all hosts."""
        seen = self._outcomes.get(host, Counter())
        return Totals(
            changed=seen[Outcome.CHANGED] + seen[Outcome.WOULD_CHANGE],
            unchanged=seen[Outcome.UNCHANGED],
            failed=seen[Outcome.FAILED] + sum(host in (None, name) for name in self.unreachable),
            skipped=seen[Outcome.SKIPPED] + seen[Outcome.NOT_RUN],
        )

    @cached_property
    def _outcomes(self) -> dict[str | None, Counter[Outcome]]:
        """Host → how many steps had each outcome; None → of all hosts."""
        found: dict[str | None, Counter[Outcome]] = {None: Counter()}
        for step in self.steps:
            for key in (None, step.host):
                found.setdefault(key, Counter())[step.outcome] += 1
        return found

    def __add__(self, other: Run) -> Run:
        return Run(
            self.steps + other.steps,
            {**self.unreachable, **other.unreachable},
            interrupted=self.interrupted or other.interrupted,
        )
