"""Run pytest in a fork that has imported what all tests need: a mutant costs its tests, but no start of Python."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Limits:
    cpu: int
    """Seconds that the child may compute: a loop without an end is one on a busy machine, too."""
    wall: float
    """Seconds until the end of a child that waits for what never comes."""


@dataclass(frozen=True)
class Ended:
    status: int | None
    """pytest's; None: it took too long."""
    output: str
    cpu: float


def in_fork(copy: Path, arguments: Sequence[str], limits: Limits, *, bytecode: bool = False) -> Ended:
    """Run pytest on a copy of the checkout; return what came of it."""
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu, limits.cpu))
            _run(copy, arguments, output.fileno(), bytecode=bytecode)
        try:
            status, cpu = _waited(child, time.monotonic() + limits.wall)
        finally:
            # What a test has started ends with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        output.seek(0)
        return Ended(status, output.read().decode(errors="replace"), cpu)


def _waited(child: int, deadline: float) -> tuple[int | None, float]:
    while True:
        found, status, used = os.wait4(child, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            return None if code < 0 else code, used.ru_utime + used.ru_stime
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            deadline = math.inf
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
