"""What was measured of a model, as the control host keeps it: so that a later run can be compared."""

from __future__ import annotations

from collections.abc import Mapping

from rackwright.state.formats import Moment
from rackwright.state.series import Series
from rackwright.state.shell import FOLDER, Shell
from rackwright.values.base import Stored


class Spread(Stored):
    """How one figure was spread over the requests that were answered, in seconds."""

    least: float
    p50: float
    p90: float
    p95: float
    p99: float
    between: Mapping[str, tuple[float, float]] = {}
    """Percentile (like p95) → where it lies with 95 of 100 chances, by this run's sampling alone; of those for
    which there were requests enough."""


class Step(Stored):
    """One constant rate."""

    rate: float
    """Requests a second, as they were sent."""
    requests: int
    """How many were asked for."""
    answered: int
    errors: Mapping[str, int] = {}
    """Kind, like "HTTP 503" → how many."""
    seconds: float
    """From the first request to the end of the last answer."""
    requests_per_second: float
    """Answered ones."""
    tokens_per_second: float
    """Of answers."""
    prompt_tokens: float
    """Mean, as the engine counted them."""
    cached_tokens: float = 0
    """Mean of those that the engine had from earlier prompts."""
    answer_tokens: float
    """Mean."""
    ttft: Spread | None = None
    """Time to the first token. None: nothing was answered; so for the two below."""
    tpot: Spread | None = None
    """Time per output token after the first, each request's mean."""
    latency: Spread | None = None
    """From the request to the end of its answer."""
    remarks: tuple[str, ...] = ()
    """What the tool has to say against these figures."""

    @property
    def failed(self) -> int:
        return sum(self.errors.values())

    @property
    def error_share(self) -> float:
        return self.failed / self.requests if self.requests else 0.0


class Bench(Stored):
    """One measurement of one model: what, by what, when, where from, and what came of it."""

    format: str = "bench/1"
    run: str
    when: Moment
    who: str
    model: str
    digest: str
    """Of the weights."""
    lock: str
    """Digest of the lock."""
    runtime: str
    """Like llama_cpp-b10434."""
    tool: str
    """Like guidellm 0.8.1."""
    version: str
    """Of rackwright."""
    asked_from: str
    through: str
    """Like "gateway gate1" or "replica gpu1/assistant@1"."""
    replicas: int
    """That took requests when it began."""
    prompt_tokens: int
    """As asked for."""
    answer_tokens: int
    steps: tuple[Step, ...]
    """In the order they were run."""
    knee: Step | None = None
    """Of a search: the highest rate that was still good."""
    searched: bool = False
    """Whether rates were raised in search of the knee."""
    why_ended: str = ""
    """Of a search."""

    @property
    def judged(self) -> Step:
        """The step that objectives and comparisons are about: the knee of a search, else the only one."""
        return self.knee or self.steps[0]


_SERIES = Series("bench", Bench, "bench", "measurements")


def write_bench(shell: Shell, bench: Bench, *, folder: str = FOLDER) -> None:
    """The control host keeps it afterwards. Raise as `Series.write`."""
    _SERIES.write(shell, bench, folder)


def read_benches(shell: Shell, model: str, *, folder: str = FOLDER) -> tuple[Bench, ...]:
    """Return what is kept of the model, oldest first. Raise as `Series.read`."""
    return _SERIES.read(shell, model, folder)
