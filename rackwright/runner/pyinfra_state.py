"""One pyinfra State per host, each in its own greenlet; pyinfra itself keeps one current State per process.

With a State per host, the operations of different hosts are numbered, named and failed separately, and a slow host
doesn't delay the others.
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

# The runner's steps already report each failure; pyinfra would print it again.
logging.getLogger("pyinfra").addHandler(logging.NullHandler())
logging.getLogger("pyinfra").propagate = False


class _PerHost:
    """The container of pyinfra's context object: the state of this tree of greenlets, or else of the process."""

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
    """Return gevent's locals that a greenlet shares with the greenlets that it spawns."""
    return getattr(gevent.getcurrent(), "spawn_tree_locals", None) or {}


@contextmanager
def current(state: State, host: Host) -> Iterator[None]:
    """Make these pyinfra's current state and host for this greenlet and all greenlets that it spawns."""
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
