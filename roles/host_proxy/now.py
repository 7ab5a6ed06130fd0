"""The host proxy told now that an engine works, not when its agent is next asked."""

from __future__ import annotations

from shlex import quote

from rackwright.operations.haproxy.paths import Paths
from rackwright.roles.host_proxy.configuration import PATHS
from rackwright.roles.host_proxy.settings import Proxied


def works_command(proxied: Proxied, paths: Paths = PATHS) -> str:
    """Return root's command after which the host proxy sends to this engine, until its agent says otherwise."""
    tell = f"set server {proxied.backend}/engine agent up"
    return f"printf '%s\\n' {quote(tell)} | socat -T 5 - {quote(f'UNIX-CONNECT:{paths.run}/admin.sock')}"
