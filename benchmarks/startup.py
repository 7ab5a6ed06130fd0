"""How long `rackwright --help` and `rackwright check --offline` take, compared with `ansible --version`.

The three commands run one after another. Targets: each median is at most half of ansible's. The limits for a quiet
machine, 0.25 s and 0.5 s, are only printed.

    python -m benchmarks.startup [--runs 15]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import asdict
from ipaddress import IPv4Network
from pathlib import Path

from benchmarks.fleet import BIN
from benchmarks.measure import Cost, environment, keep, median, shown, whole
from rackwright.fleet.load import load_fleet
from rackwright.lab import artefacts, fleet_file
from rackwright.lab.hosts import LabFleet

QUIET = {"help": 0.25, "check": 0.5}
SHARE = 0.5
"""Of the time that ansible takes."""


def fleet_files(folder: Path) -> Path:
    """Write a lab's fleet file and its lock; return the file's path. No host has to exist."""
    subnet = IPv4Network("10.213.0.0/24")
    hosts = {name: str(subnet[number]) for number, name in enumerate(("gate1", "gpu1", "gpu2"), 11)}
    path = folder / "startup.yml"
    lab = LabFleet("startup", hosts, folder / "id_ed25519", folder / "known_hosts", subnet)
    path.write_text(fleet_file.fleet_text(lab, artefacts.ensure(lambda _: None)))
    whole([str(BIN / "rackwright"), "-f", str(path), "lock"], environment())
    assert load_fleet(path).hosts == tuple(hosts)
    return path


def commands(fleet: Path) -> dict[str, list[str]]:
    return {
        "help": [str(BIN / "rackwright"), "--help"],
        "check": [str(BIN / "rackwright"), "-f", str(fleet), "check", "--offline"],
        "ansible": [str(BIN / "ansible"), "--version"],
    }


def measure(runs: int) -> dict[str, list[Cost]]:
    """Return the samples of each command. Every second run has the reverse order."""
    with tempfile.TemporaryDirectory() as folder:
        asked = commands(fleet_files(Path(folder)))
        samples: dict[str, list[Cost]] = {name: [] for name in asked}
        for argv in asked.values():
            # The first run writes bytecode and isn't counted.
            whole(argv, environment())
        for number in range(runs):
            for name in asked if number % 2 == 0 else reversed(asked):
                samples[name].append(whole(asked[name], environment()).cost)
    return samples


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    samples = measure(parser.parse_args().runs)
    medians = {name: median(costs) for name, costs in samples.items()}
    keep("startup", {name: [asdict(cost) for cost in costs] for name, costs in samples.items()})
    missed = False
    for name, cost in medians.items():
        share = cost.seconds / medians["ansible"].seconds
        quiet = QUIET.get(name)
        verdict = ""
        if quiet is not None:
            missed |= share > SHARE
            is_quick = "within" if cost.seconds <= quiet else "over"
            verdict = f"target ≤ {SHARE:.0%};  {is_quick} the limit of {quiet} s for a quiet machine"
        print(f"{name:8} {shown(cost)}   {share:6.1%} of ansible's   {verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
