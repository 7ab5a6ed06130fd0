"""The gateways' virtual address, if this host is a gateway."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.roles.vip.settings import Settings


def vip_of(fleet: Fleet, host: str) -> Settings | None:
    """Return the settings of the virtual address; None if the host is not a gateway, or if no `vip` is set."""
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
