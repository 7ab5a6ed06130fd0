"""Install the timer that reads the driver's Xids from the kernel's log, for the probes of all replicas on a host."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.roles.gpu_faults import scripts, units
from rackwright.roles.gpu_faults.settings import SCRIPT, SERVICE, TIMER, XIDS, Settings


@deploy("gpu_faults")
def gpu_faults(*, settings: Settings) -> None:
    """Ensure that each GPU fault is in a file that the probes read, a few seconds after the driver reports it."""
    checked_file(name="Write which Xids fault a replica", path=XIDS, content=scripts.xids())
    checked_file(name="Write the script for GPU faults", path=SCRIPT, content=scripts.script(), check="sh -n {path}")
    systemd_unit(name="Write the unit for GPU faults", unit=SERVICE, content=units.service(), enabled=None)
    written = systemd_unit(name="Write the timer for GPU faults", unit=TIMER, content=units.timer(settings))
    running(name="Look for GPU faults", unit=TIMER, restart_if=[written], restart_files=(f"{UNITS}/{TIMER}",))
