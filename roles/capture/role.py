"""Prepare a gateway to record requests for a migration."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.filesystem.others_absent import others_absent
from rackwright.operations.packages import installed
from rackwright.operations.unit import systemd_unit
from rackwright.operations.user import system_user
from rackwright.roles.capture.settings import FOLDER, SERVICE, SOCKET_UNIT, STATE, USER
from rackwright.roles.capture.shipped import FOLDERS, MODULES, SUMS, sums

TEMPLATES = Path(__file__).parent / "templates"
_SYNTAX = "python3 -I -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' {path}"


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
    _program()
    for unit in (SOCKET_UNIT, SERVICE):
        systemd_unit(name=f"Write {unit}", unit=unit, content=(TEMPLATES / unit).read_text(encoding="utf-8"))


def _program() -> None:
    for name in FOLDERS:
        folder(name=f"Make the folder {name}", path=f"{FOLDER}/{name}")
    for name, source in MODULES.items():
        checked_file(
            name=f"Write {name}",
            path=f"{FOLDER}/{name}",
            content=source.read_text(encoding="utf-8"),
            check=_SYNTAX,
        )
    # Modules of two versions together could redact less than either.
    checked_file(name=f"Write {SUMS}", path=f"{FOLDER}/{SUMS}", content=sums())
    # A module of an earlier version could be imported, and so could a compiled one.
    others_absent(name="Remove other files of the program", folder=FOLDER, keep=(*MODULES, SUMS))
