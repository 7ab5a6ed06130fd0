"""The gateways' virtual address, if this host may have it."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.roles.vip.settings import Settings


def vip_of(fleet: Fleet, host: str) -> Settings | None:
    """Return how this gateway takes the address from the others; None: the host is none, or there is no address."""
    address = fleet.file.gateway.vip
    if address is None or host not in fleet.gateways:
        return None
    return Settings(
        host=host,
        address=address,
        own=fleet.service(host),
        peers=tuple(fleet.service(name) for name in fleet.gateways_beside(host)),
        priority=200 - fleet.gateways.index(host),
    )
