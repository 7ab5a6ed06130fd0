"""Leave AppArmor at work, and bring it where the kernel has it."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.apparmor import apparmor_enforcing
from rackwright.operations.packages import installed
from rackwright.roles.apparmor.settings import Settings


@deploy("apparmor")
def apparmor(*, settings: Settings) -> None:
    """Afterwards AppArmor's profiles are loaded at boot; a profile that somebody lets complain only is left so.

    Where the kernel has it off, that is named.
    """
    if settings.manage == "no":
        return
    installed(name="Install AppArmor", packages=("apparmor",))
    apparmor_enforcing(name="Keep AppArmor at work", unit="apparmor.service")
