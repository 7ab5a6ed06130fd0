"""How many requests clients lose while a fleet changes, and how long the change takes.

The openai library puts a constant load on the gateway (tests/lab/load) while one command changes two or three serving
hosts. Each request is judged by its client and looked up in the gateway's log. The engine is a stand-in that sends
tokens at a fixed pace and loads for half a minute (tests/lab/paced), or with --real the real llama-server.

Targets: no request is lost, and the command takes at most 1.2 times the unavoidable time, the sum of drain, load and
proof of each replica. `reloads` and `drain` also reload the gateway again and again while clients keep their
connections: no request may reach a drained replica.

    python -m benchmarks.rollout [restart] [reloads] [drain] [reload] [update] [rollback] [runtime] [broken]
                                 [--replicas 2] [--least 5000] [--rate 60] [--real] [--keep]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.fleet import GATEWAY, BenchFleet, bench_fleet
from benchmarks.measure import keep
from rackwright.lab import artefacts
from rackwright.lab.artefacts import Artefacts
from rackwright.roles.gateway.access_log import Access
from tests.lab.access import Drained, accesses, lost_by, reached
from tests.lab.load import Plan, loaded
from tests.lab.load.sample import Kind, Sample, counted
from tests.lab.paced import model, paced, runtime

TARGET = 1.2
LOAD, PACE = 30.0, 0.05
PROOF_TOKENS = 3 * 16
"""Sixteen at the socket, and sixteen in each of two answers through the gateway."""
# Different in each run, because a lab that was kept still has the key of the last run.
KEY = f"load-{os.getpid()}"
RELEASES = ("b10434", "b10435")
RELOAD_SECONDS = 2.0
# It has no divisor in common with the load's rhythm, so each kind of request uses each connection. At the usual rate,
# a connection is idle for three seconds between two requests, so an old worker still has many when a drain follows a
# reload.
KEPT = 100
Steps = tuple[tuple[float, str], ...]
"""Seconds since the change started, and what the command printed then."""


@dataclass(frozen=True)
class Change:
    """What happens under the load."""

    words: tuple[str, ...] = ()
    """The command; empty: `manual` is called."""
    prepare: Callable[[BenchFleet, int], None] = lambda _fleet, _round: None
    """Called before the load of each round."""
    manual: Callable[[BenchFleet], Steps] | None = None
    exits: int = 0
    reloads: bool = False
    """Whether the gateway is reloaded again and again during the change."""
    kept: int = 1
    """Number of clients that keep their connections; they send requests in turn."""


def new_model(fleet: BenchFleet, number: int, words: str = "") -> None:
    """Change the bytes of the model's source. In the real model, they are added after its last tensor."""
    path = fleet.served.model.path
    if fleet.served.runtime == artefacts.ensure(lambda _: None).runtime:
        path.write_bytes(artefacts.ensure(lambda _: None).model.path.read_bytes() + bytes(number + 1))
    else:
        model(path, words, padding=number + 1)


def one_before(fleet: BenchFleet, _number: int) -> None:
    """Make sure that the lock has a previous version."""
    if "previous:" not in fleet.path.with_suffix(".lock").read_text():
        new_model(fleet, 0)
        fleet("model", "update", "assistant", "--yes")


def new_runtime(fleet: BenchFleet, number: int) -> None:
    """Name another release in the fleet file."""
    old, new = RELEASES[number % 2], RELEASES[(number + 1) % 2]
    runtime(fleet.served.runtime.path, f"load={LOAD} pace={PACE}", new)
    text = fleet.path.read_text()
    fleet.path.write_text(text.replace(f"version: {old}", f"version: {new}"))


def reload(fleet: BenchFleet) -> Steps:
    """Reload all proxies, again and again."""
    for _ in range(20):
        for host in fleet.hosts.hosts:
            unit = "rackwright-gateway" if host == GATEWAY else "rackwright-host-proxy"
            fleet.lab.exec(host, f"systemctl reload {unit}")
        time.sleep(1)
    return ()


def drain(fleet: BenchFleet) -> Steps:
    """Drain each replica in turn just after a reload, while the old worker still has kept connections."""
    began, steps = time.time(), []
    for replica in [f"{host}/assistant@1" for host in fleet.hosts.hosts if host != GATEWAY] * 3:
        fleet.lab.exec(GATEWAY, "systemctl reload rackwright-gateway")
        fleet("drain", replica, "--reason", "bench", "--yes")
        steps.append((time.time() - began, f"{replica}  drained"))
        time.sleep(5)
        steps.append((time.time() - began, f"{replica}  undraining at every gateway"))
        fleet("undrain", replica)
    return tuple(steps)


