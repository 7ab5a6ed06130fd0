"""The gateways' virtual address on one of them."""

from __future__ import annotations

from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.text import Name

FOLDER = "/etc/rackwright/vip"
UNIT = "rackwright-vip.service"


class Settings(Frozen):
    host: Name
    address: AddressField
    """The virtual one."""
    own: AddressField
    """The host's address in the service network: the virtual one goes to the same interface."""
    peers: tuple[AddressField, ...]
    """The other gateways' addresses there."""
    priority: int
    """1 to 254; of two that could have the address and don't, the higher gets it. Who has it keeps it."""

    @property
    def router_id(self) -> int:
        """1 to 255, the same on all gateways of the address: RFC 5798, section 5.2.3."""
        return int(self.address) % 255 + 1
