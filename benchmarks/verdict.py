"""How long a verdict takes, and how often it is wrong.

`time`: how long a verdict on 10,000 requests and 500 golden pairs takes. Each run is a separate process. The time
includes the import of scipy, but not the simulation of the traffic. Target: the median of the runs is at most 5 s;
its ratio to that limit is printed.

`error`: how often the verdict on simulated candidates is wrong. It uses as many resamples as rackwright does, and
allows for as many verdicts as a canary with a golden set has. Targets: at most 5 % FAIL among equal candidates, and
among candidates exactly as bad as allowed in all nine comparisons at once; at least 98 % FAIL among candidates that
are twice as slow, and among those that lack layers; at least 80 % PASS among equal candidates with much data.

`clustered`: how often one figure alone gets a PASS although the candidate is at the threshold or worse. Errors hit
whole conversations, and times within a conversation are alike. Target: at most 5 %.

`takes`: how many requests and prompts an equal candidate needs to PASS. docs/verdict.md has the results.

    python -m benchmarks.verdict [time] [error] [clustered] [takes] [--runs 7] [--pairs 1000]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.measure import environment, keep, whole
from rackwright.verdict import Comparison, Figure, Thresholds, Word, decide
from rackwright.verdict.errors import errors
from rackwright.verdict.figure import ERROR, chances
from rackwright.verdict.harm import harm
from rackwright.verdict.judge import judge
from rackwright.verdict.quantiles import RESAMPLES
from rackwright.verdict.times import slower
from tests.verdict.simulated import AT_EDGE, EDGE, EQUAL, Size, Version, evidence, traffic
from tests.verdict.takes import LOOKS, takes

LIMIT = 5.0
"""Seconds."""
LARGE = Size(running=3000, candidate=345, prompts=500)
"""About ten thousand requests."""
LITTLE = Size(running=150, candidate=100, prompts=150)
"""About three hundred requests to the candidate."""
MUCH = Size(running=3000, candidate=2000, prompts=600)
SEEN = Size(running=1200, candidate=400, prompts=600)
"""As with a canary share of 25 %."""


FLAWLESS = Version(errors=0)
LONG = Size(running=60, candidate=20, each=50)
TENS = Size(running=600, candidate=200, each=10)
THREES = Size(running=1800, candidate=600)
MANY = Size(running=4500, candidate=1500)


@dataclass(frozen=True)
class Kind:
    """A kind of candidates, and the share of them that may or must get this word as the verdict."""

    name: str
    candidate: Version
    word: Word
    least: float = 0.0
    most: float = 1.0
    size: Size = LITTLE
    thresholds: Thresholds | None = None


KINDS = (
    Kind("equal", EQUAL, Word.FAIL, most=0.05),
    Kind("exactly as bad as allowed", EDGE, Word.FAIL, most=0.05, thresholds=AT_EDGE),
    Kind("twice as slow", Version(slowness=2), Word.FAIL, least=0.98),
    Kind("lacks layers", Version(score=0.04, formats=0.5), Word.FAIL, least=0.98),
    Kind("equal, with much data", EQUAL, Word.PASS, least=0.8, size=MUCH),
)


@dataclass(frozen=True)
class Cluster:
    """Candidates whose requests are alike within a conversation, and the figure in which they are too bad."""

    name: str
    figure: Figure
    candidate: Version
    size: Size
    running: Version = FLAWLESS
    looks: int = LOOKS


CLUSTERS = (
    Cluster("3 % of conversations fail; 20 of 50 requests", Figure.ERRORS, Version(errors=0, broken=0.03), LONG),
    Cluster("3 % of conversations fail; 200 of 10 requests", Figure.ERRORS, Version(errors=0, broken=0.03), TENS),
    Cluster("1 % of conversations fail; 600 of 3 requests", Figure.ERRORS, Version(errors=0, broken=0.01), THREES),
    Cluster(
        "1 % of conversations fail, and single requests of both versions; 1500 of 3 requests",
        Figure.ERRORS,
        Version(broken=0.01),
        MANY,
        EQUAL,
    ),
    Cluster(
        "1 % of conversations fail; 600 of 3 requests, judged once",
        Figure.ERRORS,
        Version(errors=0, broken=0.01),
        THREES,
        looks=1,
    ),
    Cluster("p95 at the threshold; 20 of 50 requests", Figure.TTFT_P95, Version(slowness=1.5), LONG),
    Cluster(
        "p95 at the threshold; 200 of 10 requests, judged once", Figure.TTFT_P95, Version(slowness=1.5), TENS, looks=1
    ),
)


def one() -> None:
    """Print the time and CPU time of one verdict, and its numbers of requests and prompts, as JSON."""
    found = evidence(np.random.default_rng(1), EQUAL, size=LARGE)
    requests = len(found.running.requests) + len(found.candidate.requests)
    began, cpu = time.perf_counter(), time.process_time()
    decide(found)
    print(json.dumps([time.perf_counter() - began, time.process_time() - cpu, requests, LARGE.prompts]))


def measure_time(runs: int) -> bool:
    """Print how long a verdict takes; return whether that is within the limit."""
    argv = [sys.executable, "-m", "benchmarks.verdict", "one"]
    samples = [json.loads(whole(argv, environment()).out) for _ in range(runs)]
    seconds, cpu = (float(median(sample[number] for sample in samples)) for number in (0, 1))
    keep("verdict", [{"seconds": sample[0], "cpu": sample[1]} for sample in samples])
    requests, pairs = samples[0][2:]
    print(f"{requests} requests, {pairs} golden pairs: {seconds:.2f} s, CPU {cpu:.2f} s, median of {runs} runs")
    print(f"ratio to the limit of {LIMIT:g} s: {seconds / LIMIT:.2f}")
    return seconds <= LIMIT


def measure_error(pairs: int) -> bool:
    """Print the verdicts on the simulated pairs; return whether the targets are met."""
    counts = {kind.name: _words(kind, pairs) for kind in KINDS}
    keep("verdict_error", counts)
    return all(kind.least <= counts[kind.name][kind.word] / pairs <= kind.most for kind in KINDS)


def _words(kind: Kind, pairs: int) -> Counter[Word]:
    rng = np.random.default_rng(11)
    found = (evidence(rng, kind.candidate, size=kind.size) for _ in range(pairs))
    words = Counter(decide(one, kind.thresholds, looks=LOOKS).word for one in found)
    print(f"{kind.name}: {', '.join(f'{words[word]} {word}' for word in Word)}", flush=True)
    return words


def measure_clustered(pairs: int) -> bool:
    """Print how often a figure passes although it shouldn't; return whether the target is met."""
    counts = {cluster.name: _passes(cluster, pairs) for cluster in CLUSTERS}
    keep("verdict_clustered", {"pairs": pairs, "pass": counts})
    return all(count / pairs <= ERROR for count in counts.values())


