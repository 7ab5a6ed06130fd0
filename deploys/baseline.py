"""What every host has before anything runs on it: our folders, and the packet filter."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.host import HostModel
from rackwright.roles.firewall.role import firewall
from rackwright.roles.layout.role import layout


def baseline() -> None:
    """Afterwards the host admits only what the fleet file says, until the confirmation's time runs out."""
    model: HostModel = host.data.model
    layout(settings=model.layout)
    firewall(settings=model.firewall)
