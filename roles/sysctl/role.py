"""Set the kernel's settings against spoofed packets and curious local users."""

from __future__ import annotations

from pyinfra.api.deploy import deploy
from pyinfra.context import host

from rackwright.operations.facts.kernel import Advertised
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.kernel import kernel_settings
from rackwright.roles.sysctl.hardening import drop_in, notes, wanted
from rackwright.roles.sysctl.settings import DROP_IN, Settings


@deploy("sysctl")
def sysctl(*, settings: Settings) -> None:
    """Ensure that the kernel has these settings now and at boot, except those that a later file overrides.

    An interface that has its addresses or routes from IPv6 router advertisements goes on accepting them, until the
    fleet file has a value for it.
    """
    if settings.manage == "no":
        return
    advertised = host.get_fact(Advertised, path=DROP_IN)
    values = wanted(settings, advertised)
    checked_file(name="Write the kernel's settings", path=DROP_IN, content=drop_in(values), folder=True)
    kernel_settings(name="Apply the kernel's settings", path=DROP_IN, wanted=values, kept=notes(settings, advertised))
