"""Set the kernel's settings against spoofed packets and curious local users."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.kernel import kernel_settings
from rackwright.roles.sysctl.hardening import drop_in, wanted
from rackwright.roles.sysctl.settings import DROP_IN, Settings


@deploy("sysctl")
def sysctl(*, settings: Settings) -> None:
    """Ensure that the kernel has these settings now and at boot, except those that a later file overrides."""
    if settings.manage == "no":
        return
    values = wanted(settings)
    checked_file(name="Write the kernel's settings", path=DROP_IN, content=drop_in(values), folder=True)
    kernel_settings(name="Apply the kernel's settings", path=DROP_IN, wanted=values)
