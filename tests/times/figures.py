"""Where a run's time went: by worker, by file, by kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from tests.times.junit import Case, Suite


@dataclass(frozen=True)
class Worker:
    name: str
    tests: int
    before: float
    """Seconds until its first test: pytest starts and collects."""
    busy: float
    between: float
    """Seconds between its tests."""
    after: float
    """Seconds that others still worked after its last test."""


@dataclass(frozen=True)
class File:
    name: str
    tests: int
    seconds: float
    setup: float
    """Seconds of fixtures, without their teardown."""
    spent: dict[str, float]


def workers(suite: Suite) -> list[Worker]:
    """Return the workers by name; none if the file doesn't say which worker ran a test."""
    cases = _grouped((case.worker, case) for case in suite.cases if case.worker)
    last = max((_end(found) for found in cases.values()), default=0.0)
    return [_worker(name, found, suite.began, last) for name, found in sorted(cases.items())]


def alone(found: list[Worker]) -> float:
    """Return for how many seconds the last worker worked alone."""
    waited = sorted(worker.after for worker in found)
    return waited[1] if len(waited) > 1 else 0.0


def by_file(suite: Suite) -> list[File]:
    """Return the files, longest first."""
    files = [_of_file(*group) for group in _grouped((case.file, case) for case in suite.cases).items()]
    return sorted(files, key=lambda file: -file.seconds)


def by_kind(cases: Iterable[Case]) -> dict[str, float]:
    """Return the seconds by kind, the largest first."""
    total: defaultdict[str, float] = defaultdict(float)
    for kind, seconds in chain.from_iterable(case.spent.items() for case in cases):
        total[kind] += seconds
    return dict(sorted(total.items(), key=lambda entry: -entry[1]))


def slowest(suite: Suite, count: int) -> list[Case]:
    return sorted(suite.cases, key=lambda case: -case.seconds)[:count]


def _grouped(named: Iterable[tuple[str, Case]]) -> dict[str, list[Case]]:
    groups: defaultdict[str, list[Case]] = defaultdict(list)
    for name, case in named:
        groups[name].append(case)
    return dict(groups)


def _worker(name: str, cases: list[Case], began: float, last: float) -> Worker:
    first = min(start for case in cases for start, _ in case.phases.values())
    busy = sum(case.seconds for case in cases)
    end = _end(cases)
    return Worker(name, len(cases), first - began, busy, end - first - busy, last - end)


def _end(cases: list[Case]) -> float:
    return max(end for case in cases for _, end in case.phases.values())


def _of_file(name: str, cases: list[Case]) -> File:
    seconds = sum(case.seconds for case in cases)
    return File(name, len(cases), seconds, sum(case.setup_seconds for case in cases), by_kind(cases))
