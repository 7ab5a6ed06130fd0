"""Keep the clock correct, with the daemon that the host has."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.clock import clock_keeper, one_keeper, time_servers
from rackwright.operations.packages import installed
from rackwright.operations.unit import adopted
from rackwright.roles.time_sync.settings import CHRONY, TIMESYNCD, Settings


@deploy("time_sync")
def time_sync(*, settings: Settings) -> None:
    """Ensure that a daemon keeps the clock correct, now and at boot: the one that the host has, or else chrony.

    If a second daemon sets the clock too, it is reported and left running.
    """
    if settings.manage == "no":
        return
    keeper = clock_keeper()
    if keeper is None:
        keeper = "chrony.service"
        installed(name="Install chrony", packages=("chrony",))
    adopted(name="Keep the clock correct", unit=keeper)
    one_keeper(name="Check whether another daemon sets the clock", unit=keeper)
    files = {"chrony.service": CHRONY, "systemd-timesyncd.service": TIMESYNCD}
    time_servers(name="Set the time servers", unit=keeper, servers=settings.servers, files=files)
