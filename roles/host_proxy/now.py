"""The host proxy told now that an engine works, not when its agent is next asked."""

from __future__ import annotations

from shlex import quote

from rackwright.operations.haproxy.paths import Paths
from rackwright.roles.host_proxy.configuration import PATHS


def works_command(replica: str, paths: Paths = PATHS) -> str:
    """Return the command, for root, after which the host proxy sends to the engine of MODEL@N, until its agent says
    otherwise."""
    tell = f"set server engine.{replica.replace('@', '.')}/engine agent up"
    return f"printf '%s\\n' {quote(tell)} | socat -T 5 - {quote(f'UNIX-CONNECT:{paths.run}/admin.sock')}"
