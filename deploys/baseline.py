"""What every host has before anything runs on it: first how one gets in, then the host itself."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostModel
from rackwright.roles.apparmor.role import apparmor
from rackwright.roles.auditd.role import auditd
from rackwright.roles.downloads.role import downloads
from rackwright.roles.fail2ban.role import fail2ban
from rackwright.roles.firewall.role import firewall
from rackwright.roles.journald.role import journald
from rackwright.roles.layout.role import layout
from rackwright.roles.people.role import people
from rackwright.roles.sshd.role import sshd
from rackwright.roles.sysctl.role import sysctl
from rackwright.roles.time_sync.role import time_sync
from rackwright.roles.updates.role import updates


def entry() -> None:
    """Afterwards the host downloads from where the fleet file says, and admits whom it says, with keys only, until
    the confirmation's time runs out."""
    model: HostModel = host.data.model
    layout(settings=model.layout)
    downloads(settings=model.downloads)
    firewall(settings=model.firewall)
    sshd(settings=model.baseline.sshd)


def baseline() -> None:
    """Afterwards the host itself is as the fleet file says: its people, then its `baseline`.

    An item with `manage: no` is left alone.
    """
    model: HostModel = host.data.model
    people(settings=model.people)
    wanted = model.baseline
    time_sync(settings=wanted.time_sync)
    fail2ban(settings=wanted.fail2ban, ssh_port=model.firewall.ssh_port, ignoreip=model.never_shut_out)
    journald(settings=wanted.journald)
    sysctl(settings=wanted.sysctl)
    updates(settings=wanted.updates)
    auditd(settings=wanted.auditd)
    apparmor(settings=wanted.apparmor)
