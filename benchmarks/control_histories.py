"""Check random histories of the store in etcd: `python -m benchmarks.control_histories [COUNT] [SEED]`.

Three clients take the lease and write while real members are killed, frozen and started again, leases expire, and
commands and answers get lost or arrive late. Each history must fit the model of tests/state/histories.py: one holder
at a time, tokens that grow, no acknowledged write lost, no refused one there, no entry twice, and their order kept.
The script stops with an error at the first one that doesn't. There is no peer.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.etcd_cluster import cluster_in
from tests.state.histories import lived, wrong

COUNT = 1000


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    start = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**6)
    began, seen = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="rw-") as name, cluster_in(Path(name)) as cluster:
        for seed in range(start, start + count):
            history = lived(cluster, seed)
            seen.update(f"{one.kind} {one.end}" for one in history.operations)
            if found := wrong(history):
                print(f"seed {seed}:", *found, sep="\n  ")
                return 1
    print(f"{count} histories from seed {start} in {time.monotonic() - began:.0f} s")
    print(", ".join(f"{number} {what}" for what, number in sorted(seen.items())))
    print("0 failures")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
