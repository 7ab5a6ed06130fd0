"""Measurements of a model, stored on the control hosts so that a later run can be compared with them."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.state.formats import Moment
from rackwright.state.series import Series
from rackwright.state.store import ControlStore
from rackwright.values.base import Stored


class Spread(Stored):
    """The distribution of one figure over the answered requests, in seconds."""

    least: float
    p50: float
    p90: float
    p95: float
    p99: float
    between: Mapping[str, tuple[float, float]] = {}
    """Percentile (like p95) → its 95 % confidence interval, from this run alone, if there were enough requests."""


class Step(Stored):
    """One constant rate."""

    rate: float
    """Requests per second that were sent."""
    requests: int
    """How many requests were planned."""
    answered: int
    errors: Mapping[str, int] = {}
    """Kind, like "HTTP 503" → how many."""
    seconds: float
    """From the first request to the end of the last answer."""
    requests_per_second: float
    """Answered requests only."""
    tokens_per_second: float
    """Tokens of answers."""
    prompt_tokens: float
    """Mean, as the engine counted them."""
    cached_tokens: float | None = None
    """Mean number of prompt tokens that the engine had in its cache; None: no answer said it."""
    answer_tokens: float
    """Mean."""
    ttft: Spread | None = None
    """Time to the first token. None: nothing was answered; the same for the two below."""
    tpot: Spread | None = None
    """Time per output token after the first, each request's mean."""
    latency: Spread | None = None
    """From the request to the end of its answer."""
    remarks: tuple[str, ...] = ()
    """The tool's reservations about these figures."""

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def error_share(self) -> float:
        return self.failed / self.requests if self.requests else 0.0


class Bench(Stored):
    """One measurement of one model."""

    format: str = "bench/1"
    run: str
    when: Moment
    who: str
    model: str
    digest: str
    """Digest of the weights."""
    lock: str
    """Digest of the lock."""
    runtime: str
    """Like llama_cpp-b10434."""
    tool: str
    """Like guidellm 0.8.1."""
    version: str
    """rackwright's version."""
    asked_from: str
    through: str
    """Like "gateway gate1" or "replica gpu1/assistant@1"."""
    replicas: int
    """Replicas that took requests when it started."""
    prompt_tokens: int
    """The planned number; each step has the mean as the engine counted."""
    answer_tokens: int
    steps: tuple[Step, ...]
    """In the order in which they were run."""
    knee: Step | None = None
    """The result of a search: the highest rate that was still good."""
    searched: bool = False
    """Whether rates were raised to search for the knee."""
    why_ended: str = ""
    """Why a search ended."""

    @property
    def judged(self) -> Step:
        """The step that objectives and comparisons are about: the knee of a search, or the first step."""
        return self.knee or self.steps[0]


_SERIES = Series("bench", Bench, "bench")


def write_bench(store: ControlStore, bench: Bench) -> None:
    """Store the measurement. Raise as `Series.write` does."""
    _SERIES.write(store, bench)


def read_benches(store: ControlStore, model: str) -> tuple[Bench, ...]:
    """Return the model's stored measurements, oldest first. Raise as `Series.read` does."""
    return _SERIES.read(store, model)
