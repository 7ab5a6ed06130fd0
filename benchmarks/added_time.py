"""How much longer one way to send a request takes than another, measured in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

from benchmarks.measure import keep

WARM_UP = 100


def in_turn(ways: Mapping[str, Callable[[], float]], requests: int) -> dict[str, list[float]]:
    """Return the milliseconds of so many requests on each way, after a warm-up. Which comes first alternates."""
    names = list(ways)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(requests + WARM_UP):
        for name in names if number % 2 else names[::-1]:
            took = ways[name]()
            if number >= WARM_UP:
                samples[name].append(took)
    return samples


def keep_and_print(name: str, samples: Mapping[str, list[float]], target: float) -> float:
    """Keep the percentiles of two ways, print figures, and return by how much the second one's median is higher."""
    percentiles = {way: statistics.quantiles(values, n=100) for way, values in samples.items()}
    keep(name, {"unit": "ms", "requests": {way: len(values) for way, values in samples.items()}, **percentiles})
    for way, found in percentiles.items():
        print(f"{way:8} median {found[49]:.3f} ms   p99 {found[98]:.3f} ms   {len(samples[way])} requests")
    first, second = percentiles.values()
    added = second[49] - first[49]
    print(f"added    median {added:.3f} ms   p99 {second[98] - first[98]:.3f} ms   target ≤ {target} ms")
    print(f"ratio    {second[49] / first[49]:.2f}")
    return added
