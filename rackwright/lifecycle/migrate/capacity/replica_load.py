"""Send recorded requests to one replica, over SSH to its own socket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.bench.load import Load
from rackwright.lifecycle.bench.measure import Recorded, measure
from rackwright.lifecycle.bench.tool import ensure
from rackwright.lifecycle.bench.way import to_replica
from rackwright.lifecycle.session.session import Session
from rackwright.resolve.package_index import index_of
from rackwright.state.bench import Step

Send = Callable[[Recorded, float], Step]
"""Sends recorded requests, whose mean rate is given, to a replica and measures it."""
Engine = Callable[[Session, Replica, Callable[[str], None]], AbstractContextManager[Send]]


@contextmanager
def engine(session: Session, replica: Replica, say: Callable[[str], None]) -> Iterator[Send]:
    """Yield what sends requests over SSH to the replica's own socket."""
    tool = ensure(index_of(session.fleet), say)
    with to_replica(session, replica) as way:

        def send(recorded: Recorded, rate: float) -> Step:
            load = Load(rate, len(recorded.at), 0, 0)
            return measure(tool, way, replica.model, load, 1, recorded)

        yield send
