"""How long a verdict takes, and how often it is wrong.

`time`: the verdict of 10,000 requests and 500 golden pairs, each run a process of its own: importing scipy is in it,
simulating the traffic isn't. Target: 5 s, the median of runs; its ratio to that is printed.

`error`: simulated pairs of each kind, with all of the product's resamples and as many looks as a canary with a golden
set has. Targets: at most 5 % FAIL of equal candidates, and of those that are as bad as is just allowed in all nine
comparisons at once; at least 98 % FAIL of those that are twice as slow, and of those that lack layers; at least 80 %
PASS of equal ones of which much was seen.

`clustered`: how often one figure alone PASSes a candidate that is too bad, of conversations that fail whole, or are
slow as a whole. Target: at most 5 %.

`takes`: of how many requests and prompts an equal candidate passes; docs/verdict.md has them.

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
"""Ten thousand requests."""
LITTLE = Size(running=150, candidate=100, prompts=150)
"""Three hundred requests of the candidate."""
MUCH = Size(running=3000, candidate=2000, prompts=600)
SEEN = Size(running=1200, candidate=400, prompts=600)
"""As where the share is 25 %."""


FLAWLESS = Version(errors=0)
LONG = Size(running=60, candidate=20, each=50)
TENS = Size(running=600, candidate=200, each=10)
THREES = Size(running=1800, candidate=600)
MANY = Size(running=4500, candidate=1500)


@dataclass(frozen=True)
class Kind:
    """Of candidates, and the share of them that may or must get a word."""

    name: str
    candidate: Version
    word: Word
    least: float = 0.0
    most: float = 1.0
    size: Size = LITTLE
    thresholds: Thresholds | None = None


KINDS = (
    Kind("equal", EQUAL, Word.FAIL, most=0.05),
    Kind("as bad as is just allowed", EDGE, Word.FAIL, most=0.05, thresholds=AT_EDGE),
    Kind("twice as slow", Version(slowness=2), Word.FAIL, least=0.98),
    Kind("lacks layers", Version(score=0.04, formats=0.5), Word.FAIL, least=0.98),
    Kind("equal, much seen", EQUAL, Word.PASS, least=0.8, size=MUCH),
)


@dataclass(frozen=True)
class Cluster:
    """Candidates whose conversations are alike in themselves, and the figure that they are too bad in."""

    name: str
    figure: Figure
    candidate: Version
    size: Size
    running: Version = FLAWLESS
    looks: int = LOOKS


CLUSTERS = (
    Cluster("3 % fail, conversations whole; 20 of 50 requests", Figure.ERRORS, Version(errors=0, broken=0.03), LONG),
    Cluster("3 % fail, conversations whole; 200 of 10", Figure.ERRORS, Version(errors=0, broken=0.03), TENS),
    Cluster("as many as is just allowed, whole; 600 of 3", Figure.ERRORS, Version(errors=0, broken=0.01), THREES),
    Cluster("… whole, and some of both versions fail as ever", Figure.ERRORS, Version(broken=0.01), MANY, EQUAL),
    Cluster("… whole, with one look; 600 of 3", Figure.ERRORS, Version(errors=0, broken=0.01), THREES, looks=1),
    Cluster("p95 as is just allowed; 20 of 10", Figure.TTFT_P95, Version(slowness=1.5), LONG),
    Cluster(
        "p95 as is just allowed; 200 of 10, with one look", Figure.TTFT_P95, Version(slowness=1.5), TENS, looks=1
    ),
)


def one() -> None:
    """Print what one verdict takes, in seconds and in seconds of CPU, and of what."""
    found = evidence(np.random.default_rng(1), EQUAL, size=LARGE)
    requests = len(found.running.requests) + len(found.candidate.requests)
    began, cpu = time.perf_counter(), time.process_time()
    decide(found)
    print(json.dumps([time.perf_counter() - began, time.process_time() - cpu, requests, LARGE.prompts]))


def measure_time(runs: int) -> bool:
    """Print how long a verdict takes; return whether that is little enough."""
    argv = [sys.executable, "-m", "benchmarks.verdict", "one"]
    samples = [json.loads(whole(argv, environment()).out) for _ in range(runs)]
    seconds, cpu = (float(median(sample[number] for sample in samples)) for number in (0, 1))
    keep("verdict", [{"seconds": sample[0], "cpu": sample[1]} for sample in samples])
    requests, pairs = samples[0][2:]
    print(f"{requests} requests, {pairs} golden pairs: {seconds:.2f} s, CPU {cpu:.2f} s, median of {runs}")
    print(f"ratio to the limit of {LIMIT:g} s: {seconds / LIMIT:.2f}")
    return seconds <= LIMIT


def measure_error(pairs: int) -> bool:
    """Print how the simulated pairs came out; return whether it is as it should be."""
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
    """Print how often a figure passes what it shouldn't; return whether that is seldom enough."""
    counts = {cluster.name: _passes(cluster, pairs) for cluster in CLUSTERS}
    keep("verdict_clustered", {"pairs": pairs, "pass": counts})
    return all(count / pairs <= ERROR for count in counts.values())


def _passes(cluster: Cluster, pairs: int) -> int:
    rng = np.random.default_rng(13)
    words = (_word(cluster, rng) for _ in range(pairs))
    count = sum(word is Word.PASS for word in words)
    print(f"{cluster.name}: {count} of {pairs} {cluster.figure} PASS", flush=True)
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
    """Print how much it takes that a canary passes which is seen to be exactly as good as the running version."""
    print(f"a canary with a golden set, {LOOKS} looks")
    alike, unlike, failing, prompts, turning = takes()
    print(
        f"errors: {alike} conversations as long as each other, {unlike} that aren't, {failing} where one in 100 fails"
    )
    print(f"golden score, valid formats: {prompts} prompts, {turning} where one in ten comes out otherwise")
    for share in (0.0, 0.002, 0.004, 0.01):
        told = ", ".join(f"{_equal(share, count):.0%} of {count:,}" for count in (1000, 1500, 2000))
        print(f"errors PASS where {share:.1%} of both versions' requests fail, simulated, by conversations: {told}")
    rng = np.random.default_rng(17)
    found = [decide(evidence(rng, EQUAL, size=SEEN), looks=LOOKS).comparisons for _ in range(20)]
    for same in zip(*found, strict=True):
        if same[0].figure.is_ratio:
            print(f"{same[0].figure}, simulated: {median(map(_would_take, same)):.0f} {same[0].figure.of}")


def _equal(share: float, conversations: int) -> float:
    """Return how often errors PASS a candidate that fails as many as the running version."""
    version, size = Version(errors=share), Size(running=3 * conversations, candidate=conversations)
    same = Cluster("equal", Figure.ERRORS, version, size, running=version)
    rng = np.random.default_rng(19)
    return sum(_word(same, rng) is Word.PASS for _ in range(50)) / 50


def _would_take(found: Comparison) -> float:
    """Return from how many it would pass, were the difference that is seen none: intervals narrow with the root."""
    if found.difference is None:
        return math.inf
    seen = harm(found.figure, found.difference, found.threshold)
    return found.candidate.clusters * ((seen.most - seen.seen) / seen.allowed) ** 2


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help="of time, error, clustered, takes; by default all")
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
