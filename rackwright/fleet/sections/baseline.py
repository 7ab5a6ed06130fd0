"""What a host has beside its packet filter and its engines: one field an item, each with `manage: yes` or `no`."""

from __future__ import annotations

from rackwright.roles.apparmor.settings import Settings as AppArmor
from rackwright.roles.auditd.settings import Settings as Auditd
from rackwright.roles.fail2ban.settings import Settings as Fail2ban
from rackwright.roles.journald.settings import Settings as Journald
from rackwright.roles.sshd.settings import Settings as Sshd
from rackwright.roles.sysctl.settings import Settings as Sysctl
from rackwright.roles.time_sync.settings import Settings as TimeSync
from rackwright.roles.updates.settings import Settings as Updates
from rackwright.values.base import Frozen
from rackwright.values.text import Manage


class Baseline(Frozen):
    """The host itself. What is there is adopted, not trampled."""

    manage: Manage = "yes"
    """`no` leaves all items alone, whatever they say themselves."""
    sshd: Sshd = Sshd.model_construct()
    """How people get in."""
    time_sync: TimeSync = TimeSync.model_construct()
    """A clock that is right."""
    fail2ban: Fail2ban = Fail2ban.model_construct()
    """Who fails to log in again and again is shut out of sshd."""
    journald: Journald = Journald.model_construct()
    """How much the journal keeps, and for how long."""
    sysctl: Sysctl = Sysctl.model_construct()
    """How the kernel treats packets that lie and users who look around."""
    updates: Updates = Updates.model_construct()
    """Security updates that install themselves."""
    auditd: Auditd = Auditd.model_construct()
    """Who changed what decides over the host."""
    apparmor: AppArmor = AppArmor.model_construct()
    """AppArmor at work."""

    def decided(self) -> Baseline:
        """Return the items as roles take them: with `manage: no` for all, each says so itself."""
        if self.manage == "yes":
            return self
        items = {name: getattr(self, name) for name in type(self).model_fields if name != "manage"}
        return self.model_copy(
            update={name: item.model_copy(update={"manage": "no"}) for name, item in items.items()}
        )
