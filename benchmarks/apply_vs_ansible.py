"""An apply that finds nothing to change, compared with an ansible-core playbook for the same state of the same hosts.

Both are timed as whole processes, from start to exit, in pairs of alternating order. The script prints medians, and
the medians of the pairs' ratios, of wall-clock time and of CPU time. CPU time is the user and system time of the
process and its children. It depends little on other load on the machine.

Targets: ansible takes at least 50 times as long on one serving host (five pairs), and 100 times on eight hosts (three
pairs); rackwright's CPU time on one host is at most 0.4 s. The script also measures one host at a round trip of 20
ms, an apply with an empty question cache, and how many commands and bytes each side sends.

    python -m benchmarks.apply_vs_ansible [--pairs 5] [--pairs-of-eight 3] [--keep] [one|far|eight …]
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.fleet import GATEWAY, BenchFleet, bench_fleet, grown
from benchmarks.measure import Cost, Ran, keep, median, pairs, shown
from benchmarks.playbook_project import Playbook, Recap, project, recap
from benchmarks.wire import Carried, Wire, wire

ONE, EIGHT = ("gpu1",), (GATEWAY, *(f"gpu{number}" for number in range(1, 8)))
SETTINGS = ("one", "far", "eight")
ROUND_TRIP = 0.020
TARGETS = {"one": 50.0, "eight": 100.0}
"""Lowest ratio of wall-clock time."""
CPU = {"one": 0.4}
"""Highest CPU time of rackwright, in seconds."""


class Peers:
    """Both sides, on the same hosts, on which neither has anything to change."""

    def __init__(self, fleet: BenchFleet, hosts: tuple[str, ...], reached: dict[str, str] | None = None) -> None:
        self.fleet, self.hosts = fleet, hosts
        self._limit = ("--limit", ",".join(hosts)) if len(hosts) < len(fleet.hosts.hosts) else ()
        fleet.write(reached)
        fleet.satisfy()
        self.playbook: Playbook = project(fleet, reached)
        self.operations = self._operations()
        self.recap: Recap = recap(self.theirs_once().out)

    def ours(self, cache: Path | None = None) -> Cost:
        return self.ours_once(cache).cost

    def ours_once(self, cache: Path | None = None) -> Ran:
        return self.fleet("apply", "--yes", *self._limited, cache=cache)

    def cold(self) -> Cost:
        """Apply with an empty question cache."""
        with tempfile.TemporaryDirectory() as cache:
            return self.ours(Path(cache))

    def theirs(self) -> Cost:
        return self.theirs_once().cost

    def theirs_once(self) -> Ran:
        ran = self.playbook(*self._limit)
        assert recap(ran.out).changed == 0, ran.out
        return ran

    @property
    def _limited(self) -> tuple[str, ...]:
        return tuple(word for host in self.hosts for word in ("--limit", host)) if self._limit else ()

    def _operations(self) -> int:
        applied = self.fleet.applied(*self._limited)
        assert (applied["changed"], applied["failed"]) == (0, 0), applied
        return int(applied["unchanged"])


def measured(name: str, peers: Peers, count: int, extra: dict[str, object]) -> tuple[dict[str, object], bool]:
    """Take and print the samples of one setting; return them, and whether the targets are met."""
    taken = pairs(count, peers.ours, peers.theirs)
    cold = [peers.cold() for _ in range(count)]
    ours = median(taken.ours)
    print(f"\n{name}: {len(peers.hosts)} host(s), {count} pairs")
    tasks = f"{peers.recap.tasks} tasks and loop items, {peers.recap.skipped} skipped"
    print(f"  rackwright apply       {shown(ours)}   {peers.operations} operations, 0 changed{_most(name)}")
    print(f"  - empty cache          {shown(median(cold))}")
    print(f"  ansible-playbook       {shown(median(taken.theirs))}   {tasks}, 0 changed")
    print(f"  ratio                  {taken.ratio:8.1f}    CPU {taken.cpu_ratio:6.1f}{_least(name)}", flush=True)
    raw = {**taken.raw(), "cold": [asdict(cost) for cost in cold], **extra}
    raw |= {"operations": peers.operations, "tasks": asdict(peers.recap)}
    return raw, taken.ratio >= TARGETS.get(name, 0) and ours.cpu <= CPU.get(name, math.inf)


def _most(name: str) -> str:
    return f"   target: CPU ≤ {CPU[name]:g} s" if name in CPU else ""


def _least(name: str) -> str:
    return f"            target ≥ {TARGETS[name]:g}" if name in TARGETS else ""


def traffic(peers: Peers, between: Wire) -> dict[str, object]:
    """Print and return what one run of each side sends, and how many commands it starts on the hosts."""
    found: dict[str, object] = {}
    runs: dict[str, Callable[[], object]] = {"rackwright": peers.ours, "ansible": peers.theirs}
    # A connection that ControlPersist has kept from an earlier run would not be counted.
    _forget_connections(peers)
    for name, run in runs.items():
        before, commands = between.carried, _commands(peers.fleet)
        run()
        carried, started = between.carried.since(before), _commands(peers.fleet) - commands
        found[name] = {"commands": started, **asdict(carried)}
        print(f"  {name:12} {started:4} commands under sudo, {_carried(carried)}", flush=True)
    return found


def _carried(carried: Carried) -> str:
    return (
        f"{carried.connections} connections, "
        f"{carried.bytes_up / 1000:.0f} kB to the hosts, {carried.bytes_down / 1000:.0f} kB back"
    )


def _commands(fleet: BenchFleet) -> int:
    """Return how many commands sudo has logged on all hosts: both sides run all commands with sudo."""
    count = "journalctl -q --sync; journalctl -q _COMM=sudo -o cat | grep -c COMMAND= || true"
    return sum(int(fleet.lab.exec(host, count).out) for host in fleet.hosts.hosts)


def _forget_connections(peers: Peers) -> None:
    """End the connections that ControlPersist keeps open, by ending their sshd sessions."""
    for host in peers.fleet.hosts.hosts:
        peers.fleet.lab.exec(host, f"pkill -u {peers.fleet.hosts.user} sshd || true")


@contextmanager
def far(fleet: BenchFleet) -> Iterator[tuple[Peers, Wire]]:
    """Both sides reach the hosts at the same round trip of 20 ms."""
    with wire(fleet.hosts.hosts, ROUND_TRIP) as between:
        yield Peers(fleet, ONE, dict(between.reached)), between


def measured_all(wanted: list[str], options: argparse.Namespace) -> bool:
    """Measure each wanted setting and keep its samples; return whether all targets are met."""
    met: list[bool] = []

    def note(name: str, peers: Peers, count: int, extra: dict[str, object]) -> None:
        raw, is_met = measured(name, peers, count, extra)
        met.append(is_met)
        keep(f"apply_vs_ansible_{name}", raw)

    with bench_fleet(EIGHT if wanted == ["eight"] else (GATEWAY, *ONE), keep=options.keep) as fleet:
        if "one" in wanted:
            note("one", Peers(fleet, ONE), options.pairs, {})
        if "far" in wanted:
            with far(fleet) as (peers, between):
                sent = traffic(peers, between)
                note("far", peers, options.pairs, {"round_trip": ROUND_TRIP, "traffic": sent})
        if "eight" in wanted:
            note("eight", Peers(grown(fleet.lab, EIGHT), EIGHT), options.pairs_of_eight, {})
    return all(met)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("settings", nargs="*", help=f"{', '.join(SETTINGS)}; default: all")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--pairs-of-eight", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    options = parser.parse_args()
    if unknown := set(options.settings) - set(SETTINGS):
        parser.error(f"no such setting: {', '.join(sorted(unknown))}")
    return 0 if measured_all(options.settings or list(SETTINGS), options) else 1


if __name__ == "__main__":
    raise SystemExit(main())
