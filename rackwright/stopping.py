"""Ctrl-C or SIGTERM asks a procedure to stop at the next safe point; a second one stops it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType

Stopping = Callable[[], bool]
"""Returns whether the procedure should start nothing new."""


@contextmanager
def stoppable(heard: Callable[[], None] = lambda: None) -> Iterator[Stopping]:
    """Yield a function that returns whether Ctrl-C or SIGTERM arrived during the block.

    The first signal calls `heard` in its handler; the second raises KeyboardInterrupt. Signals arrive in the main
    thread only: in any other thread the function always returns False.
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
    """Signal handler: raise KeyboardInterrupt in the main greenlet when it next waits.

    A handler runs in the current greenlet, between any two instructions. If it raised in a connection's reader, that
    would end the reader, and the command would report that it lost the host. If it raised inside a lock's own code,
    which gevent implements in Python, the lock would never be released, and the command's cleanup would wait for it.
    """
    import gevent
    from gevent import monkey

    hub = gevent.get_hub()
    if gevent.getcurrent() is hub.parent and not monkey.is_module_patched("threading"):
        raise KeyboardInterrupt
    hub.loop.run_callback(hub.parent.throw, KeyboardInterrupt)


@cache
def wake_on_signals() -> object:
    """Ensure that gevent's loop wakes up for every signal, and return its watcher. Call this in the main thread.

    Python runs a signal handler only between two instructions. Without this, a Ctrl-C that arrives just before the
    loop waits has no effect until something else wakes the loop. At a question, only the next key does.
    """
    import gevent

    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    # Without a reference, it doesn't keep alive a loop that has nothing else to wait for.
    watcher = gevent.get_hub().loop.io(reading, 1, ref=False)
    watcher.start(_drain, reading)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return watcher


def _drain(descriptor: int) -> None:
    with suppress(BlockingIOError):
        os.read(descriptor, 4096)
