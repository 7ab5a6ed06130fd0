"""How long a recovery drill takes, and whether it notices sabotage.

`time` runs the scenario "everything" on lab hosts: a gateway, two serving hosts and a 98 MB model are restored to
bare scratch hosts. Target: less than 4 minutes, and every drill passes.

`sabotage` recovers a gateway and a serving host once, spoils something there, and asks the drill's checks: each
sabotage must be caught. Between two of them, the sabotage is taken back and all checks must pass: no false alarm.

    python -m benchmarks.drill [time] [sabotage] [--drills 3]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.drill_sabotage import run_sabotages
from benchmarks.measure import keep
from tests.lab.drill_site import DrillSite, drill_site

TARGET_S = 240.0


@dataclass(frozen=True)
class Timed:
    """One drill."""

    seconds: float
    rto_s: float
    passed: bool
    doubts: tuple[str, ...]
    phases: tuple[tuple[str, float], ...]


def timed(site: DrillSite) -> Timed:
    """Run a drill through the command, and return how long it took."""
    began = time.monotonic()
    said = site.operator(*site.drill("--yes", "--json"), check=None, timeout=900)
    seconds = time.monotonic() - began
    document = json.loads(said.out)
    report = json.loads(Path(document["report"]).read_text())
    phases = tuple((one["name"], one["seconds"]) for one in report["facts"]["timing"]["phases"])
    return Timed(seconds, document["rto_s"] or 0.0, document["passed"], tuple(document["doubts"]), phases)


def drills(count: int) -> bool:
    """Measure drills, and return whether the target was met."""
    with (
        tempfile.TemporaryDirectory() as folder,
        drill_site("bench-drill", Path(folder), "gate1", "gpu1", "gpu2") as site,
    ):
        found = []
        for number in range(count):
            found.append(timed(site))
            one = found[-1]
            said = "passed" if one.passed else f"NOT PASSED: {'; '.join(one.doubts)}"
            print(f"drill {number + 1}: {one.seconds:.0f} s, RTO {one.rto_s:.0f} s, {said}", flush=True)
    middle = median(one.seconds for one in found)
    for name, _ in found[0].phases:
        seconds = median(dict(one.phases).get(name, 0.0) for one in found)
        print(f"  {name:<20} {seconds:6.1f} s")
    good, rto = sum(one.passed for one in found), median(one.rto_s for one in found)
    print(f"{good} of {count} drills passed; median {middle:.0f} s of {TARGET_S:.0f} s, RTO {rto:.0f} s")
    keep("drill", {"drills": [one.__dict__ for one in found]})
    return good == count and middle < TARGET_S


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["time", "sabotage"])
    parser.add_argument("--drills", type=int, default=3)
    options = parser.parse_args(arguments)
    good = True
    if "time" in options.what:
        good = drills(options.drills)
    if "sabotage" in options.what:
        with (
            tempfile.TemporaryDirectory() as folder,
            drill_site("bench-sabotage", Path(folder), "gate1", "gpu1") as site,
        ):
            good = run_sabotages(site) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
