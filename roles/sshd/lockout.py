"""Whether the new settings would lock rackwright out, checked before the first change. No pyinfra."""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.errors import Problem
from rackwright.roles.sshd.settings import Settings

HOST_KEYS = ("ssh-ed25519", "ssh-rsa")
"""Types of host keys that sshd still offers; an RSA key signs with SHA-2."""


def locks_out(settings: Settings, pinned: Iterable[str]) -> Problem | None:
    """Given the types of a host's pinned keys, return a problem if sshd would no longer offer any of them."""
    types = tuple(dict.fromkeys(pinned))
    if settings.manage == "no" or not types or set(types) & set(HOST_KEYS):
        return None
    return Problem(
        "sshd",
        f"the pinned host key is of a type that sshd would no longer offer ({', '.join(types)})",
        f"pin a key of type {' or '.join(HOST_KEYS)}, whichever the machine itself has",
        "rackwright trust",
    )
