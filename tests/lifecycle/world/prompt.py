"""An operator who takes time to answer."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import TYPE_CHECKING, TextIO, cast
from unittest.mock import patch

from rackwright.cli.common.options import confirm

if TYPE_CHECKING:
    from tests.lifecycle.world.world import Process, World


class Keyboard:
    """Standard input on which the answer arrives after so many seconds, also for a caller that blocks the thread."""

    def __init__(self, world: World, process: Process, seconds: float, descriptor: int) -> None:
        self.world, self.process, self.seconds, self.descriptor = world, process, seconds, descriptor

    def fileno(self) -> int:
        return self.descriptor

    def readline(self) -> str:
        """While the thread is blocked, nothing renews the lease."""
        self.process.asleep = True
        self._pass()
        self.process.asleep = False
        return "y\n"

    def wait_read(self, descriptor: int) -> None:
        """While a greenlet waits, all others continue."""
        if descriptor == self.descriptor:
            self._pass()

    def _pass(self) -> None:
        while self.seconds > 0:
            self.world.advance(min(10.0, self.seconds))
            self.seconds -= 10.0


def answer_late(world: World, process: Process, seconds: float) -> None:
    """Ask with the command line's own question, answered after so many seconds. The lease must stay valid."""
    before = [control for control in world.controls if control.held_by(process, world.now)]
    ours, theirs = os.pipe()
    os.write(theirs, b"y\n")
    os.close(theirs)
    keyboard = Keyboard(world, process, seconds, ours)
    try:
        with (
            patch.object(sys, "stdin", cast("TextIO", keyboard)),
            patch("gevent.socket.wait_read", keyboard.wait_read),
            redirect_stderr(StringIO()),
        ):
            confirm("Update these replicas, one at a time?", yes=False)
    finally:
        os.close(ours)
    held = [control for control in before if control.held_by(process, world.now)]
    assert held == before or process.slept, "the lease ended while its holder read a question"
