"""Run keepalived, which gives the gateways' virtual address to a gateway that answers."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.interface import file_for_interface
from rackwright.operations.packages import installed
from rackwright.operations.unit import running, systemd_unit
from rackwright.roles.vip.configuration import check_text, keepalived_conf, unit_text
from rackwright.roles.vip.settings import FOLDER, UNIT, Settings


@deploy("vip")
def vip(*, settings: Settings) -> None:
    """Ensure that this gateway takes the virtual address if it answers and no other gateway has the address.

    Installing the package doesn't start Debian's keepalived.service; one that already runs is left alone.
    """
    installed(name="Install keepalived", packages=("keepalived", "socat"), unstarted=("keepalived.service",))
    folder(name="Make the folder of the virtual address", path=FOLDER)
    check = checked_file(
        name="Write the check of the gateway",
        path=f"{FOLDER}/check",
        content=check_text(),
        mode="0755",
        check="sh -n {path}",
    )
    configuration = file_for_interface(
        name="Write keepalived's configuration",
        path=f"{FOLDER}/keepalived.conf",
        address=str(settings.own),
        content=lambda interface: keepalived_conf(settings, interface),
        check="keepalived --config-test --use-file={path}",
    )
    unit = systemd_unit(name=f"Write {UNIT}", unit=UNIT, content=unit_text(), verify=True)
    running(
        name=f"Run {UNIT}",
        unit=UNIT,
        restart_if=[unit],
        reload_if=[check, configuration],
        reload_files=(f"{FOLDER}/check", f"{FOLDER}/keepalived.conf"),
    )