def _passes(cluster: Cluster, pairs: int) -> int:
    rng = np.random.default_rng(13)
    words = (_word(cluster, rng) for _ in range(pairs))
    count = sum(word is Word.PASS for word in words)
    print(f"{cluster.name}: {cluster.figure} PASS for {count} of {pairs}", flush=True)
    return count


def _word(cluster: Cluster, rng: np.random.Generator) -> Word:
    size, at = cluster.size, chances(len(Figure), cluster.looks)
    running = traffic(rng, cluster.running, size.running, size.each)
    candidate = traffic(rng, cluster.candidate, size.candidate, size.each)
    if cluster.figure is Figure.ERRORS:
        return judge(errors(running, candidate, at), Thresholds()).word
    found = slower("ttft", running, candidate, at, RESAMPLES)
    return next(judge(one, Thresholds()).word for one in found if one.figure is cluster.figure)


def measure_takes() -> None:
    """Print how much data a canary needs to PASS if it turns out exactly as good as the running version."""
    print(f"for a canary with a golden set, judged up to {LOOKS} times:")
    alike, unlike, failing, prompts, turning = takes()
    print(
        f"errors: {alike} conversations of equal length, {unlike} of different lengths; {failing} if one request in "
        "100 fails too"
    )
    print(f"golden score, valid formats: {prompts} prompts; {turning} if one answer in ten turns out differently")
    for share in (0.0, 0.002, 0.004, 0.01):
        told = ", ".join(f"{_equal(share, count):.0%} with {count:,}" for count in (1000, 1500, 2000))
        print(f"errors PASS, simulated, if {share:.1%} of requests fail in both versions, by conversations: {told}")
    rng = np.random.default_rng(17)
    found = [decide(evidence(rng, EQUAL, size=SEEN), looks=LOOKS).comparisons for _ in range(20)]
    for same in zip(*found, strict=True):
        if same[0].figure.is_ratio:
            print(f"{same[0].figure}, simulated: {median(map(_would_take, same)):.0f} {same[0].figure.of}")


def _equal(share: float, conversations: int) -> float:
    """Return how often errors PASS if the candidate fails as many requests as the running version."""
    version, size = Version(errors=share), Size(running=3 * conversations, candidate=conversations)
    same = Cluster("equal", Figure.ERRORS, version, size, running=version)
    rng = np.random.default_rng(19)
    return sum(_word(same, rng) is Word.PASS for _ in range(50)) / 50


def _would_take(found: Comparison) -> float:
    """Return how many it would take to PASS if there were no difference. Intervals narrow with the square root."""
    if found.difference is None:
        return math.inf
    seen = harm(found.figure, found.difference, found.threshold)
    return found.candidate.clusters * ((seen.most - seen.seen) / seen.allowed) ** 2


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help="time, error, clustered, takes; default: all")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--pairs", type=int, default=1000)
    options = parser.parse_args()
    if options.parts == ["one"]:
        one()
        return 0
    parts = options.parts or ["time", "error", "clustered", "takes"]
    if "takes" in parts:
        measure_takes()
    met = [
        "time" not in parts or measure_time(options.runs),
        "error" not in parts or measure_error(options.pairs),
        "clustered" not in parts or measure_clustered(options.pairs),
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
