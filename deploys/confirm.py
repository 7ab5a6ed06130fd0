"""After a fresh connection got in: make the new packet filter the one that acts at boot."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.host import HostModel
from rackwright.roles.firewall.role import confirm_firewall


def confirm() -> None:
    """Afterwards the pending rules stay."""
    model: HostModel = host.data.model
    confirm_firewall(settings=model.firewall)
