"""What the packet filter of one host lets in, lets through and lets out."""

from __future__ import annotations

from typing import Literal

from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField, NetworkField
from rackwright.values.text import Line

UNIT = "rackwright-firewall.service"
"""Loads the confirmed rules at boot."""
At = Literal["address", "service", "fabric"]
"""Which of a host's networks: its own for management, that of clients and gateways, that of a replica's members."""


class Opening(Frozen):
    """One port, or those from one to another, that stand open: for whom, and on which of the host's networks."""

    port: Port
    last: Port | None = None
    """The last one of several."""
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: tuple[NetworkField, ...] = ()
    """Networks that may connect; empty means anyone."""
    at: At | None = None
    """None: whatever address of the host is asked for."""
    why: Line

    @property
    def ports(self) -> range:
        return range(self.port, (self.last or self.port) + 1)


class Confined(Frozen):
    """An engine that must have a network: it reaches its peers and nothing else."""

    user: Line
    """Whom the engine runs as; exists before the rules are loaded."""
    peers: tuple[AddressField, ...]
    """Addresses, in the fabric network, of the replica's other members."""


class Settings(Frozen):
    openings: tuple[Opening, ...]
    """Everything that may come in; all else is dropped, but for established traffic, loopback, ICMP and DHCP."""
    service: AddressField | None = None
    """The host's address for clients and gateways, where it has one apart from `address`."""
    fabric: AddressField | None = None
    """The host's address for the members of a replica, where it has one apart from the others."""
    vip: AddressField | None = None
    """The gateways' virtual address, which is part of the service network wherever it is."""
    vrrp_from: tuple[AddressField, ...] = ()
    """The other gateways, which say by VRRP who has the virtual address."""
    confined: tuple[Confined, ...] = ()
    ssh_port: Port = 22
    existing: Literal["replace", "keep"] | None = None
    """What to do with an active ufw, firewalld, Docker or Kubernetes, or a host that forwards packets between its
    networks; None refuses to go on. `replace` stops and disables ufw and firewalld, and drops what is forwarded;
    `keep` leaves them and what is forwarded, and what comes in must pass theirs and ours."""
    confirm_seconds: int = 60
    """The old rules come back after this time unless a fresh connection confirms the new ones."""

    @property
    def forwards(self) -> bool:
        """Whether packets that are for others may pass through the host."""
        return self.existing == "keep"

    def admitted_at(self, at: At) -> tuple[Opening, ...]:
        """Return what is open on one of its networks; that of `address` stands in for those it hasn't apart."""
        apart = {"service": self.service, "fabric": self.fabric}
        return tuple(
            opening
            for opening in self.openings
            if opening.at in (None, at) or (at == "address" and not apart.get(opening.at))
        )
