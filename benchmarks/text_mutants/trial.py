"""Run the unit tests on a mutant, in a copy of the checkout."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from benchmarks.text_mutants.mutants import Mutant

_CONTEXT = multiprocessing.get_context("forkserver")
_THEIRS = "pytest hypothesis jinja2 pydantic cryptography.x509 paramiko pyinfra.api ruamel.yaml".split()
_OURS = "remote run roles.replica.settings operations.looking operations.nftables operations.haproxy.proxy".split()
"""Nothing that has a text in it, or imports one that has."""
_CONTEXT.set_forkserver_preload([*_THEIRS, *(f"rackwright.{name}" for name in _OURS)])
_WAITING = "tests/gateway/"
"""Tests of real programs, which a busy machine can keep from answering in time."""
_SECONDS = 600
"""Tests that take longer than this hang: the mutant counts as killed."""
_times = itertools.count(1_000_000_000)
"""Times of change, none twice: Python's caches go by a file's whole seconds and size."""


@contextmanager
def copy_of(root: Path) -> Iterator[Path]:
    """Within the block a copy of the tracked files, and of new ones that Git doesn't ignore, is there."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout
    with tempfile.TemporaryDirectory(prefix="rackwright-texts-") as folder:
        for name in filter(None, names.split("\0")):
            target = Path(folder, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if (root / name).exists():
                shutil.copy2(root / name, target, follow_symlinks=False)
        # Processes that start from here on import ours from the copy.
        with contextlib.chdir(folder):
            os.environ["PYTHONPATH"] = folder
            yield Path(folder)


def killed_by(copy: Path, mutant: Mutant | None, tests: tuple[str, ...]) -> str:
    """Return the first test that fails over this mutant, or over the copy as it is; "" if none does."""
    if mutant is None:
        return _confirmed(copy, tests)
    path = copy / mutant.file
    before = path.read_bytes()
    try:
        path.write_text(mutant.text(copy))
        _touch(path)
        return _confirmed(copy, tests)
    finally:
        path.write_bytes(before)
        _touch(path)


def _confirmed(copy: Path, tests: tuple[str, ...]) -> str:
    """Return the first test that fails; one that waits for others must fail twice."""
    for _ in range(3):
        name = _failed(copy, tests)
        if not name.startswith(_WAITING) or _failed(copy, (name,)):
            return name
    return ""


def _touch(path: Path) -> None:
    os.utime(path, (time := next(_times), time))


def _failed(copy: Path, tests: tuple[str, ...]) -> str:
    mine, theirs = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_tests, args=(theirs, str(copy), tests))
    process.start()
    theirs.close()
    try:
        process.join(_SECONDS)
        if process.is_alive():
            return "hung"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
    try:
        return str(mine.recv())
    except EOFError:
        return "they ended early"


def _tests(told: Connection, copy: str, tests: tuple[str, ...]) -> None:
    """Run them in a process group of their own, whose first process this is."""
    os.setsid()
    sys.path[:] = [copy, *(place for place in sys.path if not Path(place, "pyproject.toml").exists())]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        seen = _FirstFailure()
        code = pytest.main(["-x", "-p", "no:cacheprovider", *tests], plugins=[seen])
    told.send("" if code == pytest.ExitCode.OK else seen.name or f"pytest exits with {int(code)}")


class _FirstFailure:
    name = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Iterator[None]:
        """Keep the order asked for: what fails fastest comes first, not what takes longest."""
        asked = list(items)
        yield
        items[:] = asked

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid
