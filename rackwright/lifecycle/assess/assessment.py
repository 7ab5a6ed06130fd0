"""What an assessment comes to: facts and what is missing, host by host."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from rackwright.fit.known import Served
from rackwright.lifecycle.assess.serving import Verdict as ModelVerdict

Group = Literal["machine", "gpus", "driver", "memory", "disk", "network", "power"]
GROUPS: tuple[Group, ...] = ("machine", "gpus", "driver", "memory", "disk", "network", "power")


class Severity(StrEnum):
    BLOCKS = "blocks"
    """An apply couldn't make a good host of it."""
    WARNS = "warns"
    """It can serve, worse than it should, or somebody has to do something by hand."""
    ADVISES = "advises"
    """Worth knowing before it is bought or installed."""


@dataclass(frozen=True)
class Fact:
    group: Group
    name: str
    value: str


@dataclass(frozen=True)
class Missing:
    group: Group
    severity: Severity
    what: str
    next: str | None
    """What to do about it; None: nothing, or it depends."""


@dataclass(frozen=True)
class Figures:
    """The sizes of a host, for programs. None: not told."""

    cpus: int
    memory: int
    """Bytes."""
    gpus: int
    gpu_memory: int | None
    """Bytes of all GPUs; None where no driver tells."""
    gpu_watts: float | None
    """What all GPUs together may draw."""
    watts: int | None
    """What the whole machine draws now, as its management controller measures it."""
    disk_free: int
    """Bytes where the models go."""
    link: int
    """Megabits a second of the fastest network link; 0: not told."""


class Verdict(StrEnum):
    READY = "ready"
    WARNINGS = "ready with warnings"
    NOT_READY = "not ready"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Assessed:
    """One host."""

    host: str
    address: str
    figures: Figures | None = None
    """None: it couldn't be asked."""
    facts: tuple[Fact, ...] = ()
    missing: tuple[Missing, ...] = ()
    """The worst first."""
    models: tuple[ModelVerdict, ...] = ()
    """Of the fleet: whether it can serve them."""
    known: tuple[Served, ...] = ()
    """Well-known models that it can serve."""
    unreachable: str | None = None
    """Why it couldn't be asked, and what to do."""

    @property
    def verdict(self) -> Verdict:
        severities = {missing.severity for missing in self.missing}
        if self.unreachable:
            return Verdict.UNREACHABLE
        if Severity.BLOCKS in severities:
            return Verdict.NOT_READY
        return Verdict.WARNINGS if Severity.WARNS in severities else Verdict.READY

    def count(self, severity: Severity) -> int:
        return sum(missing.severity is severity for missing in self.missing)

    def facts_of(self, group: Group) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.facts if fact.group == group)


_ORDER = (Verdict.NOT_READY, Verdict.UNREACHABLE, Verdict.WARNINGS, Verdict.READY)


@dataclass(frozen=True)
class Assessment:
    hosts: tuple[Assessed, ...]
    """Those with the most to do first."""

    @classmethod
    def of(cls, hosts: tuple[Assessed, ...]) -> Assessment:
        """Given hosts in any order, return them the worst first; those of one verdict stay in their order."""
        return cls(tuple(sorted(hosts, key=lambda host: _ORDER.index(host.verdict))))

    def with_verdict(self, verdict: Verdict) -> tuple[Assessed, ...]:
        return tuple(host for host in self.hosts if host.verdict is verdict)
