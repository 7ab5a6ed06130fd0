"""One host's part when weights go from host to host."""

from __future__ import annotations

from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField

FOLDER = "/etc/rackwright/p2p"
PROGRAM = f"{FOLDER}/p2p.py"
UNIT = "rackwright-p2p.service"
"""Transient: it is there for the time of one p2p."""
RUN = "/run/rackwright-p2p"
"""The unit's runtime folder: systemd removes it with all that is in it, key and certificate too."""
USER = "rw_p2p"
"""No model's user is called so."""
ARRIVING = ".p2p"
"""Below the folder of models: what has arrived and isn't whole, one folder a model."""


class Settings(Frozen):
    address: AddressField
    """The host's own in the fabric network."""
    port: Port
    rate: int | None = None
    """Bytes a second that it sends and receives at most."""
    peers: tuple[AddressField, ...]
    """Of the hosts that serve what it serves."""
