"""What the packet filter of one host lets in."""

from __future__ import annotations

from typing import Literal

from rackwright.values import Frozen, Line, NetworkField, Port

UNIT = "rackwright-firewall.service"
"""Loads the confirmed rules at boot."""


class Opening(Frozen):
    """One port that stands open, and for whom."""

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    sources: tuple[NetworkField, ...] = ()
    """Networks that may connect; empty means anyone."""
    why: Line


class Settings(Frozen):
    openings: tuple[Opening, ...]
    """Everything that may come in; all else is dropped, but for established traffic, loopback, ICMP and DHCP."""
    ssh_port: Port = 22
    existing: Literal["replace", "keep"] | None = None
    """What to do with an active ufw, firewalld, Docker or Kubernetes; None refuses to go on. `replace` stops and
    disables ufw and firewalld; `keep` leaves them, and a packet must pass theirs and ours. The tables of Docker and
    Kubernetes stay beside ours either way: it filters what comes in to the host, not what is forwarded."""
    confirm_seconds: int = 60
    """The old rules come back after this time unless a fresh connection confirms the new ones."""
