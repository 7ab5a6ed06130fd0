"""How many wrong lines the unit tests find.

A mutant is one small change of rackwright in a copy of this checkout. The tests that `targets.py` lists for its
module should fail. A seed determines the sample of mutants; those in `named.py` are tried every time. A survivor
needs a line in `explained.tsv`. The command exits with 1 if less than 90 % are killed, or if a survivor has no
explanation.

`--seed` tries other mutants, `--each` of each target. Tests were written for the survivors of the recorded sample, so
only other mutants show how many mistakes the tests still miss. The results are printed and not kept.

    python -m benchmarks.mutants [TARGET …] [--again] [--list] [--seed 30] [--each 6]
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.mutants.fork import warm
from benchmarks.mutants.mutation import Mutation
from benchmarks.mutants.named import named
from benchmarks.mutants.result import Row, again, missed, read, show, tried_row, write
from benchmarks.mutants.sample import sample
from benchmarks.mutants.targets import SEED, TARGETS, Target
from benchmarks.mutants.trial import ROOT, Tried, copied, limits_of, tried


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", choices=[[], *(target.name for target in TARGETS)])
    parser.add_argument("--again", action="store_true", help="try only mutants that survived last time, and new ones")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--each", type=int, default=6, help="number of mutants of each target, with another seed")
    parser.add_argument("--list", action="store_true", help="show the mutants without running a test")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    warm()
    targets = [target for target in TARGETS if not wanted.target or target.name in wanted.target]
    if wanted.seed != SEED:
        show({target.name: _others(target, wanted.seed, wanted.each) for target in targets})
        return 0
    for target in targets:
        mutants = [*named(ROOT, target), *sample(ROOT, target)]
        if wanted.list:
            _list(mutants)
        else:
            _try(target, mutants, again_only=wanted.again)
    results = read()
    show(results)
    return 0 if wanted.list or not missed(results) else 1


def _list(mutants: list[Mutation]) -> None:
    for one in mutants:
        print(f"{one.module}:{one.line} {one.kind}: {one.was!r} -> {one.becomes!r}")


def _try(target: Target, mutants: list[Mutation], *, again_only: bool) -> None:
    """Keep each result at once, so that --again can continue an interrupted run."""
    due, kept = again(target, mutants) if again_only else (mutants, [])
    for one in _run(target, due):
        kept.append(one)
        write(target, sorted(kept, key=lambda one: (one.mutation.module, one.mutation.line, one.mutation.kind)))


def _others(target: Target, seed: int, count: int) -> list[Row]:
    return [tried_row(one) for one in _run(target, sample(ROOT, replace(target, mutants=count), seed))]


def _run(target: Target, mutants: list[Mutation]) -> Iterator[Tried]:
    if not mutants:
        return
    with copied() as copy:
        limits = limits_of(copy, target)
        for one in mutants:
            done = tried(copy, target, one, limits)
            print(f"{done.outcome:8} {one.module}:{one.line} {one.kind} {one.becomes!r} {done.by}", flush=True)
            yield done


if __name__ == "__main__":
    sys.exit(main())
