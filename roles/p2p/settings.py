"""One host's settings for a peer-to-peer transfer."""

from __future__ import annotations

from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField

FOLDER = "/etc/rackwright/p2p"
PROGRAM = f"{FOLDER}/p2p.py"
UNIT = "rackwright-p2p.service"
"""Transient: it exists only during one transfer."""
RUN = "/run/rackwright-p2p"
"""The unit's runtime folder. systemd removes it with its content, including key and certificate."""
USER = "rw_p2p"
"""No model's user has this name."""
ARRIVING = ".p2p"
"""Below the folder of models: incomplete downloads, one folder per model."""


class Settings(Frozen):
    address: AddressField
    """The host's address in the fabric network."""
    port: Port
    rate: int | None = None
    """Maximum bytes per second in each direction."""
    peers: tuple[AddressField, ...]
    """Addresses of the hosts that serve the same models."""
