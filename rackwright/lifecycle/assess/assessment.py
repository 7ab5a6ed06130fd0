"""The result of an assessment: facts and problems of each host."""

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
    """An apply can't make it work."""
    WARNS = "warns"
    """The host can serve, but worse than it should, or an operator must do something manually."""
    ADVISES = "advises"
    """Worth knowing before the host is bought or installed."""


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
    """The sizes of a host, for programs. None: not known."""

    cpus: int
    memory: int
    """Bytes."""
    gpus: int
    gpu_memory: int | None
    """Bytes of all GPUs; None: no driver reports it."""
    gpu_watts: float | None
    """Power limit of all GPUs together."""
    watts: int | None
    """Power that the whole machine draws now, as its management controller measures it."""
    disk_free: int
    """Bytes free in the folder of models."""
    link: int
    """Megabits per second of the fastest network link; 0: not known."""


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
    """Problems, the worst first."""
    models: tuple[ModelVerdict, ...] = ()
    """Whether it can serve the fleet's models."""
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
    """The worst first."""

    @classmethod
    def of(cls, hosts: tuple[Assessed, ...]) -> Assessment:
        """Sort hosts by verdict, the worst first; hosts with the same verdict stay in their order."""
        return cls(tuple(sorted(hosts, key=lambda host: _ORDER.index(host.verdict))))

    def with_verdict(self, verdict: Verdict) -> tuple[Assessed, ...]:
        return tuple(host for host in self.hosts if host.verdict is verdict)
