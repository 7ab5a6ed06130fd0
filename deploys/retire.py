"""When no gateway sends there any more: remove what the fleet no longer names."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.layout.role import retire as retire_role


def retire() -> None:
    """Afterwards no unit, file or user of ours is left on the host that its model doesn't name."""
    spec: HostSpec = host.data.spec
    retire_role(settings=spec.layout)
