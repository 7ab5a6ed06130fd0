"""Have the kernel log who changes security-relevant files."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.audit import audited
from rackwright.operations.packages import installed
from rackwright.roles.auditd.rules import rules
from rackwright.roles.auditd.settings import RULES, Settings


@deploy("auditd")
def auditd(*, settings: Settings) -> None:
    """Ensure that changes to users, sudo, sshd, units, modules and rackwright's files are in the audit log.

    Other audit rules stay. If the kernel audits nothing (in a container), that is reported.
    """
    if settings.manage == "no":
        return
    installed(name="Install auditd", packages=("auditd",))
    audited(name="Log changes to security-relevant files", unit="auditd.service", path=RULES, rules=rules(settings))
