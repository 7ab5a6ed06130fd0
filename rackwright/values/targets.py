"""Hosts as the controller reaches them."""

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
    """One host as the controller reaches it. `address` is "@local" for the machine the tool runs on."""

    name: str
    address: str
    user: str = "root"
    port: int = 22
    key: Path | None = None
    """None: the SSH agent's keys, then those that ~/.ssh/config names."""
    certificate: Path | None = None
    jump: Jump | None = None
    known_hosts: Path | None = None
    """The fleet's own pins; ~/.ssh/known_hosts is read after it."""
    sudo_password: Secret | None = field(default=None, repr=False)
    """None: sudo without a password."""
