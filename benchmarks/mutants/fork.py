"""pytest in a child that has imported what all tests need: a mutant costs its tests, and not a start of Python."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

_WARM = (
    "click cryptography.x509 httpx2 hypothesis jinja2 jsonschema numpy paramiko pydantic pyinfra.api requests rich "
    "ruamel.yaml scipy.stats testinfra xdist"
)
"""None of them is ours: that is imported in the child, mutated."""
_LOOK_SECONDS = 0.02


def warm() -> None:
    for name in _WARM.split():
        importlib.import_module(name)


def in_fork(
    copy: Path, arguments: Sequence[str], *, seconds: float, bytecode: bool = False
) -> tuple[int | None, str]:
    """Run pytest on a copy of the checkout; return its status, None: it took too long, and what it printed."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            _run(copy, arguments, output.fileno(), bytecode=bytecode)
        try:
            status = _ended(child, time.monotonic() + seconds)
        finally:
            # What a test has started ends with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        output.seek(0)
        return status, output.read().decode(errors="replace")


def _ended(child: int, deadline: float) -> int | None:
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(_LOOK_SECONDS)


def _run(copy: Path, arguments: Sequence[str], output: int, *, bytecode: bool) -> NoReturn:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for stream in (1, 2):
            os.dup2(output, stream)
        here = Path.cwd()
        os.chdir(copy)
        sys.path[:] = [str(copy), *(path for path in sys.path if path and Path(path) != here)]
        for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
            del sys.modules[name]
        os.environ["PYTHONPATH"] = str(copy)
        # Two mutants of one second would else share a file of bytecode.
        sys.dont_write_bytecode = not bytecode
        status = int(pytest.main([*arguments]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
