"""Remove what the fleet no longer names, after the gateways have stopped using it."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.layout.role import retire as retire_role


def retire() -> None:
    """Remove rackwright's units, files and users that the host's spec doesn't name."""
    spec: HostSpec = host.data.spec
    retire_role(settings=spec.layout)
