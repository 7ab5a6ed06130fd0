"""Whether the new settings would shut us out: judged before the first change, without pyinfra."""

from __future__ import annotations

from collections.abc import Iterable

from rackwright.errors import Problem
from rackwright.roles.sshd.settings import Settings

HOST_KEYS = ("ssh-ed25519", "ssh-rsa")
"""Types of the host keys that sshd goes on to show; an RSA key signs with SHA-2."""


def locks_out(settings: Settings, pinned: Iterable[str]) -> Problem | None:
    """Given the types of a host's pinned keys, return a problem if sshd would no longer show one of them."""
    types = tuple(dict.fromkeys(pinned))
    if settings.manage == "no" or not types or set(types) & set(HOST_KEYS):
        return None
    return Problem(
        "sshd",
        f"the pinned host key is of a type that sshd would no longer show ({', '.join(types)})",
        f"should be pinned as {' or '.join(HOST_KEYS)}, whichever the machine itself has",
        "rackwright trust",
    )
