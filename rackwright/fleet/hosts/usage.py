"""The usage that this host adds up, if it is a gateway, and the quotas that it knows of."""

from __future__ import annotations

from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.usage.settings import Settings


def usage_of(gateway: Gateway | None) -> Settings | None:
    """Return whose usage the host adds up; None if it is no gateway."""
    if gateway is None:
        return None
    return Settings(gateway=gateway.name, others=tuple(peer.name for peer in gateway.peers))
