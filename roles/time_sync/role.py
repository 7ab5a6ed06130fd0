"""Keep the clock right, by the daemon that is there."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.clock import clock_keeper, one_keeper, time_servers
from rackwright.operations.packages import installed
from rackwright.operations.unit import adopted
from rackwright.roles.time_sync.settings import CHRONY, TIMESYNCD, Settings


@deploy("time_sync")
def time_sync(*, settings: Settings) -> None:
    """Afterwards one daemon keeps the clock right, now and at boot: the one that is there, or else chrony.

    A second one that somebody runs beside it is named, and left.
    """
    if settings.manage == "no":
        return
    keeper = clock_keeper()
    if keeper is None:
        keeper = "chrony.service"
        installed(name="Install chrony", packages=("chrony",))
    adopted(name="Keep the clock right", unit=keeper)
    one_keeper(name="Look whether another daemon sets the clock", unit=keeper)
    files = {"chrony.service": CHRONY, "systemd-timesyncd.service": TIMESYNCD}
    time_servers(name="Name the time servers", unit=keeper, servers=settings.servers, files=files)
