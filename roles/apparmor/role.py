"""Keep AppArmor active, and install it if the kernel supports it."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.apparmor import apparmor_enforcing
from rackwright.operations.packages import installed
from rackwright.roles.apparmor.settings import Settings


@deploy("apparmor")
def apparmor(*, settings: Settings) -> None:
    """Ensure that AppArmor's profiles are loaded at boot. A profile in complain mode stays in that mode.

    If AppArmor is off in the kernel, that is reported.
    """
    if settings.manage == "no":
        return
    installed(name="Install AppArmor", packages=("apparmor",))
    apparmor_enforcing(name="Keep AppArmor active", unit="apparmor.service")
