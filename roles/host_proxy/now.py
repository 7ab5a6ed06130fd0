"""Report to the host proxy now that an engine works, without waiting for the agent's next check."""

from __future__ import annotations

from shlex import quote

from rackwright.operations.haproxy.paths import Paths
from rackwright.roles.host_proxy.configuration import PATHS
from rackwright.roles.host_proxy.settings import Proxied


def works_command(proxied: Proxied, paths: Paths = PATHS) -> str:
    """Return the command, for root, that makes the host proxy send to this engine until the agent reports it down."""
    tell = f"set server {proxied.backend}/engine agent up"
    socket = f"UNIX-CONNECT:{paths.sockets}/admin.sock,su-e={paths.asks_as}"
    return f"printf '%s\\n' {quote(tell)} | socat -T 5 - {quote(socket)}"
