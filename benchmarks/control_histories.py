"""Check random histories of the store in etcd: `python -m benchmarks.control_histories [COUNT] [SEED] [AT_ONCE]`.

Three clients take the lease and write while real members are killed, frozen and started again, leases expire, and
commands and answers get lost or arrive late. Each history must fit the model of tests/state/histories.py: one holder
at a time, tokens that grow, no acknowledged write lost, no refused one there, no entry twice, and their order kept.
Most of a history is waiting, so one runs for each core, with members of its own. On a machine that is too busy,
clients get little done, and histories show little: then the script fails, too. It stops with an error at the first
history that doesn't fit. There is no peer.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.etcd_cluster import Cluster
from tests.state.histories import lived, wrong

COUNT = 1000
AT_ONCE = os.cpu_count() or 1
LEAST_ENTRIES = 2
"""How many entries must be acknowledged in a history on average."""
_cluster: list[Cluster] = []
"""The one of this process."""


@dataclass(frozen=True)
class Checked:
    """What became of one history."""

    seed: int
    seen: Counter[str]
    """Operations, by kind and end."""
    found: tuple[str, ...]
    """What doesn't fit."""


def main() -> int:
    words = [int(word) for word in sys.argv[1:]]
    count, *words = words or [COUNT]
    start, *words = words or [random.SystemRandom().randrange(10**6)]
    at_once = words[0] if words else AT_ONCE
    began, seen = time.monotonic(), Counter[str]()
    for checked in _checked(range(start, start + count), at_once):
        seen.update(checked.seen)
        if checked.found:
            print(f"seed {checked.seed}:", *checked.found, sep="\n  ")
            return 1
    print(f"{count} histories from seed {start} in {time.monotonic() - began:.0f} s, {at_once} at once")
    print(", ".join(f"{number} {what}" for what, number in sorted(seen.items())))
    print("0 failures")
    if seen["append done"] >= LEAST_ENTRIES * count:
        return 0
    print(f"fewer than {LEAST_ENTRIES} entries in a history: this machine is too busy for {at_once} at once")
    return 1


def _checked(seeds: range, at_once: int) -> Iterator[Checked]:
    """Yield each history as soon as it ends."""
    with tempfile.TemporaryDirectory(prefix="rw-") as folder:
        # Forked processes would all choose the same ports.
        pool = ProcessPoolExecutor(at_once, get_context("spawn"), initializer=_start, initargs=(folder,))
        try:
            yield from (job.result() for job in as_completed([pool.submit(_check, seed) for seed in seeds]))
        finally:
            pool.shutdown(cancel_futures=True)


def _start(folder: str) -> None:
    """Start the members of this process, which end with it."""
    cluster = Cluster(Path(tempfile.mkdtemp(dir=folder)))
    cluster.whole()
    _cluster.append(cluster)


def _check(seed: int) -> Checked:
    try:
        history = lived(_cluster[0], seed)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    seen = Counter(f"{one.kind} {one.end}" for one in history.operations)
    return Checked(seed, seen, tuple(wrong(history)))


if __name__ == "__main__":
    raise SystemExit(main())
