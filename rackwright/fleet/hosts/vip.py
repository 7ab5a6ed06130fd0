"""The gateways' virtual address, if this host is a gateway."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.roles.vip.settings import Settings


def vip_of(fleet: Fleet, host: str) -> Settings | None:
    """Return the settings of the virtual address; None if the host is not a gateway, or if no `vip` is set."""
    address = fleet.file.gateway.vip
    if address is None or host not in fleet.gateways:
        return None
    # Those that are `disabled`, too: one that comes back must hear that another gateway has the address.
    gateways = fleet.named(fleet.file.gateway.on)
    return Settings(
        host=host,
        address=address,
        own=fleet.service(host),
        peers=tuple(fleet.service(name) for name in gateways if name != host),
        priority=200 - gateways.index(host),
    )
