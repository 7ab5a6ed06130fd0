"""One gateway's settings for the gateways' virtual address."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.text import Name

FOLDER = "/etc/rackwright/vip"
UNIT = "rackwright-vip.service"


class Settings(Frozen):
    host: Name
    address: AddressField
    """The virtual address."""
    own: AddressField
    """The host's address in the service network; the virtual address goes to the same interface."""
    peers: tuple[AddressField, ...]
    """The other gateways' addresses in that network."""
    priority: int
    """1 to 254; if several gateways could take the address, the one with the highest priority gets it. A gateway that
    has the address keeps it."""

    @property
    def router_id(self) -> int:
        """1 to 255, the same on all gateways of the address: RFC 5798, section 5.2.3."""
        return int(self.address) % 255 + 1
