"""Commands that are stopped while they work: with Ctrl-C, or killed."""

from __future__ import annotations

import signal
import subprocess

from tests.lab.operator import read_until
from tests.times.recorder import spent


@spent("rackwright, interrupted")
def interrupted(process: subprocess.Popen[str], at: str) -> str:
    """Send Ctrl-C when the command prints `at`; it exits with 1. Return what it prints from there on."""
    read_until(process, at)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    said = process.stdout.read()
    assert process.wait(timeout=60) == 1, said
    return said


@spent("rackwright, interrupted")
def kill_when(process: subprocess.Popen[str], text: str) -> None:
    """Send SIGKILL as soon as the command prints the text."""
    read_until(process, text)
    process.kill()
    process.wait()
