"""Jump hosts, with one login for all the hosts behind each: sshd drops many simultaneous logins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from rackwright.values.targets import Target

if TYPE_CHECKING:
    from paramiko import Channel


class JumpConnection(Protocol):
    """A connection to a jump host."""

    def tunnel(self, address: str, port: int) -> Channel:
        """Return a channel from this host to an address. Raise HostError if the host can't reach the address."""

    def alive(self) -> bool: ...

    def close(self) -> None: ...


class Jumps:
    def __init__(self) -> None:
        self._open: dict[object, JumpConnection] = {}
        self._lock = threading.Lock()

    def to(self, target: Target, login: Callable[[Target, Jumps], JumpConnection]) -> JumpConnection | None:
        """Return an open connection to the target's jump host, made by `login` if there is none yet.

        Return None if the target has no jump host. Raise HostError if the login fails.
        """
        if (jump := jump_target(target)) is None:
            return None
        key = (target.jump, target.key, target.certificate, target.known_hosts)
        with self._lock:
            known = self._open.get(key)
            if known is None or not known.alive():
                known = self._open[key] = login(jump, self)
            return known

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()
        self._open.clear()


def jump_target(target: Target) -> Target | None:
    """Return the target's jump host as a target, pinned in the same file, or None if it has no jump host."""
    if (jump := target.jump) is None:
        return None
    return replace(
        target,
        name=f"{target.name}, jump host {jump.address}",
        address=jump.address,
        user=jump.user,
        port=jump.port,
        key=jump.key or target.key,
        certificate=None if jump.key else target.certificate,
        jump=None,
        sudo_password=None,
    )
