"""The time from bare hosts to the first token: `apply` of a lab fleet, then one question through its gateway.

Bare hosts are as the lab creates them: Debian with systemd and sshd. The model, the runtime and the .deb files come
from caches on this machine, so the internet connection isn't measured. There is no peer and no target: the breakdown
by role is what matters.

    python -m benchmarks.first_token [--runs 3] [--keep]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.fleet import GATEWAY, BenchFleet, bench_fleet
from benchmarks.measure import keep
from rackwright.lab.fleet_file import DOMAIN

HOSTS = (GATEWAY, "gpu1", "gpu2")
_QUESTION = {"model": "assistant", "messages": [{"role": "user", "content": "Name three colors."}], "max_tokens": 8}


@dataclass(frozen=True)
class First:
    """One run, in seconds."""

    apply: float
    token: float
    """From the question, after apply has ended, to the first token."""
    roles: dict[str, float]
    """Each role on the host on which it took longest."""
    rest: float
    """The part of apply outside the operations of the slowest host: questions, connections, engines that load."""

    @property
    def whole(self) -> float:
        return self.apply + self.token


def measure(fleet: BenchFleet) -> First:
    """Given bare hosts, run apply and ask one question."""
    key = json.loads(fleet("--json", "key", "add", "bench", "--owner", "bench", "--later").out)["key"]
    ran = fleet("--json", "apply", "--yes", "--close-ports")
    token = first_token(fleet, key)
    steps = json.loads(ran.out)["steps"]
    busiest = max(sum(step["seconds"] for step in steps if step["host"] == host) for host in HOSTS)
    return First(ran.cost.seconds, token, by_role(steps), ran.cost.seconds - busiest)


def by_role(steps: list[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds of each role on the host on which it took longest: hosts work at the same time."""
    seconds: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for step in steps:
        seconds[step["role"]][step["host"]] += step["seconds"]
    return {role: max(hosts.values()) for role, hosts in seconds.items()}


def first_token(fleet: BenchFleet, key: str) -> float:
    """Return the seconds from a new connection to the first token of a streamed answer."""
    address, ca = fleet.hosts.hosts[GATEWAY], fleet.path.with_suffix(".ca.crt")
    argv = ["curl", "-q", "--silent", "--show-error", "--no-buffer", "--max-time", "60", "--config", "-"]
    argv += ["--cacert", str(ca), "--resolve", f"{DOMAIN}:443:{address}"]
    argv += ["--json", json.dumps({**_QUESTION, "stream": True}), f"https://{DOMAIN}/v1/chat/completions"]
    began = time.perf_counter()
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdin is not None
        assert curl.stdout is not None
        # Not in the arguments, which every user of this machine can read.
        curl.stdin.write(f'header = "Authorization: Bearer {key}"\n')
        curl.stdin.close()
        seconds = next((time.perf_counter() - began for line in curl.stdout if _is_token(line)), None)
        curl.stdout.read()
    assert seconds is not None, "no token arrived"
    return seconds


def _is_token(line: str) -> bool:
    if not line.startswith("data: {"):
        return False
    return bool(json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content"))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", action="store_true", help="leave the last run's lab running")
    options = parser.parse_args()
    taken = []
    for number in range(options.runs):
        with bench_fleet(HOSTS, keep=options.keep and number == options.runs - 1, fresh=True) as fleet:
            taken.append(measure(fleet))
    keep("first_token", [asdict(first) for first in taken])
    print(f"{len(HOSTS)} hosts, medians of {options.runs} runs")
    print(f"  first token after   {median(first.whole for first in taken):6.1f} s")
    print(f"  apply               {median(first.apply for first in taken):6.1f} s")
    for role in taken[0].roles:
        print(f"    {role:17} {median(first.roles[role] for first in taken):6.2f} s on the slowest host")
    print(f"    {'outside roles':17} {median(first.rest for first in taken):6.2f} s")
    print(f"  first answer        {median(first.token for first in taken):6.2f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
