"""The mutants of a role, and a sample of them that a seed determines."""

from __future__ import annotations

import itertools
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.text_mutants.operators import changes
from benchmarks.text_mutants.places import places
from benchmarks.text_mutants.roles import Role


@dataclass(frozen=True)
class Mutant:
    role: str
    file: str
    line: int
    kind: str
    old: str
    new: str

    def text(self, root: Path) -> str:
        """Return the whole file with this mutant in it."""
        lines = (root / self.file).read_text().splitlines(keepends=True)
        lines[self.line - 1] = f"{self.new}\n" if self.new else ""
        return "".join(lines)

    def parses(self, root: Path) -> bool:
        """Whether a shell reads it; what only a broken script has says nothing about tests."""
        if not self.file.endswith(".sh"):
            return True
        return subprocess.run(["sh", "-n"], input=self.text(root).encode(), capture_output=True).returncode == 0


def mutants(root: Path, role: Role) -> list[Mutant]:
    """Return every mutant of the role's texts."""
    files = sorted(path for pattern in role.texts for path in root.glob(pattern) if path.is_file())
    return [
        Mutant(role.name, str(path.relative_to(root)), place.number, change.kind, place.text, change.new)
        for path in files
        for place in places(path)
        for change in changes(place, script=".sh" in path.suffixes)
    ]


def sampled(root: Path, role: Role, seed: int) -> list[Mutant]:
    """Return as many of the role's mutants as it asks for, in their order, the same ones for the same seed."""
    found = mutants(root, role)
    shuffled = random.Random(seed).sample(range(len(found)), len(found))  # noqa: S311 no secret
    chosen = itertools.islice((index for index in shuffled if found[index].parses(root)), role.sample)
    return [found[index] for index in sorted(chosen)]
