"""Compare a measurement with an earlier one, and say which differences are noise. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rackwright.lifecycle.bench.knee import CLOSE
from rackwright.state.bench import Bench, Spread

_FIGURES = ("ttft", "tpot", "latency")
_PERCENTILES = ("p50", "p95")


class Trend(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NOISE = "within noise"
    """Their intervals overlap."""
    UNKNOWN = "too few requests to tell"


@dataclass(frozen=True)
class Difference:
    figure: str
    """Like "ttft p95"."""
    unit: str
    """s: seconds; /s: per second."""
    before: float
    after: float
    trend: Trend


@dataclass(frozen=True)
class Comparison:
    earlier: Bench
    unlike: tuple[str, ...]
    """Differences in how the two were measured; with any of these the figures can't be compared."""
    differences: tuple[Difference, ...]


def compare(now: Bench, earlier: Sequence[Bench]) -> Comparison | None:
    """Given the stored measurements, oldest first, compare this one with an earlier one; None: there is none.

    That is the last one with other weights or another runtime, preferably one that was measured in the same way; if
    there is none, the last one that was measured in the same way.
    """
    others = [bench for bench in earlier if bench.run != now.run]
    changed = [bench for bench in others if (bench.digest, bench.runtime) != (now.digest, now.runtime)]
    alike = [bench for bench in changed if not unlike(now, bench)]
    found = (alike or changed or [bench for bench in others if not unlike(now, bench)])[-1:]
    return _compared(now, found[0]) if found else None


def with_previous(now: Bench, earlier: Sequence[Bench]) -> Comparison | None:
    """Compare this measurement with the last one that was made in the same way; None: there is none."""
    alike = [bench for bench in earlier if bench.run != now.run and not unlike(now, bench)]
    return _compared(now, alike[-1]) if alike else None


def unlike(now: Bench, then: Bench) -> tuple[str, ...]:
    """Return the differences in how the two were measured."""
    ways: list[tuple[str, object, object]] = [("knee", _knee(then), _knee(now))]
    ways += [("through", then.through, now.through)]
    ways += [("replicas", then.replicas, now.replicas), ("asked from", then.asked_from, now.asked_from)]
    ways += [("tool", then.tool, now.tool), ("prompt tokens", then.prompt_tokens, now.prompt_tokens)]
    ways += [("answer tokens", then.answer_tokens, now.answer_tokens)]
    if not now.knee:
        ways.append(("rate", then.judged.rate, now.judged.rate))
    return tuple(f"{name}: {before} then, {after} now" for name, before, after in ways if before != after)


def _knee(bench: Bench) -> str:
    return "found" if bench.knee else "searched but not found" if bench.searched else "not searched"


def _compared(now: Bench, then: Bench) -> Comparison:
    differs = unlike(now, then)
    return Comparison(then, differs, () if differs else tuple(_differences(now, then)))


def _differences(now: Bench, then: Bench) -> Iterator[Difference]:
    if now.knee:
        # A knee is only as precise as the steps of the search.
        before, after = then.judged, now.judged
        yield _throughput("knee, requests", before.requests_per_second, after.requests_per_second)
        yield _throughput("knee, tokens", before.tokens_per_second, after.tokens_per_second)
        return
    for figure in _FIGURES:
        earlier: Spread | None = getattr(then.judged, figure)
        later: Spread | None = getattr(now.judged, figure)
        if earlier and later:
            for percentile in _PERCENTILES:
                yield _times(f"{figure} {percentile}", percentile, earlier, later)


def _throughput(figure: str, before: float, after: float) -> Difference:
    trend = (
        Trend.NOISE if before / CLOSE < after < before * CLOSE else Trend.BETTER if after > before else Trend.WORSE
    )
    return Difference(figure, "/s", before, after, trend)


def _times(figure: str, percentile: str, then: Spread, now: Spread) -> Difference:
    before, after = getattr(then, percentile), getattr(now, percentile)
    intervals = then.between.get(percentile), now.between.get(percentile)
    return Difference(figure, "s", before, after, _trend(*intervals))


def _trend(then: tuple[float, float] | None, now: tuple[float, float] | None) -> Trend:
    if then is None or now is None:
        return Trend.UNKNOWN
    if now[0] > then[1]:
        return Trend.WORSE
    return Trend.BETTER if now[1] < then[0] else Trend.NOISE
