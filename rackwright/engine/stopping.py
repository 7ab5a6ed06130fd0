"""Ctrl-C or SIGTERM asks a procedure to stop where nothing is left half done; a second one stops it at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Stopping = Callable[[], bool]
"""Whether nothing further should be begun."""


@contextmanager
def stoppable(heard: Callable[[], None] = lambda: None) -> Iterator[Stopping]:
    """Yield what tells whether Ctrl-C or SIGTERM came during the block; the second one raises KeyboardInterrupt.

    `heard` is called at the first, in the signal's handler. In any thread but the main one no signal arrives, and it
    always tells False.
    """
    asked = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        heard()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
