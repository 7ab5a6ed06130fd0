"""Prepare a gateway to record requests for a migration."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.folder import folder
from rackwright.operations.filesystem.shipped import program
from rackwright.operations.packages import installed
from rackwright.operations.unit import systemd_unit
from rackwright.operations.user import system_user
from rackwright.roles.capture.settings import FOLDER, SERVICE, SOCKET_UNIT, STATE, USER
from rackwright.roles.capture.shipped import PROGRAM

TEMPLATES = Path(__file__).parent / "templates"


@deploy("capture")
def capture() -> None:
    """Install age, Python, the user, the program and its units; nothing is started.

    The units start at boot if a capture was started at run time and hasn't been stopped. A running capture keeps the
    program with which it was started.
    """
    # A host may have only python3-minimal, which lacks modules.
    installed(name="Install age and Python", packages=("age", "python3"))
    system_user(name=f"Make the user {USER}", user=USER)
    folder(name="Make the folder for the program", path=FOLDER)
    folder(name="Make the folder for recorded requests", path=STATE)
    program(PROGRAM)
    for unit in (SOCKET_UNIT, SERVICE):
        systemd_unit(name=f"Write {unit}", unit=unit, content=(TEMPLATES / unit).read_text(encoding="utf-8"))
