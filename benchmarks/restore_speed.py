"""A restore of a host's state and weights, next to `restic restore` of the weights from the same repository.

The restore starts when the operator has agreed: restic as the host's unit runs it; every file is hashed, synced to
disk, compared with the lock and put in place; the state is validated and switched in. The host's paths are
folders of this machine. The peer is `restic restore` alone. It hashes and syncs nothing; its time with `sync -f`
afterwards is printed as well. Both run in turn, with the same cache.

restic reads the repository at 1 Gbit/s, as from another machine (`far`), and at this machine's speed (`near`).

Target: `far`, at least 0.9 of the peer's speed. `near` has none: restic keeps all cores of a small machine busy, so
that hashing takes its share.

    python -m benchmarks.restore_speed [far] [near] [--runs 5] [--mib 2048] [--folder /var/tmp]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
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
LINKS = {"far": 122_070, "near": 0}
"""Name → most KiB per second that restic reads; 0: no limit."""
RESTIC = shutil.which("restic")
_PIECE = 16 * 2**20


def pieces(mib: int) -> Mapping[str, tuple[int, ...]]:
    """Return weights of this size: half of it random, the other half the same bytes again, in other files."""
    each = max(1, mib * 2**20 // 8 // _PIECE)
    files = {f"part{number}.gguf": tuple(_PIECE + number * each + one for one in range(each)) for number in range(4)}
    return files | {f"same{number}.gguf": sizes for number, sizes in enumerate(files.values())}


def ours(host: SavedHost, limit: int, plans: list[float]) -> Cost:
    """Restore the host; return the cost from the operator's yes to the end. `plans` gets the plan's seconds."""
    os.sync()
    with host.changed(0) as bench:
        bench.machine.program("restic", f'#!/bin/sh\nexec {RESTIC} --limit-download {limit} "$@"\n')
        shutil.rmtree(bench.machine.restores, ignore_errors=True)
        before, began = bench.machine.files, time.perf_counter()
        agreed: list[tuple[float, float]] = []
        done = bench.restore(agreed=lambda: agreed.append((time.perf_counter(), _cpu())))
        end, cpu = time.perf_counter(), _cpu()
        wrong = not_done(host, done, host.states[done.snapshot], before, bench.machine.files)
        assert not wrong, wrong
        plans.append(agreed[0][0] - began)
        return Cost(end - agreed[0][0], cpu - agreed[0][1], 0)


def theirs(host: SavedHost, limit: int, synced: list[float]) -> Cost:
    """Restore the weights with restic; return the cost. `synced` gets the seconds until they are on disk."""
    os.sync()
    with host.changed(0) as bench:
        target = host.work / "raw"
        began, cpu = time.perf_counter(), _cpu()
        restic = [str(RESTIC), "-q", "-r", str(bench.saved.folder("one")), "--limit-download", str(limit), "restore"]
        words = [f"{host.newest}:{host.weights}", "--target", str(target)]
        subprocess.run([*restic, *words], env=_environment(bench), check=True, stdout=subprocess.DEVNULL)
        cost = Cost(time.perf_counter() - began, _cpu() - cpu, 0)
        subprocess.run(["sync", "-f", str(target)], check=True)
        synced.append(time.perf_counter() - began)
        shutil.rmtree(target)
        return cost


def _environment(bench: Bench) -> Mapping[str, str]:
    run = bench.machine.run_folder
    return {**os.environ, "RESTIC_PASSWORD_FILE": str(run / "password"), "RESTIC_CACHE_DIR": str(run / "cache")}


def _cpu() -> float:
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def measured(host: SavedHost, name: str, runs: int) -> Pairs:
    limit, plans, synced = LINKS[name], list[float](), list[float]()
    # The first run of each fills the cache.
    ours(host, 0, [])
    theirs(host, 0, [])
    taken = pairs(runs, lambda: ours(host, limit, plans), lambda: theirs(host, limit, synced))
    for what, costs in (("restore", taken.ours), ("restic restore", taken.theirs)):
        print(f"{name} {what:15} {median(costs).seconds:6.2f} s  CPU {median(costs).cpu:6.2f} s")
    print(f"{name} restic restore and sync {statistics.median(synced):6.2f} s")
    print(f"{name} ratio {taken.ratio:.2f}; the plan took {statistics.median(plans):.2f} s", flush=True)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("links", nargs="*", choices=[*LINKS, []], default=[])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--folder", default="/var/tmp")  # noqa: S108 # on a disk, unlike /tmp on some machines
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="restore-speed-", dir=options.folder) as name,
        saved_host(Path(name) / "path", weights=pieces(options.mib), cheap=False) as host,
    ):
        (host.folder / "kept").rename(host.work)
        taken = {name: measured(host, name, options.runs) for name in options.links or LINKS}
    keep("restore_speed", {name: one.raw() for name, one in taken.items()} | {"mib": options.mib})
    return 1 if "far" in taken and taken["far"].ratio < LEAST else 0


if __name__ == "__main__":
    raise SystemExit(main())
