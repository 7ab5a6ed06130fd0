"""The order in which hosts pass weights on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

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


def overtaken(order: Sequence[str], arrived: Mapping[str, int], total: int) -> tuple[str, ...]:
    """Given how many bytes each host has, return the order with whoever holds up others behind all of them.

    A host holds up others when it is far behind the one before it and somebody behind it isn't whole. The one after
    the first is never: the first has all from the beginning, so being behind it says nothing.
    """
    lag = max(LEAST_LAG, LAG * total)
    for place in range(2, len(order) - 1):
        earlier, host = order[place - 1], order[place]
        behind = arrived[earlier] - arrived[host] > lag
        if behind and any(arrived[later] < total for later in order[place + 1 :]):
            return (*order[:place], *order[place + 1 :], host)
    return tuple(order)
