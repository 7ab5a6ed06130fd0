"""Turn guidellm's report on one measurement into a Step."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import Field, ValidationError

from rackwright.errors import RackwrightError
from rackwright.lifecycle.bench.load import Load
from rackwright.state.bench import Spread, Step
from rackwright.values.base import Stored

PERCENTILES = (50, 90, 95, 99)
CHANCE = 0.95
"""Confidence level of a percentile's interval."""
_KINDS = {
    "HTTP {}": r"'(\d{3})[ ']",
    "timed out": r"Timeout|TimedOut",
    "no connection": r"ConnectError",
    "cut off": r"RemoteProtocolError|ReadError|WriteError",
}


class _Counted(Stored):
    total_tokens: int | None = None
    cached_tokens: int | None = None


class _Info(Stored):
    error: str | None = None


class _Request(Stored):
    info: _Info
    input_metrics: _Counted
    output_metrics: _Counted
    ttft: float | None = Field(None, validation_alias="time_to_first_token_ms")
    tpot: float | None = Field(None, validation_alias="inter_token_latency_ms")
    latency: float | None = Field(None, validation_alias="request_latency")


class _Requests(Stored):
    successful: tuple[_Request, ...]
    errored: tuple[_Request, ...]
    incomplete: tuple[_Request, ...]


class _Warning(Stored):
    message: str
    note: str = ""


class _Benchmark(Stored):
    duration: float
    requests: _Requests
    warnings: tuple[_Warning, ...] = ()


class _Report(Stored):
    benchmarks: tuple[_Benchmark, ...] = Field(min_length=1)


def parse_report(text: str, load: Load) -> Step:
    """Given guidellm's report (0.8) on this load, return the step. Raise RackwrightError if it can't be read.

    Each request's times are guidellm's. Percentiles are computed here, all by one rule (`spread`): guidellm weights
    the time per token by tokens, and would count a request more than once.
    """
    try:
        found = _Report.model_validate_json(text).benchmarks[0]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise RackwrightError(f"its report can't be read: {first['loc']}: {first['msg']}", where="guidellm") from None
    answered, seconds = found.requests.successful, found.duration
    answer_tokens = _of(request.output_metrics.total_tokens for request in answered)
    cached_tokens = _of(request.input_metrics.cached_tokens for request in answered)
    return Step(
        rate=load.rate,
        requests=load.requests,
        answered=len(answered),
        errors=_errors(found.requests, load.requests),
        seconds=seconds,
        requests_per_second=len(answered) / seconds if seconds else 0,
        tokens_per_second=sum(answer_tokens) / seconds if seconds else 0,
        prompt_tokens=_mean(_of(request.input_metrics.total_tokens for request in answered)),
        cached_tokens=_mean(cached_tokens) if cached_tokens else None,
        answer_tokens=_mean(answer_tokens),
        ttft=spread([value / 1000 for value in _of(request.ttft for request in answered)]),
        tpot=spread([value / 1000 for value in _of(request.tpot for request in answered)]),
        latency=spread(_of(request.latency for request in answered)),
        remarks=tuple(f"{warning.message} {warning.note}".strip() for warning in found.warnings),
    )


def spread(values: Iterable[float]) -> Spread | None:
    """Given one figure of each request, return its percentiles (nearest rank), None if there are no requests."""
    ordered = sorted(values)
    if not ordered:
        return None
    at = {f"p{percent}": ordered[rank(percent, len(ordered)) - 1] for percent in PERCENTILES}
    intervals = {f"p{percent}": _interval(percent, ordered) for percent in PERCENTILES}
    return Spread(
        least=ordered[0],
        p50=at["p50"],
        p90=at["p90"],
        p95=at["p95"],
        p99=at["p99"],
        between={name: interval for name, interval in intervals.items() if interval},
    )


def rank(percent: int, count: int) -> int:
    """Return the nearest rank of a percentile among `count` values, from 1."""
    return max(1, math.ceil(percent * count / 100))


def _interval(percent: int, ordered: Sequence[float]) -> tuple[float, float] | None:
    """Return an interval that contains the percentile with a chance of at least CHANCE, by order statistics, for any
    distribution (Hahn and Meeker, Statistical Intervals, 5.2); None if there are too few values."""
    count = len(ordered)
    chances = [_binomial(k, count, percent / 100) for k in range(count + 1)]
    below, low = 0.0, 0
    while below + chances[low] <= (1 - CHANCE) / 2:
        below += chances[low]
        low += 1
    above, high = 0.0, count
    while above + chances[high] <= (1 - CHANCE) / 2:
        above += chances[high]
        high -= 1
    # The percentile lies between the low-th and the (high + 1)-th of them, counted from 1.
    return (ordered[low - 1], ordered[high]) if low >= 1 and high < count else None


def _binomial(k: int, count: int, share: float) -> float:
    """Return the chance of k hits in `count` tries. Uses logarithms, because thousands of tries overflow a float."""
    ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
    return math.exp(ways + k * math.log(share) + (count - k) * math.log(1 - share))


def _errors(requests: _Requests, asked: int) -> dict[str, int]:
    found = Counter(kind_of(request.info.error or "") for request in requests.errored)
    found["not finished in time"] += len(requests.incomplete)
    seen = len(requests.successful) + len(requests.errored) + len(requests.incomplete)
    found["not sent"] += max(0, asked - seen)
    return {kind: count for kind, count in sorted(found.items()) if count}


def kind_of(error: str) -> str:
    """Given guidellm's error text of one failed request, return the kind of error."""
    for kind, pattern in _KINDS.items():
        if match := re.search(pattern, error):
            return kind.format(*match.groups())
    return error.partition("(")[0].strip()[:60] or "unknown"


def _of(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
