"""Try one mutant after another in a copy of this checkout, each with the tests that should fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.mutants.fork import Limits, in_fork
from benchmarks.mutants.mutation import Mutation
from benchmarks.mutants.targets import Target

ROOT = Path(__file__).parents[2]
_OPTIONS = ("-x", "--tb=line", "-p", "no:cacheprovider", "-m", "not lab and not heavy")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Tried:
    mutation: Mutation
    outcome: str
    """killed, timeout or survived."""
    by: str
    """The first test that failed."""


@contextmanager
def copied() -> Iterator[Path]:
    """Yield a copy of what Git knows or would add here; it is gone after the block."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    with TemporaryDirectory(prefix="rackwright-mutants-") as folder:
        for name in listed.stdout.decode().split("\0"):
            if name and os.path.lexists(ROOT / name):
                Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, Path(folder, name), follow_symlinks=False)
        yield Path(folder)


def limits_of(copy: Path, target: Target) -> Limits:
    """Return how long the tests may take, by what they take on the product as it is. Fail if they don't pass."""
    began = time.monotonic()
    # It also leaves the bytecode that no mutant's run writes.
    ended = in_fork(copy, (*_OPTIONS, *target.tests), Limits(600, 1800), bytecode=True)
    assert ended.status == 0, f"the tests of {target.name} fail without a mutant\n{ended.output[-3000:]}"
    return Limits(10 + round(2 * ended.cpu), 30 + 3 * (time.monotonic() - began))


def tried(copy: Path, target: Target, mutation: Mutation, limits: Limits) -> Tried:
    """Return what the tests said of the mutant; the copy is as it was."""
    path = copy / mutation.module
    before = path.read_bytes()
    try:
        path.write_text(mutation.text)
        ended = in_fork(copy, (*_OPTIONS, *target.tests), limits)
    finally:
        path.write_bytes(before)
    if ended.status == 0:
        return Tried(mutation, "survived", "")
    failed = _FAILED.search(ended.output)
    return Tried(mutation, "timeout" if ended.status is None else "killed", failed[1] if failed else "")
