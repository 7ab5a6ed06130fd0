"""How long an update of eight replicas takes with a budget of four, compared with one at a time.

Lab, load and stand-in engine are those of benchmarks/rollout.py; only `rollout.max_unavailable` differs. The peer is
the rollout itself with a budget of 1. Target: at most 0.35 times its time, and no client loses a request.

    python -m benchmarks.parallel_update [--replicas 8] [--budget 4] [--rounds 1] [--rate 20] [--keep]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.fleet import GATEWAY, BenchFleet, bench_fleet
from benchmarks.measure import keep
from benchmarks.rollout import CHANGES, LOAD, PACE, Round, between, measure, plan_of, raw
from tests.lab.paced import paced

TARGET = 0.35
SOAK = 30
"""Seconds, a quarter of the default. The first replica soaks alone; while later ones soak, others change."""


def budget(fleet: BenchFleet, now: int, wanted: int) -> None:
    """Change how many replicas may be unavailable."""
    if now != wanted:
        fleet.edit(f"max_unavailable: {now}", f"max_unavailable: {wanted}")
        fleet.satisfy()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--budget", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    options = parser.parse_args()
    options.real = False
    hosts = (GATEWAY, *(f"gpu{number + 1}" for number in range(options.replicas)))
    rounds: dict[int, list[Round]] = {1: [], options.budget: []}
    with tempfile.TemporaryDirectory(prefix="rw-parallel-") as text:
        folder = Path(text)
        with bench_fleet(hosts, keep=options.keep, served=paced(folder, f"load={LOAD} pace={PACE}")) as fleet:
            fleet.edit("parallel: 2", "parallel: 128")
            fleet.edit("soak: 2s", f"soak: {SOAK}s")
            fleet.satisfy()
            plan, now, number = plan_of(fleet, folder, options), 1, 0
            for _ in range(options.rounds):
                for wanted, measured in rounds.items():
                    budget(fleet, now, wanted)
                    CHANGES["update"].prepare(fleet, number)
                    measured.append(measure(fleet, CHANGES["update"], plan))
                    now, number = wanted, number + 1
    keep(f"parallel_update_{options.replicas}_{options.budget}", {key: raw(one) for key, one in rounds.items()})
    return show(rounds, options.budget)


def show(rounds: dict[int, list[Round]], wanted: int) -> int:
    """Print the results; return 0 if the targets were met."""
    lost = [text for measured in rounds.values() for one in measured for text in one.lost]
    asked = sum(len(one.during) for measured in rounds.values() for one in measured)
    times = {key: median(between(one.steps) for one in measured) for key, measured in rounds.items()}
    ratio = times[wanted] / times[1]
    for key, seconds in times.items():
        print(f"budget {key}: {seconds:.1f} s from the first gate phase to the last replica's end")
    print(f"{ratio:.2f} times one at a time; {asked} requests during the updates, {len(lost)} lost")
    print("\n".join(lost[:10]))
    return 0 if ratio <= TARGET and not lost else 1


if __name__ == "__main__":
    raise SystemExit(main())
