"""Whether the KV cache of a replica holds the recorded requests, through `fit`."""

from __future__ import annotations

from rackwright.fit.fit import Fit
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.fit.procedure import Placed, ask, fit_host
from rackwright.lifecycle.migrate.capacity.traffic import Traffic
from rackwright.lifecycle.session.session import Session
from rackwright.migrate.capacity.result import Cache


def checked_cache(session: Session, replica: Replica, found: Traffic, together: int | None) -> Cache:
    """Return the check. `together`: requests in work at a time at the peak; None: not known."""
    import numpy as np

    # A sorted list of Python's numbers would need ten times the memory.
    lengths = np.array(found.lengths)
    place = max(0, -(-95 * len(lengths) // 100) - 1)
    cache = Cache(
        largest=int(lengths.max()),
        typical=int(np.partition(lengths, place)[place]),
        counted=found.counted / len(lengths),
        context=session.fleet.file.models[replica.model].context,
    )
    if cache.largest > cache.context:
        why = (
            f"the largest recorded request has {cache.largest} tokens with its answer, and context is {cache.context}"
        )
        return cache.model_copy(update={"fits": False, "why": why})
    placed = _placed(session, replica)
    if placed is None or placed.fit is None:
        return cache.model_copy(update={"why": (placed and placed.doubt) or "its host's hardware isn't known"})
    return of_fit(cache, placed.fit, together)


def of_fit(cache: Cache, fit: Fit, together: int | None) -> Cache:
    """Return the check with what the replica's memory holds."""
    each = fit.need(cache.typical, 1)
    if each is None:
        return cache.model_copy(update={"why": fit.unknown or "the size of its cache isn't known"})
    holds = fit.cache_room // each if each else None
    if together is None or holds is None:
        return cache.model_copy(update={"holds": holds, "fits": None if together is None else True})
    fits = holds >= together
    why = f"the cache holds {holds} requests of {cache.typical} tokens, and {together} are in work at the peak"
    return cache.model_copy(update={"holds": holds, "fits": fits, "why": why})


def _placed(session: Session, replica: Replica) -> Placed | None:
    memories, _ = ask(session.remote, replica.hosts)
    for host, memory in memories.items():
        for one in fit_host(session.fleet, session.lock, host, memory):
            if one.model == replica.model and replica.address in one.replicas:
                return one
    return None
