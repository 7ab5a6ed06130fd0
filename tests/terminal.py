"""A command at a pseudo-terminal, like an operator's: its questions are read and answered there."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class Terminal:
    """A process whose standard streams are one terminal, and the text that it has shown there."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.shown = ""
        self._descriptor = descriptor

    def read_until(self, text: str, *, times: int = 1, seconds: float = 120) -> None:
        """Return when the terminal has shown the text this many times."""
        deadline = time.monotonic() + seconds
        while self.shown.count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} in {seconds} s:\n{self.shown}"
            assert self._read(1) or self.shown.count(text) >= times, f"it ended without {text!r}:\n{self.shown}"

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def end(self, seconds: float = 120) -> int:
        """Return its exit status after it has ended; `shown` is then complete."""
        deadline = time.monotonic() + seconds
        while self._read(1):
            assert time.monotonic() < deadline, f"it goes on:\n{self.shown}"
        return self.process.wait(seconds)

    def _read(self, seconds: float) -> bool:
        """Read the available output, waiting this long. Return False if no more will come."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return True
        try:
            found = os.read(self._descriptor, 4096)
        except OSError:
            # The other side of the terminal is closed.
            return False
        self.shown += found.decode(errors="replace").replace("\r\n", "\n")
        return bool(found)


@contextmanager
def at_terminal(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Terminal]:
    """Start the command; it has ended after the block."""
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    # A test suite that a shell runs in the background ignores Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def python(code: str) -> list[str]:
    """Return the command that runs this code with this interpreter."""
    return [sys.executable, "-c", code]
