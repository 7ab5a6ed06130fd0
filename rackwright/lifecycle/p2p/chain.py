"""The order in which hosts pass weights on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

BEYOND = 3
"""So many earlier hosts may be asked when the one before sends nothing; then the first of all."""
LAG = 0.1
"""Share of all bytes by which a host is slower than the one before it when others no longer wait behind it."""
LEAST_LAG = 32 * 10**6


def first_of(hosts: Sequence[str], whole: Collection[str], preferred: str | None) -> str:
    """Return who begins: one that has the files already, the preferred one if it is among these, else the first."""
    among = [host for host in hosts if host in whole] or list(hosts)
    return preferred if preferred in among else among[0]


def chain(hosts: Sequence[str], first: str) -> tuple[str, ...]:
    """Return the hosts in the order in which they pass on."""
    return (first, *(host for host in hosts if host != first))


def before(order: Sequence[str], host: str) -> tuple[str, ...]:
    """Return whom a host asks, the nearest first; it asks the next only when nothing comes."""
    earlier = order[: order.index(host)][::-1]
    near = earlier[: 1 + BEYOND]
    return (*near, *(one for one in earlier[-1:] if one not in near))


def gaps(order: Sequence[str], arrived: Mapping[str, int]) -> dict[str, int]:
    """Given how many bytes each host has, return by how many each is behind the one before it, but for the first two.

    The first has all from the beginning, so being behind it says nothing.
    """
    return {host: arrived[earlier] - arrived[host] for earlier, host in pairwise(order[1:])}


def overtaken(
    order: Sequence[str], arrived: Mapping[str, int], total: int, gaps_before: Mapping[str, int]
) -> tuple[str, ...]:
    """Return the order with whoever holds up others behind all of them.

    A host holds up others when it has fallen far behind the one before it since this order began, as `gaps_before`
    has it, and somebody behind it isn't whole.
    """
    lag = max(LEAST_LAG, LAG * total)
    for host, gap in gaps(order, arrived).items():
        after = order[order.index(host) + 1 :]
        if gap - gaps_before.get(host, 0) > lag and any(arrived[later] < total for later in after):
            return (*(one for one in order if one != host), host)
    return tuple(order)
