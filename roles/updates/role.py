"""Install security updates automatically, except for packages that engines and GPUs run on."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.apt import apt_unopposed
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.packages import installed
from rackwright.operations.unit import adopted
from rackwright.roles.updates.configuration import MARK, ORIGINS, SWITCHES, apt, needrestart
from rackwright.roles.updates.settings import APT, NEEDRESTART, Settings


@deploy("updates")
def updates(*, settings: Settings) -> None:
    """Install security updates daily, without reboots, for everything except kernel, GPUs, HAProxy and engines."""
    if settings.manage == "no":
        return
    # Before the packages, because unattended-upgrades' first run would use its default settings.
    checked_file(
        name="Write which packages are updated automatically",
        path=APT,
        content=apt(settings),
        check="apt-config -c={path} dump >/dev/null",
    )
    checked_file(
        name="Write which services are never restarted",
        path=NEEDRESTART,
        content=needrestart(),
        check="perl -c {path} 2>/dev/null",
        folder=True,
    )
    installed(name="Install unattended-upgrades and needrestart", packages=("unattended-upgrades", "needrestart"))
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        adopted(name=f"Run {unit}", unit=unit)
    apt_unopposed(
        name="Check for other update settings",
        mark=MARK,
        switches=SWITCHES,
        lists={"Unattended-Upgrade::Origins-Pattern": ORIGINS, "Unattended-Upgrade::Allowed-Origins": ()},
    )
