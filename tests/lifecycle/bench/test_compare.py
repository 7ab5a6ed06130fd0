from __future__ import annotations

from rackwright.lifecycle.bench.compare import Trend, compare, unlike
from tests.lifecycle.bench.steps import bench, spread, step

OTHER = "c" * 64


def timed(p95: float, low: float | None = None, high: float | None = None, **said):
    between = {"p50": (low, high), "p95": (low, high)} if low and high else {}
    found = spread(p95, between=between)
    first_token_only = step(1).model_copy(update={"ttft": found, "tpot": None, "latency": None})
    return bench(first_token_only, **said)


def told(now, then) -> dict[str, Trend]:
    found = compare(now, [then])
    assert found is not None
    return {difference.figure: difference.trend for difference in found.differences}


NOW = timed(1.0, 0.9, 1.1)


def test_intervals_that_meet_are_noise_and_those_apart_are_not():
    assert told(NOW, timed(1.05, 1.0, 1.2, digest=OTHER, run="r0")) == {
        "ttft p50": Trend.NOISE,
        "ttft p95": Trend.NOISE,
    }
    assert told(NOW, timed(0.5, 0.4, 0.6, digest=OTHER, run="r0"))["ttft p95"] is Trend.WORSE
    assert told(NOW, timed(2.0, 1.8, 2.2, digest=OTHER, run="r0"))["ttft p95"] is Trend.BETTER


def test_without_intervals_nothing_is_claimed():
    assert told(NOW, timed(5.0, digest=OTHER, run="r0"))["ttft p95"] is Trend.UNKNOWN


def test_what_was_measured_otherwise_is_not_compared():
    found = compare(NOW, [timed(5.0, digest=OTHER, run="r0", replicas=3, prompt_tokens=512)])
    assert found is not None
    assert found.unlike == ("replicas: 3 then, 2 now", "prompt tokens: 512 then, 40 now")
    assert found.differences == ()


def test_the_last_of_other_weights_is_taken_and_one_measured_alike_before_it():
    old, alike, same = bench(digest=OTHER, run="r0"), bench(digest=OTHER, run="r1"), bench(run="r2")
    elsewhere = bench(digest=OTHER, run="r3", through="replica gpu1/assistant@1")
    assert _run(old, alike, same, elsewhere) == "r1"
    assert _run(elsewhere, same) == "r3"
    assert _run(bench(run="r4", runtime="llama_cpp-b2"), same) == "r4"
    assert _run(same) == "r2"
    assert _run() is None
    assert _run(bench(run=NOW.run)) is None


def _run(*earlier) -> str | None:
    found = compare(bench(), earlier)
    return found.earlier.run if found else None


def test_knees_differ_by_more_than_a_step_of_the_search():
    now = bench(step(1), knee=step(8), searched=True)
    assert told(now, bench(step(1), knee=step(7), searched=True, digest=OTHER, run="r0")) == {
        "knee, requests": Trend.NOISE,
        "knee, tokens": Trend.NOISE,
    }
    assert (
        told(now, bench(step(1), knee=step(4), searched=True, digest=OTHER, run="r0"))["knee, tokens"] is Trend.BETTER
    )
    assert unlike(now, bench(step(2))) == ("knee: not searched then, found now",)


def test_two_searches_that_found_no_knee_are_compared():
    vain = bench(step(1), searched=True)
    assert unlike(bench(step(1), knee=step(8), searched=True), vain) == (
        "knee: searched but not found then, found now",
    )
    found = compare(vain, [bench(step(1), searched=True, digest=OTHER, run="r0")])
    assert found is not None
    assert {difference.unit for difference in found.differences} == {"s"}
