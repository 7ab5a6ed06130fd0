"""One mutant after another in a copy of this checkout, each with the tests that should notice it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cosmic_ray.testing import run_tests
from cosmic_ray.work_item import TestOutcome

from benchmarks.mutants.mutation import Mutation
from benchmarks.mutants.targets import Target

ROOT = Path(__file__).parents[2]
_TESTS = (sys.executable, "-m", "pytest", "-x", "--tb=line", "-p", "no:cacheprovider", "-m", "not lab and not heavy")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Tried:
    mutation: Mutation
    outcome: str
    """killed, timeout or survived."""
    by: str
    """The first test that failed."""


@contextmanager
def copied() -> Iterator[Path]:
    """Yield a copy of what Git knows or would add here. Within the block it is the working directory."""
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
        before = Path.cwd()
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def environment(copy: Path) -> dict[str, str]:
    """The copy is what is imported, by tests and by what they start."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPATH": str(copy)}


def seconds_unchanged(copy: Path, target: Target) -> float:
    """Return how long the tests take on the product as it is. Fail if they don't pass."""
    began = time.monotonic()
    # It also leaves the bytecode that no mutant's run writes.
    done = subprocess.run((*_TESTS, *target.tests), cwd=copy, env=environment(copy), capture_output=True, text=True)
    assert done.returncode == 0, f"the tests of {target.name} fail without a mutant\n{done.stdout[-3000:]}"
    return time.monotonic() - began


def tried(copy: Path, target: Target, mutation: Mutation, seconds: float) -> Tried:
    """Return what the tests said of the mutant; the copy is as it was."""
    path = copy / mutation.module
    before = path.read_bytes()
    os.environ["PYTHONPATH"] = str(copy)
    try:
        path.write_text(mutation.text)
        outcome, output = run_tests(" ".join((*_TESTS[:-1], repr(_TESTS[-1]), *target.tests)), seconds)
    finally:
        path.write_bytes(before)
    if outcome is TestOutcome.SURVIVED:
        return Tried(mutation, "survived", "")
    failed = _FAILED.search(output)
    return Tried(mutation, "timeout" if output == "timeout" else "killed", failed[1] if failed else "")
