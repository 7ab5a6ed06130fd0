"""Which of all mutants are tried: the same ones each time, until a line or the seed changes."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from benchmarks.mutants.mutation import Mutation
from benchmarks.mutants.python import python_mutants
from benchmarks.mutants.shell import shell_mutants
from benchmarks.mutants.targets import SEED, Target


def mutants_of(root: Path, module: str) -> list[Mutation]:
    code = (root / module).read_text()
    if module.endswith(".py"):
        return list(python_mutants(module, code))
    lines = code.splitlines(keepends=True)
    return list(shell_mutants(module, lines, range(len(lines))))


def sample(root: Path, target: Target, seed: int = SEED) -> list[Mutation]:
    """Return as many mutants as the target wants, no two of one kind at one line, in the order of the files."""
    places: dict[tuple[str, int, str], list[Mutation]] = defaultdict(list)
    for module in target.modules:
        for one in mutants_of(root, module):
            places[(module, *one.place)].append(one)
    chance = random.Random(f"{seed} {target.name}")  # noqa: S311 - a sample, no secret
    chosen = chance.sample(sorted(places), min(target.mutants, len(places)))
    return [chance.choice(places[place]) for place in sorted(chosen)]