@contextmanager
def reloading(fleet: BenchFleet, *, wanted: bool) -> Iterator[None]:
    """Within the block, reload the gateway again and again, if wanted."""
    over = threading.Event()

    def again() -> None:
        while wanted and not over.wait(RELOAD_SECONDS):
            fleet.lab.exec(GATEWAY, "systemctl reload rackwright-gateway")

    with ThreadPoolExecutor(1) as pool:
        reloads = pool.submit(again)
        try:
            yield
        finally:
            over.set()
            reloads.result()


CHANGES = {
    "restart": Change(("restart", "assistant", "--yes")),
    "reloads": Change(("restart", "assistant", "--yes"), reloads=True, kept=KEPT),
    "drain": Change(manual=drain, kept=KEPT),
    "reload": Change(manual=reload),
    "update": Change(("model", "update", "assistant", "--yes"), new_model),
    "rollback": Change(("model", "rollback", "assistant", "--yes"), one_before),
    "runtime": Change(("runtime", "update", "--yes"), new_runtime),
    "broken": Change(
        ("model", "update", "assistant", "--yes"),
        lambda fleet, number: new_model(fleet, number, "fault=refuse"),
        exits=12,
    ),
}


@dataclass(frozen=True)
class Round:
    """One change under load."""

    began: float
    """Seconds since 1970."""
    seconds: float
    unavoidable: float
    """Sum of each replica's drain, load and proof; 0 if no replica was changed or the sum isn't known."""
    steps: Steps
    samples: tuple[Sample, ...]
    lost: tuple[str, ...]
    """Including those that reached a drained replica."""
    kept: int
    """Requests over kept connections that started while a replica was drained."""

    @property
    def during(self) -> tuple[Sample, ...]:
        """Requests that were in progress at some time during the change."""
        end = self.began + self.seconds
        return tuple(one for one in self.samples if one.began < end and one.began + one.seconds > self.began)


