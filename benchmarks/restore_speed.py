"""A restore of a host's state and weights, next to `restic restore` of the same weights from the same repository.

The restore starts when the operator has agreed: restic as the host's unit runs it, then every file is hashed, compared
with the lock, synced to disk, and put in place; the state is validated and switched in. The host's paths are folders of
this machine. The peer is `restic restore` alone; it syncs nothing. Both run in turn, with the same cache.

Target: at least 0.9 of the peer's speed.

    python -m benchmarks.restore_speed [--runs 3] [--mib 2048] [--folder /var/tmp]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Cost, Pairs, keep, median, pairs
from benchmarks.restore_faults.judge import not_done
from benchmarks.restore_faults.saved_host import SavedHost, saved_host
from tests.lifecycle.restore.host import Bench

LEAST = 0.9
_PIECE = 16 * 2**20


def pieces(mib: int) -> Mapping[str, tuple[int, ...]]:
    """Return weights of this size: half of it random, the other half the same bytes again, in other files."""
    each = max(1, mib * 2**20 // 8 // _PIECE)
    files = {f"part{number}.gguf": tuple(_PIECE + number * each + one for one in range(each)) for number in range(4)}
    return files | {f"same{number}.gguf": sizes for number, sizes in enumerate(files.values())}


def ours(host: SavedHost, seconds: list[float]) -> Cost:
    """Restore the host; return the cost from the operator's yes to the end. `seconds` gets that of the plan, too."""
    with host.changed(0) as bench:
        shutil.rmtree(bench.machine.restores, ignore_errors=True)
        before, began = bench.machine.files, time.perf_counter()
        agreed: list[tuple[float, float]] = []
        done = bench.restore(agreed=lambda: agreed.append((time.perf_counter(), _cpu())))
        end, cpu = time.perf_counter(), _cpu()
        wrong = not_done(host, done, host.states[done.snapshot], before, bench.machine.files)
        assert not wrong, wrong
        seconds.append(agreed[0][0] - began)
        return Cost(end - agreed[0][0], cpu - agreed[0][1], 0)


def theirs(host: SavedHost) -> Cost:
    with host.changed(0) as bench:
        target = host.work / "raw"
        began, cpu = time.perf_counter(), _cpu()
        restic = ["restic", "-q", "-r", str(bench.saved.folder("one")), "restore", f"{host.newest}:{host.weights}"]
        subprocess.run([*restic, "--target", str(target)], env=_environment(bench), check=True)
        cost = Cost(time.perf_counter() - began, _cpu() - cpu, 0)
        shutil.rmtree(target)
        return cost


def _environment(bench: Bench) -> Mapping[str, str]:
    run = bench.machine.run_folder
    return {**os.environ, "RESTIC_PASSWORD_FILE": str(run / "password"), "RESTIC_CACHE_DIR": str(run / "cache")}


def _cpu() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--folder", default="/var/tmp")
    options = parser.parse_args()
    plans: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="restore-speed-", dir=options.folder) as name,
        saved_host(Path(name) / "path", weights=pieces(options.mib), cheap=False) as host,
    ):
        (host.folder / "kept").rename(host.work)
        # The first run of each fills the cache.
        ours(host, []), theirs(host)
        taken: Pairs = pairs(options.runs, lambda: ours(host, plans), lambda: theirs(host))
    keep("restore_speed", {**taken.raw(), "mib": options.mib, "plan": plans})
    for what, costs in (("restore", taken.ours), ("restic restore", taken.theirs)):
        print(f"{what:15} {median(costs).seconds:6.2f} s  CPU {median(costs).cpu:6.2f} s")
    print(f"ratio {taken.ratio:.2f}, CPU {taken.cpu_ratio:.2f}; the plan took {sorted(plans)[len(plans) // 2]:.2f} s")
    return 0 if taken.ratio >= LEAST else 1


if __name__ == "__main__":
    raise SystemExit(main())
