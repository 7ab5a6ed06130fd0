"""The result of a review: each promise, what was measured, and whether it is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from rackwright.values.base import Stored

Promise = Literal["score", "capacity", "cost", "latency", "errors", "ledger"]
Unit = Literal["points", "requests/s", "a month", "s", "share", "requests"]
"""a month: money, in the plan's currency; share: of requests, 0 to 1."""
State = Literal["kept", "broken", "open", "no limit", "not measured"]
"""open: it was measured, and can't be decided yet; no limit: the plan has none, so nothing can be broken."""


class Finding(Stored):
    """One promise."""

    promise: Promise
    of: str = ""
    """What of it: a model, or a figure."""
    unit: Unit
    promised: float | None = None
    """None: nothing was promised."""
    measured: float | None = None
    limit: float | None = None
    """The worst value that keeps the promise."""
    state: State
    why: str
    """One sentence: what the figure is based on, or why there is none."""
    next: str = ""
    """The command, or the act, that measures it or decides it."""

    @property
    def name(self) -> str:
        return f"{self.promise}: {self.of}" if self.of else self.promise

    @property
    def deviation(self) -> float | None:
        """Return measured minus promised."""
        return None if self.measured is None or self.promised is None else self.measured - self.promised


class Basis(Stored):
    """What a review is based on."""

    began: datetime
    """When the cutover began, or began again after a rollback."""
    step: datetime
    """When the fleet got the present share."""
    until: datetime
    share: float
    """Percent of new conversations that the fleet gets."""
    counted_from: datetime | None = None
    """From when on the gateways' access logs are whole; None: they can't be read."""
    requests: Annotated[int, Field(ge=0)] = 0
    """Of the plan's models in the access logs since then, on both sides."""
    fleet: Annotated[int, Field(ge=0)] = 0
    """Those of the fleet's side."""
    log: str
    """The sha256 of the log's last entry."""
    plan: str
    """The sha256 of the plan."""


class Reviewed(Stored):
    format: Literal["migration-review/1"] = "migration-review/1"
    currency: str
    basis: Basis
    findings: tuple[Finding, ...]
    doubts: tuple[str, ...] = ()
    """What a reader must know first."""

    def of(self, state: State) -> tuple[Finding, ...]:
        """Return the findings in this state."""
        return tuple(one for one in self.findings if one.state == state)

    @property
    def kept(self) -> bool:
        """Whether no promise is broken. What wasn't measured isn't broken."""
        return not self.of("broken")
