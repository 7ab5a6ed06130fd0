"""The setup that every host gets before anything else: first how to get in, then the host itself."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.apparmor.role import apparmor
from rackwright.roles.auditd.role import auditd
from rackwright.roles.boot.role import boot
from rackwright.roles.core_dumps.role import core_dumps
from rackwright.roles.downloads.role import downloads
from rackwright.roles.fail2ban.role import fail2ban
from rackwright.roles.firewall.role import firewall
from rackwright.roles.journald.role import journald
from rackwright.roles.layout.role import layout
from rackwright.roles.logins.role import logins
from rackwright.roles.modules.role import modules
from rackwright.roles.patch.role import patch
from rackwright.roles.people.role import people
from rackwright.roles.sshd.role import sshd
from rackwright.roles.sysctl.role import sysctl
from rackwright.roles.time_sync.role import time_sync
from rackwright.roles.updates.role import updates


def entry() -> None:
    """Set up the host's downloads; load its packet filter and sshd settings until they are confirmed or expire."""
    spec: HostSpec = host.data.spec
    layout(settings=spec.layout)
    downloads(settings=spec.downloads)
    firewall(settings=spec.firewall)
    sshd(settings=spec.baseline.sshd)


def baseline() -> None:
    """Set up the host itself as the fleet file says: its people, then its `baseline`.

    An item with `manage: no` is left alone.
    """
    spec: HostSpec = host.data.spec
    people(settings=spec.people)
    wanted = spec.baseline
    time_sync(settings=wanted.time_sync)
    fail2ban(settings=wanted.fail2ban, ssh_port=spec.firewall.ssh_port, ignoreip=spec.never_shut_out)
    journald(settings=wanted.journald)
    sysctl(settings=wanted.sysctl)
    updates(settings=wanted.updates)
    if spec.boot is not None:
        boot()
    if spec.patch is not None:
        patch(settings=spec.patch)
    auditd(settings=wanted.auditd)
    apparmor(settings=wanted.apparmor)
    core_dumps(settings=wanted.core_dumps)
    modules(settings=wanted.modules)
    logins(settings=wanted.logins)
