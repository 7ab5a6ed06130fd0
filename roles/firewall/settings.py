"""One host's packet filter: what it lets in, forwards and lets out."""

from __future__ import annotations

from typing import Literal

from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField, NetworkField
from rackwright.values.text import Line

UNIT = "rackwright-firewall.service"
"""Loads the confirmed rules at boot."""
At = Literal["address", "service", "fabric"]
"""One of a host's networks: for management, for clients and gateways, or for the members of a replica."""


class Opening(Frozen):
    """One open port, or a range of them: for which sources, and on which of the host's networks."""

    port: Port
    last: Port | None = None
    """The last port of a range; None: one port."""
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: tuple[NetworkField, ...] = ()
    """Networks that may connect; empty: all."""
    at: At | None = None
    """None: on all of the host's addresses."""
    why: Line

    @property
    def ports(self) -> range:
        return range(self.port, (self.last or self.port) + 1)


class Confined(Frozen):
    """An engine that must have a network: it reaches its peers and nothing else."""

    user: Line
    """The user that the engine runs as; it must exist before the rules are loaded."""
    peers: tuple[AddressField, ...]
    """Addresses of the replica's other members in the fabric network."""


class Settings(Frozen):
    openings: tuple[Opening, ...]
    """All ports that may be reached; other packets are dropped, except established ones, loopback, ICMP and DHCP."""
    service: AddressField | None = None
    """The host's address for clients and gateways, if it isn't `address`."""
    fabric: AddressField | None = None
    """The host's address for the members of a replica, if it has its own."""
    vip: AddressField | None = None
    """The gateways' virtual address, which belongs to the service network on every gateway."""
    vrrp_from: tuple[AddressField, ...] = ()
    """The other gateways, which announce by VRRP which one has the virtual address."""
    confined: tuple[Confined, ...] = ()
    ssh_port: Port = 22
    existing: Literal["replace", "keep"] | None = None
    """What to do if ufw, firewalld, Docker or Kubernetes is active, or the host forwards packets between its
    networks; None: refuse. `replace` stops and disables ufw and firewalld, and drops forwarded packets. `keep` leaves
    them and forwarded packets alone; incoming packets must pass both their rules and rackwright's."""
    confirm_seconds: int = 60
    """The old rules return after this time unless a fresh connection confirms the new ones."""

    @property
    def forwards(self) -> bool:
        """Whether the host may forward packets."""
        return self.existing == "keep"

    def admitted_at(self, at: At) -> tuple[Opening, ...]:
        """Return what is open on one network; `address` also includes the networks without their own address."""
        apart = {"service": self.service, "fabric": self.fabric}
        return tuple(
            opening
            for opening in self.openings
            if opening.at in (None, at) or (at == "address" and not apart.get(opening.at))
        )
