"""A host's backups: timers that make snapshots and check them."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.backup.role import backup as backup_role


def backup() -> None:
    """Ensure that the host's timers back it up to each repository of the fleet file."""
    spec: HostSpec = host.data.spec
    if spec.backup is not None:
        backup_role(settings=spec.backup, access=spec.credentials.backup[spec.name])
