"""The start: orders, signals, systemd's socket; and the end, with a status and no words of a request."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from rackwright.migrate.redact import Redactor
from rackwright.roles.capture.program.arrivals import Arrivals
from rackwright.roles.capture.program.capture import Capture
from rackwright.roles.capture.program.files import Files
from rackwright.roles.capture.program.line import late
from rackwright.roles.capture.program.orders import Orders

OVER = 3
"""Exit status: the capture has ended on its own."""


def run(orders: str, files: str) -> int:
    """Record as capture.json says, into the folder of files; return the exit status.

    A message only says which error it was, and where: its text may quote a request.
    """
    threading.excepthook = lambda arguments: print(arguments.exc_type.__name__, file=sys.stderr)
    try:
        return _record(Path(orders), Path(files))
    except Exception as error:
        print(f"{type(error).__name__} at {' > '.join(_places(error.__traceback__))}", file=sys.stderr)
        return 1


def _record(orders_file: Path, files: Path) -> int:
    os.umask(0o077)
    orders = Orders.read(orders_file)
    # A pattern that can't be used ends this now, not at each request.
    Redactor(orders.redact)
    folder = files / orders.migration
    folder.mkdir(mode=0o700, exist_ok=True)
    arrivals = Arrivals(orders.request)
    capture = Capture(orders, Files(folder, orders), arrivals)
    _heed_signals(capture)
    # systemd's first passed descriptor.
    listener = socket.socket(fileno=3)
    threading.Thread(target=arrivals.listen, args=(listener,), daemon=True).start()
    capture.run()
    return OVER if capture.ended else 0


def _heed_signals(capture: Capture) -> None:
    def stop(*_: object) -> None:
        capture.stopped = True

    def complete(*_: object) -> None:
        capture.asked = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGUSR1, complete)
    signal.signal(signal.SIGALRM, late)


def _places(traceback: TracebackType | None) -> Iterator[str]:
    while traceback:
        yield f"{Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
