"""How the controller's CPU time and memory grow with the number of hosts: one plan of 1, 8, 32 and 128 hosts.

The hosts are a few lab hosts that answer at many addresses. To the controller, each address is a host with its own
connection, questions and steps. The time that the lab hosts need isn't counted. One more host is the control host and
the gateway; it isn't in the plan.

Targets: CPU time and peak memory per host rise by at most 15 % from 8 hosts to 128. So does the cost of each
additional host, from the step between 8 and 32 hosts to the step between 32 and 128.

    python -m benchmarks.growth [--runs 3] [--keep]
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from statistics import median

from benchmarks.fleet import GATEWAY, BenchFleet, bench_fleet
from benchmarks.measure import Cost, keep
from rackwright.lab.hosts import LabFleet
from tests.lab.sshd import RELOAD

COUNTS = (1, 8, 32, 128)
SERVING = ("gpu1", "gpu2", "gpu3")
TOLERANCE = 1.15
# One sshd represents about forty hosts, so it must accept as many logins at once as they would.
_MANY_LOGINS = "echo 'MaxStartups 500' >/etc/ssh/sshd_config.d/10-bench.conf" + RELOAD


@dataclass(frozen=True)
class Point:
    """Medians for one number of hosts."""

    hosts: int
    cpu: float
    peak_mb: float


def spread(fleet: BenchFleet, count: int) -> BenchFleet:
    """Return a fleet with `count` serving hosts. Each lab host gets the addresses of those that it represents."""
    hosts, keys = {GATEWAY: fleet.hosts.hosts[GATEWAY]}, fleet.hosts.known_hosts.read_text().splitlines()
    key_of = {line.split()[0]: line.partition(" ")[2] for line in keys}
    for number in range(count):
        real = SERVING[number % len(SERVING)]
        address = str(fleet.hosts.subnet[100 + number])
        fleet.lab.exec(real, f"ip -4 address show to {address} | grep -q . || ip address add {address}/24 dev eth0")
        hosts[f"gpu{number + 1}"] = address
        key_of[address] = key_of[fleet.hosts.hosts[real]]
    pins = fleet.folder / "spread.known_hosts"
    pins.parent.mkdir(parents=True, exist_ok=True)
    pins.write_text("".join(f"{address} {key}\n" for address, key in key_of.items()))
    spread_hosts: LabFleet = replace(fleet.hosts, hosts=hosts, known_hosts=pins)
    return BenchFleet(fleet.lab, spread_hosts, fleet.served)


def measure(fleet: BenchFleet, count: int, runs: int) -> list[Cost]:
    """Return the cost of each run of the plan, without the first, which fills the question cache."""
    wide = spread(fleet, count)
    wide.write()
    names = [host for host in wide.hosts.hosts if host != GATEWAY]
    limits = [word for name in names for word in ("--limit", name)]
    return [wide("plan", *limits).cost for _ in range(runs + 1)][1:]


def point(count: int, costs: list[Cost]) -> Point:
    return Point(count, median(cost.cpu for cost in costs), median(cost.peak_mb for cost in costs))


def rises(points: list[Point]) -> list[str]:
    """Return what rises with the number of hosts, in words."""
    found = []
    eight, most = points[1], points[-1]
    further = [_further(one, other) for one, other in pairwise(points)]
    for what in ("cpu", "peak_mb"):
        if getattr(most, what) / most.hosts > getattr(eight, what) / eight.hosts * TOLERANCE:
            found.append(f"{what} per host: {eight.hosts} → {most.hosts}")
        if getattr(further[-1], what) > getattr(further[-2], what) * TOLERANCE:
            found.append(f"{what} per additional host")
    return found


def _further(one: Point, other: Point) -> Point:
    """Return the cost of each additional host between two points."""
    added = other.hosts - one.hosts
    return Point(added, (other.cpu - one.cpu) / added, (other.peak_mb - one.peak_mb) / added)


def table(points: list[Point]) -> str:
    lines = ["hosts   CPU s   ms/host   ms/added    peak MB   MB/host   MB/added"]
    for one, other in pairwise([Point(0, 0.0, 0.0), *points]):
        further = _further(one, other) if one.hosts else None
        more = (f"{further.cpu * 1000:10.1f}", f"{further.peak_mb:10.2f}") if further else ("-".rjust(10),) * 2
        lines.append(
            f"{other.hosts:5}  {other.cpu:6.2f}  {other.cpu / other.hosts * 1000:8.1f}   {more[0]}"
            f"   {other.peak_mb:8.1f}  {other.peak_mb / other.hosts:8.2f}   {more[1]}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    options = parser.parse_args()
    with bench_fleet((GATEWAY, *SERVING), keep=options.keep, fresh=True) as fleet:
        fleet.satisfy()
        for host in SERVING:
            fleet.lab.exec(host, _MANY_LOGINS)
        samples = {count: measure(fleet, count, options.runs) for count in COUNTS}
    keep("growth", {str(count): [asdict(cost) for cost in costs] for count, costs in samples.items()})
    points = [point(count, costs) for count, costs in samples.items()]
    print(table(points))
    risen = rises(points)
    print(f"rises by more than {TOLERANCE - 1:.0%}: {', '.join(risen) or 'nothing'}")
    return 1 if risen else 0


if __name__ == "__main__":
    raise SystemExit(main())
