"""pyinfra keeps one current State for the process; here every host has its own, in its own greenlet.

With a State per host, no host's operations are numbered, named or failed together with another's, and a slow host
holds nobody up.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import gevent
from pyinfra.api.host import Host
from pyinfra.api.state import State
from pyinfra.context import ctx_config, ctx_host, ctx_state

_KEY = "rackwright.state"

# pyinfra would print each failure once more; the engine's steps say it all.
logging.getLogger("pyinfra").addHandler(logging.NullHandler())
logging.getLogger("pyinfra").propagate = False


class _PerHost:
    """What pyinfra's context object reads: the state of this tree of greenlets, or the process's."""

    def __init__(self) -> None:
        self._process: State | None = None

    @property
    def module(self) -> State | None:
        return cast("State | None", _tree().get(_KEY, self._process))

    @module.setter
    def module(self, state: State | None) -> None:
        tree = _tree()
        if _KEY in tree:
            tree[_KEY] = state
        else:
            self._process = state


def _tree() -> dict[str, object]:
    """gevent's own locals that a greenlet shares with those it spawns."""
    return getattr(gevent.getcurrent(), "spawn_tree_locals", None) or {}


@contextmanager
def current(state: State, host: Host) -> Iterator[None]:
    """Make these pyinfra's current state and host for this greenlet and all that it spawns."""
    context = ctx_state.context
    if not isinstance(context._container, _PerHost):
        context._container = _PerHost()
    greenlet = gevent.getcurrent()
    before = getattr(greenlet, "spawn_tree_locals", None)
    if isinstance(greenlet, gevent.Greenlet):
        greenlet.spawn_tree_locals = {_KEY: None}
    try:
        with ctx_state.use(state), ctx_config.use(state.config.copy()), ctx_host.use(host):
            yield
    finally:
        for manager in (ctx_state, ctx_config, ctx_host):
            manager.reset()
        if isinstance(greenlet, gevent.Greenlet):
            greenlet.spawn_tree_locals = before
