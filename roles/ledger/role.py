"""Keep the ledger of a gateway in front of clouds."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.filesystem.shipped import LOG_PROGRAM, Shipped, program
from rackwright.operations.packages import installed
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.roles.ledger import units
from rackwright.roles.ledger.settings import FOLDER, SERVICE, TABLES, TIMER, Settings

PROGRAM = Shipped(FOLDER, (LOG_PROGRAM, "rackwright/roles/ledger/program"))


@deploy("ledger")
def ledger(*, settings: Settings) -> None:
    """Ensure that the gateway counts, each minute, what it accepted and what became of it.

    Run this after the role `gateway`, whose HAProxy it asks.
    """
    # A host may have only python3-minimal, which lacks modules.
    installed(name="Install Python", packages=("python3",))
    folder(name="Make the folder for the ledger's program", path=FOLDER)
    program(PROGRAM, others=(TABLES,))
    path = f"{FOLDER}/{TABLES}"
    script = units.tables_script(settings)
    checked_file(name=f"Write {path}", path=path, content=script, mode="0755", check="sh -n {path}")
    systemd_unit(name=f"Write {SERVICE}", unit=SERVICE, content=units.service(settings), enabled=None, verify=True)
    timer = systemd_unit(name=f"Write {TIMER}", unit=TIMER, content=units.timer(settings))
    # Each look reads the other files.
    running(name="Keep the ledger", unit=TIMER, restart_if=[timer], restart_files=(f"{UNITS}/{TIMER}",))
