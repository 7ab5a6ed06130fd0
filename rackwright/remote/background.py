"""Work that starts before its result is needed, so that waiting for hosts overlaps with work on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """Work in progress."""

    def __init__(self, work: Callable[[], Result]) -> None:
        import gevent

        self._error: Exception | None = None
        self._result: Result
        self._greenlet = gevent.spawn(self._run, work)

    def result(self) -> Result:
        """Wait for the work and return its result. Raise the exception that it raised."""
        self._greenlet.join()
        if self._error:
            raise self._error
        return self._result

    def _run(self, work: Callable[[], Result]) -> None:
        # gevent would print a traceback of every exception that a greenlet raises.
        try:
            self._result = work()
        except Exception as error:
            self._error = error


def import_gently(*modules: str) -> None:
    """Import the modules; let other greenlets run before and in between. Does nothing the second time."""
    if all(module in sys.modules for module in modules):
        return
    import gevent

    # A host starts to work on a command only after three exchanges.
    gevent.sleep(0.01)
    for module in modules:
        import_module(module)
        gevent.sleep(0)
