"""Have the kernel write down who changes what decides over the host."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.audit import audited
from rackwright.operations.packages import installed
from rackwright.roles.auditd.rules import rules
from rackwright.roles.auditd.settings import RULES, Settings


@deploy("auditd")
def auditd(*, settings: Settings) -> None:
    """Afterwards changes of users, sudo, sshd, units, modules and of our own files are in the audit log.

    Rules of others stay. Where the kernel audits nothing (a container), that is named.
    """
    if settings.manage == "no":
        return
    installed(name="Install auditd", packages=("auditd",))
    audited(name="Write down what changes", unit="auditd.service", path=RULES, rules=rules(settings))
