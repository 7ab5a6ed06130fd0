"""Read an operator's answer while everything else continues: the lease is renewed, hosts are listened to."""

from __future__ import annotations

import os
import sys

from rackwright.stopping import wake_on_signals
from rackwright.terminal import visible

MAX_BYTES = 4096
"""Of one answer. The rest of a longer one is ignored."""


def read_answer(prompt: str = "") -> str:
    """Return the next line of standard input without its end. Raise EOFError if there is none.

    Python's own `input` would block the thread, and every greenlet with it. Bytes are read one at a time, so that
    the text after this line is left for the next question.
    """
    from gevent.socket import wait_read

    wake_on_signals()
    sys.stderr.write(visible(prompt))
    sys.stderr.flush()
    descriptor, line = sys.stdin.fileno(), bytearray()
    while True:
        wait_read(descriptor)
        byte = os.read(descriptor, 1)
        if not byte and not line:
            raise EOFError
        if byte in (b"", b"\n"):
            return line.decode(errors="replace").rstrip("\r")
        if len(line) < MAX_BYTES:
            line += byte
