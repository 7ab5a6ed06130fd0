"""The ledger of this host, if it is a gateway in front of clouds."""

from __future__ import annotations

from rackwright.roles.gateway.settings import Settings as Gateway
from rackwright.roles.ledger.settings import Settings


def ledger_of(gateway: Gateway | None) -> Settings | None:
    """Return whose ledger the host keeps; None if it is no gateway, or none of the fleet's models has a cloud."""
    if gateway is None or not gateway.clouds:
        return None
    return Settings(gateway=gateway.name, others=tuple(peer.name for peer in gateway.peers))
