"""Run pytest on chosen files, and write down which of them passed."""

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
"""pytest's exit codes when it ran all that it was given. Python's own failure is 1, too, and leaves no report."""


def run(files: Collection[HeavyFile], words: list[str]) -> int:
    """Run these files whole and return pytest's exit code."""
    # What leaves out some tests of a file would have it taken as passed: options from outside, an early end.
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    command = [sys.executable, "-m", "pytest", *words, "--maxfail=0", *(file.path for file in files)]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def run_and_record(files: Collection[HeavyFile], words: list[str], record: Record, base: str) -> int:
    """The same; the record then names the files that passed."""
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
    """Return where pytest reports to: as `words` say, else in this folder."""
    for word in words:
        if word.startswith("--junitxml="):
            return ROOT / word.partition("=")[2], words
    return folder / "junit.xml", [*words, f"--junitxml={folder / 'junit.xml'}"]
