"""What was measured of a model, as the control host keeps it: so that a later run can be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rackwright.state.formats import Moment, parse
from rackwright.state.shell import FOLDER, Shell, call
from rackwright.values import Stored

KEPT = 100
"""Measurements of one model; older ones are removed."""

# A run's id begins with its UTC time: their order is the order of time.
_WRITE = """set -eu
umask 022
mkdir -p -- "$1/bench/$2"
cd -- "$1/bench/$2"
trap 'rm -f -- ".$3.$$"' EXIT
cat >".$3.$$"
sync ".$3.$$"
mv -fT -- ".$3.$$" "$3.json"
sync .
ls | sort | head -n "-$4" | while IFS= read -r old; do rm -f -- "$old"; done
"""
_READ = """set -eu
cd -- "$1/bench/$2" 2>/dev/null || exit 0
for file in *.json; do
    [ ! -f "$file" ] || { printf '%s\\n' "$file"; cat -- "$file"; printf '\\036'; }
done
"""
_END = "\x1e"
"""RECORD SEPARATOR: stands in no JSON text (RFC 7464)."""


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


def write_bench(shell: Shell, bench: Bench, *, folder: str = FOLDER) -> None:
    """The control host keeps it afterwards, on disk. Raise HostError if it can't be written."""
    content = bench.model_dump_json(indent=1) + "\n"
    call(shell, _WRITE, folder, bench.model, bench.run, KEPT, stdin=content, what="keeping the measurement")


def read_benches(shell: Shell, model: str, *, folder: str = FOLDER) -> tuple[Bench, ...]:
    """Return what is kept of the model, oldest first. Raise RackwrightError if one is newer or damaged."""
    text = call(shell, _READ, folder, model, what="reading measurements")
    return tuple(_parsed(text, f"{shell.name}: {folder}/bench/{model}"))


def _parsed(text: str, where: str) -> Iterator[Bench]:
    for written in text.split(_END)[:-1]:
        name, _, document = written.partition("\n")
        yield parse(Bench, "bench", document, f"{where}/{name}")
