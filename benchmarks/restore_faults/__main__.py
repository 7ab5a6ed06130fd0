"""Restores under injected faults: `python -m benchmarks.restore_faults [SEED] [EACH]`.

EACH trials of each kind of fault (5 if not given), then 100 restores that are killed, 100 in which a program of the
host fails once, and 20 without a fault. restic, its repositories, the rest-server and the host's scripts are real; the
host's paths are folders of this machine, and systemd has a stand-in. There is no peer.

Targets: at least 200 faults of at least 20 kinds, no false success, each fault is named, at least 25 sabotages caught;
each restore that was cut off completes and can be undone; none without a fault is refused.
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

from benchmarks.measure import keep
from benchmarks.restore_faults import kills, kits, trial
from benchmarks.restore_faults.hosts import HOSTS, NETWORK, SABOTAGES
from benchmarks.restore_faults.judge import GOOD, Outcome, Verdict
from benchmarks.restore_faults.repositories import FAULTS as REPOSITORIES
from benchmarks.restore_faults.saved_host import SavedHost, saved_host
from benchmarks.restore_faults.snapshots import ASKED, BROKEN, FORGED

EACH, CUT, HEALTHY = 5, 100, 20
LEAST_FAULTS, LEAST_KINDS, LEAST_SABOTAGES = 200, 20, 25
FAULTS: Mapping[str, trial.Fault] = {**REPOSITORIES, **HOSTS, **SABOTAGES, **NETWORK, **FORGED, **BROKEN, **ASKED}
_HEALTHY = trial.Fault(lambda _: None, "")


@dataclass
class Counts:
    """What ended how, by kind."""

    outcomes: dict[str, Counter[Outcome]] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, run: Callable[[], Verdict]) -> None:
        try:
            verdict = run()
        except Exception:
            verdict = Verdict(Outcome.UNNAMED, traceback.format_exc())
        self.outcomes.setdefault(kind, Counter())[verdict.outcome] += 1
        if verdict.outcome not in GOOD:
            self.bad.append(f"{kind} ({name}): {verdict.outcome}: {verdict.why}")
            print(self.bad[-1], flush=True)

    def of(self, outcome: Outcome) -> int:
        return sum(counter[outcome] for counter in self.outcomes.values())

    def table(self) -> Iterator[str]:
        for kind, counter in self.outcomes.items():
            yield f"{kind:45} {', '.join(f'{count} {outcome}' for outcome, count in sorted(counter.items()))}"


def faults(
    hosts: list[SavedHost], new_kit: Callable[[Random], kits.KitTrial], seed: int, each: int, only: str
) -> Counts:
    counts = Counts()
    for kind, fault in FAULTS.items():
        for number in range(each) if only in kind else ():
            # A host whose repository is a folder has no network to cut.
            host = hosts[-1] if kind in NETWORK else hosts[number % len(hosts)]
            random = Random(f"{seed}/{kind}/{number}")  # noqa: S311

            def run(host: SavedHost = host, random: Random = random, fault: trial.Fault = fault) -> Verdict:
                with host.trial(random.randrange(2**30)) as bench:
                    return trial.judged(trial.Trial(host, bench, random), fault)

            counts.add(kind, f"{seed}/{number}", run)
    for kind, kit_fault in kits.FAULTS.items():
        for number in range(each) if only in kind else ():
            random = Random(f"{seed}/{kind}/{number}")  # noqa: S311
            counts.add(
                kind, f"{seed}/{number}", lambda random=random, one=kit_fault: kits.judged(new_kit(random), one)
            )  # type: ignore[misc]
    return counts


def cut_off(hosts: list[SavedHost], seed: int, count: int) -> Mapping[str, list[str]]:
    """Return what went wrong after kills, and after a program's failure."""
    seconds = [kills.seconds_of(host) for host in hosts]
    calls = [kills.calls_of(host) for host in hosts]
    found: dict[str, list[str]] = {"killed": [], "failed": []}
    for number in range(count):
        which = number % len(hosts)
        for name, run in (
            ("killed", lambda random, which=which: kills.killed(hosts[which], random, seconds[which])),
            ("failed", lambda random, which=which: kills.failed(hosts[which], random, calls[which])),
        ):
            if wrong := run(Random(f"{seed}/{name}/{number}")):  # type: ignore[no-untyped-call]  # noqa: S311
                found[name].append(f"{name} ({seed}/{number}): {wrong}")
                print(found[name][-1], flush=True)
    return found


def healthy(hosts: list[SavedHost], count: int) -> int:
    """Return how many of the restores without a fault were done, from the first repository and without a remark."""
    good = 0
    for number in range(count):
        host = hosts[number % len(hosts)]
        with host.trial(number) as bench:
            verdict = trial.judged(trial.Trial(host, bench, Random(number)), _HEALTHY)  # noqa: S311
        good += verdict.outcome is Outcome.RESTORED
    return good


def main() -> int:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else SystemRandom().randrange(10**6)
    each = int(sys.argv[2]) if len(sys.argv) > 2 else EACH
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="restore-faults-") as name, ExitStack() as stack:
        folder = Path(name)
        hosts = [stack.enter_context(saved_host(folder / one, served=one == "rest")) for one in ("path", "rest")]
        new_kit = stack.enter_context(kits.vaults(folder / "kits"))
        counts = faults(hosts, new_kit, seed, each, only)
        cuts = cut_off(hosts, seed, 0 if only else CUT)
        clean = healthy(hosts, HEALTHY)
    print("\n".join(counts.table()))
    total, false = sum(sum(one.values()) for one in counts.outcomes.values()), counts.of(Outcome.FALSE)
    caught = sum(sum(counts.outcomes.get(kind, Counter()).values()) for kind in SABOTAGES)
    print(
        f"{total} faults of {len(counts.outcomes)} kinds, {false} false successes, {len(counts.bad) - false} not named"
    )
    print(f"{caught} sabotages by a program that returns 0; {clean} of {HEALTHY} restores without a fault are clean")
    for what, wrong in cuts.items():
        print(f"{CUT} restores {what}: {CUT - len(wrong)} complete when run again, and can be undone")
    print(f"{time.monotonic() - began:.0f} s, seed {seed}")
    if only:
        return bool(counts.bad)
    keep("restore_faults", {"seed": seed, "outcomes": counts.outcomes, "bad": counts.bad, **cuts, "healthy": clean})
    enough = total >= LEAST_FAULTS and len(counts.outcomes) >= LEAST_KINDS and caught >= LEAST_SABOTAGES
    return 0 if enough and clean == HEALTHY and not (counts.bad or any(cuts.values())) else 1


if __name__ == "__main__":
    raise SystemExit(main())
