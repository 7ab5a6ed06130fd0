"""Steps and measurements for tests, as if they had been measured."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rackwright.state.bench import Bench, Spread, Step

WHEN = datetime(2026, 11, 26, 1, 2, tzinfo=UTC)


def spread(
    p95: float, *, least: float | None = None, between: dict[str, tuple[float, float]] | None = None
) -> Spread:
    """A spread in which all percentiles are equal."""
    fastest = p95 if least is None else least
    return Spread(least=fastest, p50=p95, p90=p95, p95=p95, p99=p95, between=between or {})


def step(rate: float, *, per_second: float | None = None, latency: float = 0.5, **said: Any) -> Step:
    """A step that kept up: it is so long that its last answers don't matter."""
    found = {
        "requests": 1000,
        "answered": 1000,
        "seconds": 1000 / rate,
        "tokens_per_second": 8.0 * rate,
        "prompt_tokens": 40.0,
        "answer_tokens": 8.0,
        "ttft": spread(latency / 2),
        "tpot": spread(latency / 10),
        "latency": spread(latency),
    }
    return Step(rate=rate, requests_per_second=rate if per_second is None else per_second, **(found | said))


def bench(*steps: Step, **said: Any) -> Bench:
    found = {
        "run": "20261126T010214Z-3949",
        "when": WHEN,
        "who": "anna@laptop",
        "model": "assistant",
        "digest": "a" * 64,
        "lock": "b" * 64,
        "runtime": "llama_cpp-b10434",
        "tool": "guidellm 0.8.1",
        "version": "0.1.0",
        "asked_from": "the controller",
        "through": "gateway gate1",
        "replicas": 2,
        "prompt_tokens": 40,
        "answer_tokens": 8,
        "steps": steps or (step(1),),
    }
    return Bench(**(found | said))
