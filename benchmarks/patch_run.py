"""How much of a patch run is not the work itself: drain, installation, boot, load and proof of each host.

Hosts of the lab serve with a stand-in engine that loads for 30 s. Each gets one small package that asks for a reboot,
one host at a time. Times are those of the journal, in whole seconds. There is no peer: the parts are the run's own.
Target: the run takes at most 1.2 times the sum of its parts; the soak, which only waits, is left out.

    python -m benchmarks.patch_run [--hosts 3] [--rounds 2] [--keep]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.fleet import GATEWAY, BenchFleet, bench_fleet
from benchmarks.measure import keep
from benchmarks.rollout import LOAD, PACE
from tests.lab.paced import paced
from tests.lab.small_archive import SmallPackage, archive

TARGET = 1.2
PARTS = (("drain", "drain", "act"), ("install and boot", "act", "prove"), ("load and proof", "prove", "commit"))
"""Name, first phase, the phase that ends it."""
_ASKS = "touch /run/reboot-required"
_INSTALLED = "apt-get -qq update; apt-get -qq -y install small-tool >/dev/null 2>&1"


def publish(fleet: BenchFleet, hosts: tuple[str, ...], version: str) -> None:
    text = archive(SmallPackage("small-tool", version, scripts={"postinst": _ASKS}))
    for host in hosts:
        fleet.lab.exec(host, f"cat >/tmp/script <<'EOF'\n{text}\nEOF\nsh /tmp/script; rm /tmp/script")


def measured(fleet: BenchFleet, hosts: tuple[str, ...]) -> dict[str, float]:
    """Patch the hosts; return the seconds of each part, of all hosts together, and of the whole command."""
    ran = fleet("patch", "run", "--yes", *(word for host in hosts for word in ("-l", host)))
    lines = [json.loads(line) for line in fleet.lab.exec(GATEWAY, _JOURNAL).out.splitlines()]
    last = [line for line in lines if line["rollout"] == lines[-1]["rollout"]]
    seconds = {name: sum(_between(last, host, first, end) for host in hosts) for name, first, end in PARTS}
    soaked = sum(_between(last, host, "soak", "done") for host in hosts)
    return {**seconds, "soak": soaked, "command": ran.cost.seconds}


_JOURNAL = "cat /var/lib/rackwright/control/journal"


def _between(lines: list[dict[str, Any]], host: str, first: str, end: str) -> float:
    times = {
        line["phase"]: datetime.fromisoformat(line["time"]) for line in reversed(lines) if line["subject"] == host
    }
    return (times[end] - times[first]).total_seconds()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    options = parser.parse_args()
    hosts = tuple(f"gpu{number + 1}" for number in range(options.hosts))
    with tempfile.TemporaryDirectory(prefix="rw-patch-") as text:
        served = paced(Path(text), f"load={LOAD} pace={PACE}")
        with bench_fleet((GATEWAY, *hosts), keep=options.keep, served=served) as fleet:
            fleet.path.write_text(f"{fleet.path.read_text()}\npatch: {{}}\n")
            fleet("lock")
            fleet.satisfy()
            publish(fleet, hosts, "1")
            for host in hosts:
                fleet.lab.exec(host, _INSTALLED)
            for host in (GATEWAY, *hosts):
                fleet("backup", "run", host)
            found = []
            for number in range(options.rounds):
                publish(fleet, hosts, str(number + 2))
                found.append(measured(fleet, hosts))
    keep(f"patch_run_{options.hosts}", found)
    return show(found)


def show(found: list[dict[str, float]]) -> int:
    """Print the medians; return 0 if the target was met."""
    for name in found[0]:
        print(f"{name}: {median(one[name] for one in found):.1f} s")
    ratio = median((one["command"] - one["soak"]) / sum(one[name] for name, *_ in PARTS) for one in found)
    print(f"{ratio:.2f} times the sum of its parts, without the soak; target {TARGET}")
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
