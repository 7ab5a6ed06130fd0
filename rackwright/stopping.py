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

    def stop(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            interrupt(number, frame)
            return
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


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt in the main greenlet, when it next waits; a signal handler.

    A handler runs in whichever greenlet is at work, between any two instructions. In a connection's reader it would
    end that, and the command would say that it lost the host. Within a lock's own code, which gevent has in Python,
    it would leave the lock taken for ever, and what ends the command would wait for it.
    """
    import gevent
    from gevent import monkey

    hub = gevent.get_hub()
    if gevent.getcurrent() is hub.parent and not monkey.is_module_patched("threading"):
        raise KeyboardInterrupt
    hub.loop.run_callback(hub.parent.throw, KeyboardInterrupt)
