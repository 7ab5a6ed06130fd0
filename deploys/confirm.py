"""After a fresh connection got in: make new packet filter and sshd settings those that act at boot."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostModel
from rackwright.roles.firewall.role import confirm_firewall
from rackwright.roles.sshd.role import confirm_sshd


def confirm() -> None:
    """Afterwards the pending rules and settings stay."""
    model: HostModel = host.data.model
    confirm_firewall(settings=model.firewall)
    confirm_sshd(settings=model.baseline.sshd)
