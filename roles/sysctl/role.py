"""Tell the kernel how to treat packets that lie and users who look around."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.kernel import kernel_settings
from rackwright.roles.sysctl.hardening import drop_in, wanted
from rackwright.roles.sysctl.settings import DROP_IN, Settings


@deploy("sysctl")
def sysctl(*, settings: Settings) -> None:
    """Afterwards the kernel has these settings, now and at boot, but for those that another file sets after ours."""
    if settings.manage == "no":
        return
    values = wanted(settings)
    checked_file(name="Write the kernel's settings", path=DROP_IN, content=drop_in(values), folder=True)
    kernel_settings(name="Set what the running kernel has otherwise", path=DROP_IN, wanted=values)
