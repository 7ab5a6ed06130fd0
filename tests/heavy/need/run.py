"""Run pytest on the chosen files, and record which of them passed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from tests.heavy.need import git
from tests.heavy.need.files import HeavyFile
from tests.heavy.need.junit import passed_files
from tests.heavy.need.record import Passed, Record, save
from tests.import_graph import ROOT

COMPLETE = (0, 1)
"""pytest's exit codes after it ran everything. A failure of Python itself is 1, too, but leaves no report."""


def run(files: Collection[HeavyFile], words: list[str]) -> int:
    """Run these files whole and return pytest's exit code."""
    # If some tests of a file didn't run, it would be recorded as passed: ignore outside options, don't stop early.
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    command = [sys.executable, "-m", "pytest", *words, "--maxfail=0", *(file.path for file in files)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def run_and_record(files: Collection[HeavyFile], words: list[str], record: Record, base: str) -> int:
    """Run these files and record those that passed."""
    at = git.head()
    with tempfile.TemporaryDirectory() as folder:
        report, words = _report(words, Path(folder))
        report.unlink(missing_ok=True)
        code = run(files, words)
        found = passed_files(report) if code in COMPLETE and report.exists() else {}
    number, today = record.number(base), datetime.now(UTC).date().isoformat()
    new = {name: Passed(number, today, at, seconds) for name, seconds in found.items()}
    if new:
        save(record.with_passed(base, new))
    print(f"Recorded as passed: {', '.join(sorted(new)) or 'nothing'}")
    return code


def _report(words: list[str], folder: Path) -> tuple[Path, list[str]]:
    """Return where pytest writes its report: the place that `words` name, or else this folder."""
    for word in words:
        if word.startswith("--junitxml="):
            return ROOT / word.partition("=")[2], words
    return folder / "junit.xml", [*words, f"--junitxml={folder / 'junit.xml'}"]
