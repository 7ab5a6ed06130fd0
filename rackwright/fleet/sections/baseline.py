"""The baseline of a host, apart from packet filter and engines: one key per item, each with `manage: yes` or `no`."""

from __future__ import annotations

from rackwright.roles.apparmor.settings import Settings as AppArmor
from rackwright.roles.auditd.settings import Settings as Auditd
from rackwright.roles.core_dumps.settings import Settings as CoreDumps
from rackwright.roles.fail2ban.settings import Settings as Fail2ban
from rackwright.roles.journald.settings import Settings as Journald
from rackwright.roles.logins.settings import Settings as Logins
from rackwright.roles.modules.settings import Settings as Modules
from rackwright.roles.sshd.settings import Settings as Sshd
from rackwright.roles.sysctl.settings import Settings as Sysctl
from rackwright.roles.time_sync.settings import Settings as TimeSync
from rackwright.roles.updates.settings import Settings as Updates
from rackwright.values.base import Frozen
from rackwright.values.text import Manage


class Baseline(Frozen):
    """The baseline of a host. Existing settings are adopted where possible."""

    manage: Manage = "yes"
    """`no` leaves all items alone, whatever their own `manage` says."""
    sshd: Sshd = Sshd.model_construct()
    """SSH logins."""
    time_sync: TimeSync = TimeSync.model_construct()
    """Time synchronization."""
    fail2ban: Fail2ban = Fail2ban.model_construct()
    """Bans addresses from sshd after repeated failed logins."""
    journald: Journald = Journald.model_construct()
    """The size limit and retention of the journal."""
    sysctl: Sysctl = Sysctl.model_construct()
    """Kernel settings against spoofed packets and against users who inspect the system."""
    updates: Updates = Updates.model_construct()
    """Automatic security updates."""
    auditd: Auditd = Auditd.model_construct()
    """Audit records of changes to security-relevant files."""
    apparmor: AppArmor = AppArmor.model_construct()
    """AppArmor, enabled."""
    core_dumps: CoreDumps = CoreDumps.model_construct()
    """No core dumps, which would contain prompts and keys."""
    modules: Modules = Modules.model_construct()
    """Kernel modules that a serving host doesn't need, never loaded."""
    logins: Logins = Logins.model_construct()
    """Idle shells at the console end; new passwords must be strong."""

    def decided(self) -> Baseline:
        """Return the baseline for the roles: with `manage: no` here, every item gets `manage: no`."""
        if self.manage == "yes":
            return self
        items = {name: getattr(self, name) for name in type(self).model_fields if name != "manage"}
        return self.model_copy(
            update={name: item.model_copy(update={"manage": "no"}) for name, item in items.items()}
        )
