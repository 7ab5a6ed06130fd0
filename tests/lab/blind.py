"""A gateway that doesn't see a host's replicas: its packets to the host proxy are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rackwright.lab.hosts import Lab

_DROP = """
add table inet blind
add chain inet blind out {{ type filter hook output priority 0; }}
add rule inet blind out ip daddr {address} tcp dport 8100 drop
"""


@contextmanager
def blind(lab: Lab, gateway: str, host: str) -> Iterator[None]:
    """Within the block, the gateway reaches no replica on the host."""
    lab.exec(gateway, "nft -f -", input=_DROP.format(address=lab.fleet().hosts[host]))
    try:
        yield
    finally:
        lab.exec(gateway, "nft delete table inet blind")
