"""Add up what a gateway's clients use."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.filesystem.shipped import LOG_PROGRAM, Shipped, program
from rackwright.operations.packages import installed
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.roles.usage import units
from rackwright.roles.usage.settings import ASK, FOLDER, QUOTAS, SERVICE, TELL, TIMER, Settings

PROGRAM = Shipped(FOLDER, (LOG_PROGRAM, "rackwright/roles/usage/program"))


@deploy("usage")
def usage(*, settings: Settings) -> None:
    """Ensure that the gateway's usage is added up again and again, and that its HAProxy knows of used quotas.

    Run this after the role `gateway`, whose HAProxy it asks.
    """
    # A host may have only python3-minimal, which lacks modules.
    installed(name="Install Python", packages=("python3",))
    folder(name="Make the folder for the usage program", path=FOLDER)
    program(PROGRAM, others=(ASK, TELL, QUOTAS))
    for name, script in ((ASK, units.ask_script(settings)), (TELL, units.tell_script())):
        path = f"{FOLDER}/{name}"
        checked_file(name=f"Write {path}", path=path, content=script, mode="0755", check="sh -n {path}")
    path = f"{FOLDER}/{QUOTAS}"
    checked_file(name=f"Write {path}", path=path, content=units.quotas_text(settings))
    systemd_unit(name=f"Write {SERVICE}", unit=SERVICE, content=units.service(settings), enabled=None, verify=True)
    timer = systemd_unit(name=f"Write {TIMER}", unit=TIMER, content=units.timer(settings))
    # Each look reads the other files.
    running(name="Add up usage", unit=TIMER, restart_if=[timer], restart_files=(f"{UNITS}/{TIMER}",))
