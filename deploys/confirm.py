"""Make new packet filter and sshd settings permanent, after a fresh connection has succeeded."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.firewall.role import confirm_firewall
from rackwright.roles.sshd.role import confirm_sshd


def confirm() -> None:
    """Make the pending rules and settings permanent."""
    spec: HostSpec = host.data.spec
    confirm_firewall(settings=spec.firewall)
    confirm_sshd(settings=spec.baseline.sshd)
