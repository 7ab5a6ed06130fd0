"""Have security updates install themselves, but for what engines and GPUs run on."""

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
    """Afterwards security updates come daily, without a reboot, and leave kernel, GPUs, HAProxy and engines alone."""
    if settings.manage == "no":
        return
    # First: the package's own first run would take what its own settings say.
    checked_file(
        name="Write what updates itself",
        path=APT,
        content=apt(settings),
        check="apt-config -c={path} dump >/dev/null",
    )
    checked_file(
        name="Write what is never restarted",
        path=NEEDRESTART,
        content=needrestart(),
        check="perl -c {path} 2>/dev/null",
        folder=True,
    )
    installed(name="Install what updates", packages=("unattended-upgrades", "needrestart"))
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        adopted(name=f"Run {unit}", unit=unit)
    apt_unopposed(
        name="Look for other settings of updates",
        mark=MARK,
        switches=SWITCHES,
        lists={"Unattended-Upgrade::Origins-Pattern": ORIGINS, "Unattended-Upgrade::Allowed-Origins": ()},
    )
