"""Jump hosts, each logged in to once for all the hosts behind it: sshd drops many logins at the same time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rackwright.values import Target

if TYPE_CHECKING:
    from rackwright.remote.ssh import SshTransport


class Jumps:
    def __init__(self) -> None:
        self._open: dict[object, SshTransport] = {}
        self._lock = threading.Lock()

    def to(self, target: Target) -> SshTransport | None:
        """Return an open connection to the target's jump host, None if it has none. Raise HostError if it fails."""
        if target.jump is None:
            return None
        from rackwright.remote.ssh import SshTransport, jump_target

        key = (target.jump, target.key, target.certificate, target.known_hosts)
        with self._lock:
            known = self._open.get(key)
            if known is None or not known.alive():
                known = self._open[key] = SshTransport(jump_target(target, target.jump), self)
            return known

    def close(self) -> None:
        for transport in self._open.values():
            transport.close()
        self._open.clear()
