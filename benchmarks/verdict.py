"""How long a verdict takes, and how often it is wrong.

`time`: the verdict of 10,000 requests and 500 golden pairs, each run a process of its own: importing scipy is in it,
simulating the traffic isn't. Target: 5 s, the median of runs; its ratio to that is printed.

`error`: simulated pairs of each kind, with all of the product's resamples and as many looks as a canary with a golden
set has. Targets: at most 5 % FAIL of equal candidates, and of those that are as bad as is just allowed in all nine
comparisons at once; at least 98 % FAIL of those that are twice as slow, and of those that lack layers; at least 80 %
PASS of equal ones of which much was seen.

`takes`: of how many requests and prompts an equal candidate passes; docs/verdict.md has them.

    python -m benchmarks.verdict [time] [error] [takes] [--runs 7] [--pairs 1000]
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
from rackwright.verdict import Comparison, Thresholds, Word, decide
from rackwright.verdict.harm import harm
from tests.verdict.simulated import AT_EDGE, EDGE, EQUAL, Size, Version, evidence
from tests.verdict.takes import LOOKS, takes

LIMIT = 5.0
"""Seconds."""
LARGE = Size(running=3000, candidate=345, prompts=500)
"""Ten thousand requests."""
LITTLE = Size(running=150, candidate=100, prompts=150)
"""Three hundred requests of the candidate."""
MUCH = Size(running=1200, candidate=900, prompts=600)
SEEN = Size(running=1200, candidate=400, prompts=600)
"""As where the share is 25 %."""


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
    seconds, cpu = (median(sample[number] for sample in samples) for number in (0, 1))
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


def measure_takes() -> None:
    """Print how much it takes that a canary passes which is seen to be exactly as good as the running version."""
    print(f"a canary with a golden set, {LOOKS} looks")
    requests, failing, prompts, turning = takes()
    print(f"errors: {requests} requests, {failing} where one in a hundred fails")
    print(f"golden score, valid formats: {prompts} prompts, {turning} where one in ten comes out otherwise")
    rng = np.random.default_rng(17)
    found = [decide(evidence(rng, EQUAL, size=SEEN), looks=LOOKS).comparisons for _ in range(20)]
    for same in zip(*found, strict=True):
        if same[0].figure.is_ratio:
            print(f"{same[0].figure}, simulated: {median(map(_would_take, same)):.0f} {same[0].figure.of}")


def _would_take(found: Comparison) -> float:
    """Return from how many it would pass, were the difference that is seen none: intervals narrow with the root."""
    if found.difference is None:
        return math.inf
    seen = harm(found.figure, found.difference, found.threshold)
    return found.candidate.count * ((seen.most - seen.seen) / seen.allowed) ** 2


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="*", help="of time, error, takes; by default all")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--pairs", type=int, default=1000)
    options = parser.parse_args()
    if options.parts == ["one"]:
        one()
        return 0
    parts = options.parts or ["time", "error", "takes"]
    if "takes" in parts:
        measure_takes()
    met = ["time" not in parts or measure_time(options.runs), "error" not in parts or measure_error(options.pairs)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    raise SystemExit(main())
