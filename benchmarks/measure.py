"""What the scripts share: timing a whole process, pairs in alternating order, and raw samples."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

RAW = Path(__file__).parent / "raw"


@dataclass(frozen=True)
class Cost:
    """What one process and its children use, from its start to its exit."""

    seconds: float
    cpu: float
    """User and system time on this machine, in seconds, of the process and all processes that it waited for."""
    peak_mb: float
    """Largest resident size of the process or of one of its children."""


class Ran(NamedTuple):
    cost: Cost
    code: int
    out: str
    err: str


def whole(argv: Sequence[str], environment: Mapping[str, str], *, cwd: Path | None = None, expect: int = 0) -> Ran:
    """Run the program until it exits. Fail with its output unless it exits with `expect`."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment, cwd=cwd)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = code = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        cost = Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
        ran = Ran(cost, code, out.read(), err.read())
    assert code == expect, f"{' '.join(argv)} exited {code}\n{ran.out[-3000:]}\n{ran.err[-3000:]}"
    return ran


def environment(**added: str) -> dict[str, str]:
    """Return this process's environment. Both sides may write bytecode, as installed programs do."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | added


@dataclass(frozen=True)
class Pairs:
    """Samples of two sides, measured in turn: the first pair A B, the second B A, and so on."""

    ours: tuple[Cost, ...]
    theirs: tuple[Cost, ...]

    @property
    def ratio(self) -> float:
        """How many times as long theirs took: the median of the pairs."""
        return self._ratio(lambda cost: cost.seconds)

    @property
    def cpu_ratio(self) -> float:
        """How many times as much CPU time theirs took: the median of the pairs. It depends little on other load."""
        return self._ratio(lambda cost: cost.cpu)

    def _ratio(self, of: Callable[[Cost], float]) -> float:
        return statistics.median(of(theirs) / of(ours) for ours, theirs in zip(self.ours, self.theirs, strict=True))

    def raw(self) -> dict[str, object]:
        """Return the samples and both ratios."""
        return {
            "ours": [asdict(cost) for cost in self.ours],
            "theirs": [asdict(cost) for cost in self.theirs],
            "ratio": self.ratio,
            "cpu_ratio": self.cpu_ratio,
        }


def pairs(count: int, ours: Callable[[], Cost], theirs: Callable[[], Cost]) -> Pairs:
    """Run both `count` times, in turn, so that a change of the machine's caches or load affects both."""
    taken: dict[str, list[Cost]] = {"ours": [], "theirs": []}
    for number in range(count):
        order = [("ours", ours), ("theirs", theirs)]
        for name, run in order if number % 2 == 0 else reversed(order):
            taken[name].append(run())
    return Pairs(tuple(taken["ours"]), tuple(taken["theirs"]))


def median(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    return Cost(
        *(statistics.median(values) for values in zip(*(asdict(cost).values() for cost in costs), strict=True))
    )


def shown(cost: Cost) -> str:
    return f"{cost.seconds:8.2f} s  CPU {cost.cpu:6.2f} s  {cost.peak_mb:5.0f} MB"


def own_peak_mb() -> float:
    """Return the largest resident size that this process has had."""
    # ru_maxrss would count the process that this one was started by (getrusage(2)); VmHWM is in kB (proc(5)).
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1000


def keep(name: str, samples: object) -> None:
    """Write the raw samples to raw/NAME.json, with the number of cores and the load average."""
    RAW.mkdir(exist_ok=True)
    load = [round(value, 2) for value in os.getloadavg()]
    document = {"cores": os.cpu_count(), "load_at_end": load, "samples": samples}
    (RAW / f"{name}.json").write_text(json.dumps(_rounded(document), indent=1) + "\n")


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(held) for held in value]
    return value
