"""The result of a capacity measurement; measured and extrapolated figures are in models of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rackwright.migrate.capacity.lengths import Basis
from rackwright.values.base import Stored


class Speed(Stored):
    """One replay of the window, faster or slower than it was recorded."""

    rate: float
    """Requests per second that were sent, on average."""
    requests: int
    answered: int
    failed: int
    answered_per_second: float
    tokens_per_second: float
    """Of answers."""
    ttft_p95: float | None = None
    """Seconds to the first token. None: nothing was answered; the same for those below."""
    tpot_p95: float | None = None
    """Seconds per output token after the first."""
    latency_p95: float | None = None
    """Seconds of the whole answer."""
    missed: str | None = None
    """Which objectives were missed."""


class Measured(Stored):
    """What one replica did."""

    replica: str
    """HOST/MODEL@N."""
    tool: str
    """Like guidellm 0.8.1."""
    window_start: float
    """Unix seconds."""
    window_seconds: int
    requests: int
    """Recorded requests of the window that were replayed."""
    speeds: tuple[Speed, ...]
    """In the order in which they were run."""
    goodput: float | None = None
    """The highest rate that the replica kept up with under the objectives; None: there was none."""
    latency: float | None = None
    """Seconds of the whole answer at that rate, p95."""
    why_ended: str = ""
    without_objectives: bool = False
    """The model has none in the fleet file; then only a growing queue or a failed request is bad."""


class Extrapolated(Stored):
    """What follows for the whole of clients' traffic."""

    sampled: float
    """Recorded requests of the window as percent of all: what was recorded is scaled by this."""
    peak: float
    """Requests per second of all clients in the busiest window."""
    peaks: Mapping[str, float] = {}
    """Seconds of a window → requests per second of all clients in the busiest one."""
    headroom: float
    """Percent."""
    spare: int
    busy: int | None = None
    """Replicas for the peak with headroom, without spares; None: no rate was good."""
    replicas: int | None = None
    gpus: int | None = None
    at_a_time: int | None = None
    """Requests in work on each replica at the peak."""


class Cache(Stored):
    """Whether the KV cache of a replica holds the requests."""

    largest: int
    """Tokens of the largest recorded request and its answer."""
    typical: int
    """The 95th percentile of these tokens."""
    counted: float
    """Share of these that the provider counted; the others are estimated."""
    context: int
    """The fleet file's."""
    holds: int | None = None
    """Requests of the typical size that the cache holds at a time; None: not known."""
    fits: bool | None = None
    """Whether that is enough at the peak, and the largest request has room; None: not known."""
    why: str = ""


class ModelCapacity(Stored):
    model: str
    """The fleet's."""
    instead_of: tuple[str, ...]
    """The provider's models."""
    planned: int
    """Replicas in the fleet file."""
    measured: Measured
    extrapolated: Extrapolated
    cache: Cache
    answers: Mapping[Basis, int] = {}
    """What the lengths of answers are based on → how many."""
    left_out: Mapping[str, int] = {}
    """Why requests weren't replayed → how many."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Return why the planned number isn't enough, or can't be said to be."""
        found, needed = [], self.extrapolated.replicas
        if needed is None:
            found.append(f"no rate was good: {self.measured.why_ended}")
        elif needed > self.planned:
            found.append(f"needed replicas: {needed}, in the fleet file: {self.planned}")
        if self.cache.fits is False:
            found.append(self.cache.why)
        elif self.cache.fits is None and needed is not None:
            found.append(f"it isn't known whether the cache is large enough: {self.cache.why}")
        return tuple(found)


class CapacityFound(Stored):
    format: Literal["migration-capacity/1"] = "migration-capacity/1"
    models: tuple[ModelCapacity, ...]

    @property
    def met(self) -> bool:
        return bool(self.models) and not any(model.problems for model in self.models)
