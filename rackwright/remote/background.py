"""Work begun before its result is needed, so that waits for hosts and work on this machine overlap."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Background(Generic[Result]):
    """Something under way."""

    def __init__(self, work: Callable[[], Result]) -> None:
        import gevent

        self._error: Exception | None = None
        self._result: Result
        self._greenlet = gevent.spawn(self._run, work)

    def result(self) -> Result:
        """Wait for it and return what it returned. Raise what it raised."""
        self._greenlet.join()
        if self._error:
            raise self._error
        return self._result

    def _run(self, work: Callable[[], Result]) -> None:
        # gevent prints the traceback of whatever a greenlet raises.
        try:
            self._result = work()
        except Exception as error:
            self._error = error


def import_gently(*modules: str) -> None:
    """Import the modules, and let what is under way go on before and in between. Does nothing the second time."""
    if all(module in sys.modules for module in modules):
        return
    import gevent

    # A command takes three exchanges with a host before that works on it.
    gevent.sleep(0.01)
    for module in modules:
        import_module(module)
        gevent.sleep(0)
