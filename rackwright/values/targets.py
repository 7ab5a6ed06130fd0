"""Connection settings of hosts, for the controller."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rackwright.values.secrets import Secret


@dataclass(frozen=True)
class Jump:
    """A host that the SSH connection goes through."""

    address: str
    user: str
    port: int = 22
    key: Path | None = None


@dataclass(frozen=True)
class Target:
    """How the controller connects to one host. `address` is "@local" for the machine that rackwright runs on."""

    name: str
    address: str
    user: str = "root"
    port: int = 22
    key: Path | None = None
    """None means the SSH agent's keys, then the keys named in ~/.ssh/config."""
    certificate: Path | None = None
    jump: Jump | None = None
    known_hosts: Path | None = None
    """The fleet's own known_hosts file; ~/.ssh/known_hosts is read after it."""
    sudo_password: Secret | None = field(default=None, repr=False)
    """None if sudo needs no password."""
