"""The members of a replica over several hosts: they start together, and a lost member takes the replica out."""

from __future__ import annotations

from rackwright.roles.replica.settings import ReplicaName
from rackwright.values.amounts import Port
from rackwright.values.base import Frozen
from rackwright.values.network import AddressField
from rackwright.values.text import Line, Name

GROUP_STATES = "/run/rackwright-replica-group"
"""Folder with one file per replica: the state of its other members."""


class Peer(Frozen):
    """One member, as the others reach it."""

    name: Name
    address: AddressField
    """In the fabric network."""
    port: Port
    """Where it reports the state of its engine."""

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


class Settings(Frozen):
    replica: ReplicaName
    unit: Line
    """The engine's unit."""
    own: Peer
    first: bool
    """Whether this host has the replica's socket."""
    peers: tuple[Peer, ...]
    """The members that it checks: the first member checks all others, and each of them checks the first."""
    every_seconds: int = 2

    @property
    def _stem(self) -> str:
        # Without @, like the probe's names: a socket with Accept=yes can't have an @ in its own name.
        return f"rackwright-{self.replica.replace('@', '-')}"

    @property
    def service(self) -> str:
        return f"{self._stem}.group.service"

    @property
    def timer(self) -> str:
        return f"{self._stem}.group.timer"

    @property
    def member_socket(self) -> str:
        return f"{self._stem}.member.socket"

    @property
    def member(self) -> str:
        """The template unit; the socket starts one instance of it for each connection."""
        return f"{self._stem}.member@.service"

    @property
    def units(self) -> tuple[str, ...]:
        """Every systemd unit of this replica group."""
        return (self.service, self.timer, self.member_socket, self.member)

    @property
    def scripts(self) -> dict[str, str]:
        """Path of each of its scripts, by kind."""
        return {kind: f"/etc/rackwright/{self.replica}.{kind}" for kind in ("watch", "member")}
