"""The order in which hosts pass weights on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

BEYOND = 3
"""How many more earlier hosts a host may ask when the one before it sends nothing; after these, the first host."""
LAG = 0.1
"""Share of all bytes: a host that falls this far behind the one before it is moved to the end of the order."""
LEAST_LAG = 32 * 10**6
"""Bytes: lower limit of that lag for small models."""


def first_of(hosts: Sequence[str], whole: Collection[str], preferred: str | None) -> str:
    """Return the host to start from: one that has the files already if there is any, and the preferred one if it is
    among the candidates; if not, the first of them."""
    among = [host for host in hosts if host in whole] or list(hosts)
    return preferred if preferred in among else among[0]


def chain(hosts: Sequence[str], first: str) -> tuple[str, ...]:
    """Return the hosts in the order in which they pass the weights on."""
    return (first, *(host for host in hosts if host != first))


def before(order: Sequence[str], host: str) -> tuple[str, ...]:
    """Return the hosts that a host asks, the nearest first; it asks the next only if the one before sends nothing."""
    earlier = order[: order.index(host)][::-1]
    near = earlier[: 1 + BEYOND]
    return (*near, *(one for one in earlier[-1:] if one not in near))


def gaps(order: Sequence[str], arrived: Mapping[str, int]) -> dict[str, int]:
    """Return how many bytes each host is behind the one before it, from the third host on.

    The first host has all bytes from the start, so it doesn't matter how far the second is behind it.
    """
    return {host: arrived[earlier] - arrived[host] for earlier, host in pairwise(order[1:])}


def overtaken(
    order: Sequence[str], arrived: Mapping[str, int], total: int, gaps_before: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the order, with a host that slows down others moved to the end.

    A host slows down others if it has fallen far behind the one before it since this order started (`gaps_before`),
    and a host after it is still incomplete.
    """
    lag = max(LEAST_LAG, LAG * total)
    for host, gap in gaps(order, arrived).items():
        after = order[order.index(host) + 1 :]
        if gap - gaps_before.get(host, 0) > lag and any(arrived[later] < total for later in after):
            return (*(one for one in order if one != host), host)
    return tuple(order)
