"""Commands to workers, any of which may end at any moment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.gateway.scripts import helpers
from rackwright.operations.haproxy.paths import Paths
from tests.gateway.stack import Stack

GONE = "4194305"
"""Greater than any process id of Linux."""


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Return the file with the input of a stand-in for socat, which lists one worker that has ended."""
    log, program = tmp_path / "asked", tmp_path / "bin" / "socat"
    log.touch()
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntee -a {log} | sed -n 's/^show proc$/{GONE} worker 0/p'\n")
    program.chmod(0o755)
    return log


def run(asked: Path, *argv: str, script: str | None = None) -> str:
    environment = os.environ | {"PATH": f"{asked.parent}/bin:{os.environ['PATH']}"}
    done = subprocess.run(argv, input=script, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def told(asked: Path, command: str) -> str:
    folder = str(asked.parent)
    return run(asked, "sh", "-s", script=helpers(Paths(folder, folder), folder) + command)


@pytest.mark.parametrize(
    "command",
    [
        f"worker {GONE} 'show info'",
        f"tell {GONE} 'show info'",
        f"put {GONE} keys.map key value",
        "each '' tell 'show info'",
    ],
)
def test_one_that_is_gone_is_not_asked(asked: Path, command: str) -> None:
    """The master of HAProxy 3.0.11 answers that it can't find it, and sometimes keeps the connection open then."""
    assert told(asked, f"{command}\necho went on") == "went on\n"
    assert "@!" not in asked.read_text()


def test_one_that_runs_is_asked(asked: Path) -> None:
    told(asked, "worker $$ 'show info'")
    assert asked.read_text().endswith(" show info\n")
    assert asked.read_text().startswith("@!")


def test_keys_are_loaded_without_asking_one_that_is_gone(asked: Path, stack: Stack) -> None:
    loaded = Path(stack.gateway.paths.run, "keys.loaded")
    loaded.unlink(missing_ok=True)
    run(asked, stack.gateway.proxy.script, "load_keys")
    assert loaded.exists()
    assert asked.read_text() == "show proc\n"
