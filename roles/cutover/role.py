"""Prepare a gateway for the way back of a cutover."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.unit import UNITS, running, systemd_unit
from rackwright.roles.cutover import units
from rackwright.roles.cutover.configuration import rollback_script
from rackwright.roles.cutover.settings import PATH_UNIT, RECORDS, SCRIPT, SERVICE


@deploy("cutover")
def cutover() -> None:
    """Ensure that the panic file, or the script by hand, sends all requests back to the cloud without this tool.

    Run this after the role `gateway`.
    """
    folder(name="Make the folder for records of cutovers", path=RECORDS)
    checked_file(name=f"Write {SCRIPT}", path=SCRIPT, content=rollback_script(), mode="0755", check="sh -n {path}")
    systemd_unit(name=f"Write {SERVICE}", unit=SERVICE, content=units.service(), enabled=None, verify=True)
    written = systemd_unit(name=f"Write {PATH_UNIT}", unit=PATH_UNIT, content=units.path())
    running(
        name="Watch for the panic file",
        unit=PATH_UNIT,
        restart_if=[written],
        restart_files=(f"{UNITS}/{PATH_UNIT}",),
    )