def told(fleet: BenchFleet, change: Change) -> Steps:
    """Make the change; return the lines that the command printed, each with its time."""
    if change.manual:
        return change.manual(fleet)
    began, steps = time.time(), []
    process = subprocess.Popen(
        fleet.argv(*change.words),
        env=fleet.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        steps.append((round(time.time() - began, 3), line.rstrip()))
    assert process.wait() == change.exits, "\n".join(line for _, line in steps[-20:])
    return tuple(steps)


def measure(fleet: BenchFleet, change: Change, plan: Plan) -> Round:
    log_before = accesses(fleet.lab, (GATEWAY,), KEY)
    with loaded(replace(plan, kept=change.kept)) as load:
        began = time.time()
        with reloading(fleet, wanted=change.reloads):
            steps = told(fleet, change)
        seconds = time.time() - began
        load.stop()
        samples = load.samples
    log = {key: one for key, one in accesses(fleet.lab, (GATEWAY,), KEY).items() if key not in log_before}
    # It isn't known in advance how long a real engine loads, or how long rackwright waits for a broken one.
    least = unavoidable(began, steps, log.values()) if plan.exact and not change.exits else 0.0
    empty = list(drained(began, steps))
    lost = (*lost_by(log, samples), *reached(log.values(), empty))
    kept = sum(one.kept_alive and any(it.since < one.began < it.until for it in empty) for one in samples)
    return Round(began, seconds, least, steps, samples, lost, kept)


def drained(began: float, steps: Iterable[tuple[float, str]]) -> Iterator[Drained]:
    """Yield the times during which replicas were drained and empty: each from its act to its undrain."""
    since: dict[str, float] = {}
    for at, text in steps:
        replica, _, step = text.partition("  ")
        if step.startswith(("updating", "restarting", "drained")):
            since.setdefault(replica, began + at)
        elif step.startswith("undraining ") and replica in since:
            yield Drained(replica, since.pop(replica), began + at)
    yield from (Drained(replica, at) for replica, at in since.items())


def unavoidable(began: float, steps: Iterable[tuple[float, str]], log: Collection[Access]) -> float:
    """Return the sum of each drained replica's drain, load and proof. A drain ends when the last request that the
    replica already had ends."""
    drains = [(text.partition("  ")[0], began + at) for at, text in steps if text.endswith("  draining")]
    return sum(last_end(replica, at, log) - at + LOAD + PROOF_TOKENS * PACE for replica, at in drains)


def last_end(replica: str, at: float, log: Iterable[Access]) -> float:
    """Return the time at which the last request that the replica had at this time ended."""
    began = ((one.time.timestamp(), one) for one in log if one.replica == replica)
    return max([at, *(begun + (one.total_ms or 0) / 1000 for begun, one in began if begun <= at)])


def line(began: float, sample: Sample) -> str:
    """Return the sample as one line for raw/: start, duration, time of the first token, kind, connection, tokens, the
    version that served it (last four letters of its name), failure."""
    connection = "kept" if sample.kept_alive else "new"
    first = "-" if sample.first is None else f"{sample.first:.3f}"
    kind = sample.kind.replace(" ", "-")
    start = f"{sample.began - began:.3f} {sample.seconds:.3f} {first} {kind} {connection}"
    return f"{start} {sample.tokens} {(sample.fingerprint or '-')[-4:]} {sample.failure or 'whole'}"


def raw(rounds: list[Round]) -> list[dict[str, object]]:
    return [
        {
            "seconds": one.seconds,
            "unavoidable": one.unavoidable,
            "counted": asdict(counted(one.during)),
            "lost": one.lost,
            "kept_while_drained": one.kept,
            "steps": [f"{at:.3f} {text}" for at, text in one.steps],
            "samples": [line(one.began, sample) for sample in one.samples],
        }
        for one in rounds
    ]


def real(folder: Path) -> Artefacts:
    """Return the lab's own runtime and a copy of its model, which may be changed."""
    made = artefacts.ensure(lambda _: None)
    own = folder / "model.gguf"
    own.write_bytes(made.model.path.read_bytes())
    return replace(made, model=replace(made.model, path=own))


def plan_of(fleet: BenchFleet, folder: Path, options: argparse.Namespace) -> Plan:
    key = json.loads(fleet("--json", "key", "add", KEY, "--owner", "bench", "--concurrency", "unlimited").out)["key"]
    plan = Plan(
        gateways=(fleet.hosts.hosts[GATEWAY],),
        ca=str(fleet.path.with_suffix(".ca.crt")),
        key=key,
        samples=str(folder / "samples.jsonl"),
        rate=options.rate or (0.5 if options.real else 60),
    )
    if options.real:
        # A third of the requests are long streams, and one CPU computes all of them.
        return replace(plan, rhythm="lsc", exact=False, long_tokens=60)
    return plan


def between(steps: Iterable[tuple[float, str]]) -> float:
    """Return the seconds from the first to the last line about a replica: without the surveys before and after."""
    at = [seconds for seconds, text in steps if "/" in text.partition("  ")[0] and text.partition("  ")[2]]
    return at[-1] - at[0]


def show(name: str, rounds: list[Round]) -> bool:
    """Print the results; return whether the targets were met."""
    during = [sample for one in rounds for sample in one.during]
    asked, lost = len(during), sum(len(one.lost) for one in rounds)
    long = sum(sample.kind is Kind.LONG for sample in during)
    kept = sum(one.kept for one in rounds)
    print(f"{name:9} {len(rounds)} rounds, {asked} requests during them, {long} long streams: {lost} lost")
    print(f"          {kept} of the requests over kept connections while a replica was drained")
    for text in [text for one in rounds for text in one.lost][:10]:
        print(f"          {text}")
    if not all(one.unavoidable for one in rounds):
        return not lost
    ratios = [one.seconds / one.unavoidable for one in rounds]
    times = ", ".join(f"{one.seconds:.1f} s for {one.unavoidable:.1f} s" for one in rounds)
    within = median(between(one.steps) / one.unavoidable for one in rounds)
    print(f"          {times}: {median(ratios):.2f} times the unavoidable time")
    print(f"          from the first gate phase to the last replica's end: {within:.2f} times the unavoidable time")
    return not lost and median(ratios) <= TARGET


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("changes", nargs="*", metavar="change", help=", ".join(CHANGES))
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument(
        "--least", type=int, default=5000, help="repeat each change until so many requests were in progress during it"
    )
    parser.add_argument("--rate", type=float, help="requests per second; default: 60, or 0.5 with --real")
    parser.add_argument(
        "--real", action="store_true", help="use the real engine, at a rate that two cores can handle"
    )
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    options = parser.parse_args()
    names = options.changes or list(CHANGES)
    if unknown := set(names) - set(CHANGES):
        parser.error(f"{', '.join(sorted(unknown))}: should be among {', '.join(CHANGES)}")
    hosts = (GATEWAY, *(f"gpu{number + 1}" for number in range(options.replicas)))
    met = True
    with tempfile.TemporaryDirectory(prefix="rw-rollout-") as text:
        folder = Path(text)
        served = real(folder) if options.real else paced(folder, f"load={LOAD} pace={PACE}")
        with bench_fleet(hosts, keep=options.keep, served=served) as fleet:
            fleet.edit("parallel: 2", "parallel: 8" if options.real else "parallel: 128")
            fleet.edit("soak: 2s", "soak: 0s")
            fleet.satisfy()
            plan = plan_of(fleet, folder, options)
            for name in names:
                rounds: list[Round] = []
                while sum(len(one.during) for one in rounds) < options.least:
                    CHANGES[name].prepare(fleet, len(rounds))
                    rounds.append(measure(fleet, CHANGES[name], plan))
                    print(f"  {rounds[-1].seconds:.1f} s, {len(rounds[-1].during)} requests", file=sys.stderr)
                engine = "real" if options.real else "paced"
                at = f"_{options.rate:g}" if options.rate else ""
                keep(f"rollout_{name}_{options.replicas}_{engine}{at}", raw(rounds))
                met = show(f"{name}", rounds) and met
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
