"""A control host that has the tool: rackwright itself, for what is due when nobody watches."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.tool.role import tool as tool_role


def tool() -> None:
    """Ensure that the tool in the lock is installed on this host, and that its timers run."""
    spec: HostSpec = host.data.spec
    if spec.tool:
        tool_role(
            settings=spec.tool.settings,
            wheels=spec.tool.wheels,
            digest=spec.tool.digest,
            route=spec.downloads.route,
            secrets=spec.credentials.tool,
        )
