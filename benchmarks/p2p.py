"""How long peer-to-peer transfer takes to copy weights to four hosts, compared with rsync to one host.

One host has the files, four others get them. The bandwidth of each host is limited in both directions (tc tbf). The
base is rsync over ssh to one host, which then hashes the files. The same run measures:

- rsync: rsync to all four hosts, one after another and all at once
- well, dead, slow, killed: peer-to-peer transfer with all hosts well, with one host that is switched off when it has
  40 % of the data, with one host at a quarter of the bandwidth, and with one host whose process is killed at 50 %
- memory: the peak memory of the controller's process, for 100 MB and for all of the data

The time ends when every host without a problem (in `killed`, every host) has all files, hashed. It includes the start
of the units.

Targets: at most 1.15 times the time to one host; 1.3 times with a dead host; 1.4 times with a slow one.

    python -m benchmarks.p2p [rsync] [well] [dead] [slow] [killed] [memory] [--runs 1] [--megabytes 1000]
                                 [--link 200] [--keep]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.measure import environment, keep, whole
from benchmarks.p2p_hosts import FIRST, FOLDER, HOSTS, KEY, Shaped, shaped_hosts

BARS = {"well": 1.15, "dead": 1.3, "slow": 1.4}
DEAD, SLOW, KILLED = "gpu2", "gpu3", "gpu2"
PARTS = ("rsync", "well", "dead", "slow", "killed", "memory")


@dataclass
class Listener:
    """Note when each host has all files. Call `at` once, when `host` has this share of the data."""

    host: str = ""
    share: float = 2
    at: Callable[[], object] | None = None
    began: float = field(default_factory=time.monotonic)
    arrived: dict[str, float] = field(default_factory=dict)

    def say(self, text: str) -> None:
        host, _, said = text.partition(": ")
        if said.endswith("has arrived"):
            self.arrived[host] = time.monotonic() - self.began

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None:
        del what, rate
        if self.at and host == self.host and done >= self.share * total:
            act, self.at = self.at, None
            act()


def rsync(hosts: Shaped, to: str) -> None:
    """Copy the files to the host, and hash them there."""
    address = hosts.fleet.hosts[to]
    ssh = f"ssh -i {KEY} -o StrictHostKeyChecking=no -o Compression=no"
    hosts.lab.exec(FIRST, f"rsync -r --whole-file -e '{ssh}' {FOLDER}/ ops@{address}:bench/", timeout=3600)
    hosts.lab.exec(to, "cd /home/ops/bench && sha256sum part-*", timeout=600)


def one(hosts: Shaped) -> float:
    return timed(hosts, lambda: rsync(hosts, HOSTS[0]))


def one_after_another(hosts: Shaped) -> float:
    def run() -> None:
        for host in HOSTS:
            rsync(hosts, host)

    return timed(hosts, run)


def all_at_once(hosts: Shaped) -> float:
    def run() -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda host: rsync(hosts, host), HOSTS))

    return timed(hosts, run)


def timed(hosts: Shaped, work: Callable[[], object]) -> float:
    hosts.forget()
    began = time.monotonic()
    work()
    return time.monotonic() - began


def transferred(hosts: Shaped, listener: Listener | None = None, *, except_for: str = "") -> float:
    """Return the seconds until each host, except `except_for`, has the files, hashed."""
    from rackwright.lifecycle.p2p.procedure import transfer
    from rackwright.remote import Remote

    hosts.forget()
    listener = listener or Listener()
    with tempfile.TemporaryDirectory() as folder, Remote(hosts.targets()) as remote:
        for host in hosts.fleet.hosts:
            remote.connection(host).open()
        session = hosts.session(remote, Path(folder), HOSTS)
        listener.began = time.monotonic()
        (done,) = transfer(session, session.hosts, listener, lambda: False, lambda _: False)  # type: ignore[arg-type]
    well = [host for host in HOSTS if host != except_for]
    assert not set(well) & set(done.failed), done.failed
    assert all(hosts.whole(host) for host in well)
    return max(listener.arrived[host] for host in well)


def dead(hosts: Shaped, link: float) -> float:
    listener = Listener(DEAD, 0.4, lambda: hosts.lab.kill(DEAD))
    try:
        return transferred(hosts, listener, except_for=DEAD)
    finally:
        hosts.lab.start(DEAD)
        hosts.shape(DEAD, link)


def slow(hosts: Shaped, link: float) -> float:
    hosts.shape(SLOW, link / 4)
    try:
        return transferred(hosts, except_for=SLOW)
    finally:
        hosts.shape(SLOW, link)


def killed(hosts: Shaped) -> float:
    kill = "systemctl kill --signal=KILL rackwright-p2p.service"
    return transferred(hosts, Listener(KILLED, 0.5, lambda: hosts.lab.exec(KILLED, kill)))


def measured(hosts: Shaped, parts: list[str], link: float) -> dict[str, float]:
    """Return the seconds of each part, the base first."""
    found = {"one": one(hosts)}
    if "rsync" in parts:
        found |= {"rsync one after another": one_after_another(hosts), "rsync all at once": all_at_once(hosts)}
    works: dict[str, Callable[[], float]] = {
        "well": lambda: transferred(hosts),
        "dead": lambda: dead(hosts, link),
        "slow": lambda: slow(hosts, link),
        "killed": lambda: killed(hosts),
    }
    return found | {name: work() for name, work in works.items() if name in parts}


def memory(parts: list[str], megabytes: int) -> dict[str, float]:
    """Return the peak memory in MB of a controller's process that transfers 100 MB, and of one that transfers all."""
    if "memory" not in parts:
        return {}
    import sys

    found = {}
    for size in (100, megabytes):
        words = [sys.executable, "-m", "benchmarks.p2p", "well", "--megabytes", str(size), "--only-peak"]
        found[f"{size} MB"] = float(whole(words, environment()).out.split()[-1])
    return found


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--link", type=float, default=200, metavar="MBIT")
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    parser.add_argument("--only-peak", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    options = asked()
    parts = options.parts or list(PARTS)
    if options.only_peak:
        with shaped_hosts(options.megabytes, options.link, keep=True) as hosts:
            transferred(hosts)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    with shaped_hosts(options.megabytes, options.link, keep=options.keep) as hosts:
        runs = []
        for _ in range(options.runs):
            runs.append(measured(hosts, parts, options.link))
            print({name: round(seconds, 1) for name, seconds in runs[-1].items()}, flush=True)
        peaks = memory(parts, options.megabytes)
    keep(
        "_".join(("p2p", *options.parts)),
        {"megabytes": options.megabytes, "mbit": options.link, "seconds": runs, "peak_mb": peaks},
    )
    return told(runs, peaks)


def told(runs: list[dict[str, float]], peaks: dict[str, float]) -> int:
    """Print medians, and their ratios to rsync to one host; return 1 if a target is missed."""
    missed = 0
    for name in runs[0]:
        ratio = median(run[name] / run["one"] for run in runs)
        bar = BARS.get(name)
        missed += bar is not None and ratio > bar
        target = f"  target {bar}{' MISSED' if ratio > bar else ''}" if bar else ""
        print(f"{name:24} {median(run[name] for run in runs):7.1f} s  {ratio:5.2f} times one host{target}")
    for name, peak in peaks.items():
        print(f"controller, {name:12} {peak:7.0f} MB")
    return int(missed > 0)


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    raise SystemExit(main())
