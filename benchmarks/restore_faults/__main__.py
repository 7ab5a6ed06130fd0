"""Restores under injected faults: `python -m benchmarks.restore_faults [SEED] [EACH] [KIND]`.

EACH trials of each kind of fault (4 if not given; of sabotages twice as many), then 100 restores that are killed, 50
in which a program of the host fails once, and 20 without a fault. KIND: only kinds with this text in their name.
restic, its repositories, the rest-server and the host's scripts are real; the host's paths are folders of this
machine, and systemd has a stand-in. There is no peer.

Targets: at least 200 faults of at least 20 kinds, no false success, each fault named, at least 25 sabotages caught;
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
from functools import partial
from pathlib import Path
from random import Random, SystemRandom

from benchmarks.measure import keep
from benchmarks.restore_faults import kills, kits, trial
from benchmarks.restore_faults.hosts import HOSTS, NETWORK, SABOTAGES
from benchmarks.restore_faults.judge import CAUGHT, GOOD, Outcome, Verdict
from benchmarks.restore_faults.repositories import FAULTS as REPOSITORIES
from benchmarks.restore_faults.saved_host import SavedHost, saved_host
from benchmarks.restore_faults.snapshots import ASKED, BROKEN, FORGED

EACH, HEALTHY = 4, 20
CUT = {"killed": 100, "failed": 50}
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
        for number in range(each * (2 if kind in SABOTAGES else 1)) if only in kind else ():
            # A host whose repository is a folder has no network to cut.
            host = hosts[-1] if kind in NETWORK else hosts[number % len(hosts)]
            random = Random(f"{seed}/{kind}/{number}")  # noqa: S311

            counts.add(kind, f"{seed}/{number}", partial(_restored, host, random, fault))
    for kind, kit_fault in kits.FAULTS.items():
        for number in range(each) if only in kind else ():
            random = Random(f"{seed}/{kind}/{number}")  # noqa: S311
            counts.add(kind, f"{seed}/{number}", partial(_fetched, new_kit, random, kit_fault))
    return counts


def _restored(host: SavedHost, random: Random, fault: trial.Fault) -> Verdict:
    with host.trial(random.randrange(2**30)) as bench:
        return trial.judged(trial.Trial(host, bench, random), fault)


def _fetched(new_kit: Callable[[Random], kits.KitTrial], random: Random, fault: kits.KitFault) -> Verdict:
    return kits.judged(new_kit(random), fault)


def cut_off(hosts: list[SavedHost], seed: int, counted: Mapping[str, int]) -> Mapping[str, list[str]]:
    """Return what went wrong after kills, and after a program's failure."""
    seconds = [kills.seconds_of(host) for host in hosts]
    calls = [kills.calls_of(host) for host in hosts]
    found: dict[str, list[str]] = {}
    for name, count in counted.items():
        found[name] = []
        for number in range(count):
            which, random = number % len(hosts), Random(f"{seed}/{name}/{number}")  # noqa: S311
            wrong = (
                kills.killed(hosts[which], random, seconds[which])
                if name == "killed"
                else kills.failed(hosts[which], random, calls[which])
            )
            if wrong:
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
        cuts = cut_off(hosts, seed, {name: count for name, count in CUT.items() if only in name})
        clean = healthy(hosts, HEALTHY)
    print("\n".join(counts.table()))
    kinds, total = len(counts.outcomes), sum(sum(one.values()) for one in counts.outcomes.values())
    false = counts.of(Outcome.FALSE)
    caught = sum(counts.outcomes.get(kind, Counter())[end] for kind in SABOTAGES for end in CAUGHT)
    print(f"{total} faults of {kinds} kinds, {false} false successes, {len(counts.bad) - false} not named")
    print(f"{caught} sabotages by a program that returns 0")
    print(f"{clean} of {HEALTHY} restores without a fault are done, without a remark")
    for what, wrong in cuts.items():
        print(f"{CUT[what]} restores {what}: {CUT[what] - len(wrong)} complete when run again, and can be undone")
    print(f"{time.monotonic() - began:.0f} s, seed {seed}")
    if only:
        return 1 if counts.bad or any(cuts.values()) else 0
    found = {"outcomes": counts.outcomes, "bad": counts.bad, "clean": clean, **cuts}
    keep("restore_faults", {"seed": seed, **found})
    enough = total >= LEAST_FAULTS and kinds >= LEAST_KINDS and caught >= LEAST_SABOTAGES
    return 0 if enough and clean == HEALTHY and not (counts.bad or any(cuts.values())) else 1


if __name__ == "__main__":
    raise SystemExit(main())
