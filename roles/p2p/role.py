"""Prepare a host to receive weights from other hosts and to pass them on."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.packages import installed
from rackwright.operations.user import system_user
from rackwright.roles.p2p.settings import FOLDER, PROGRAM, USER


@deploy("p2p")
def p2p() -> None:
    """Install libtorrent, the user and rackwright's program; nothing is started."""
    installed(name="Install libtorrent", packages=("python3-libtorrent",))
    system_user(name=f"Make the user {USER}", user=USER)
    folder(name="Make the folder for p2p", path=FOLDER)
    program = (Path(__file__).parent / "templates" / "p2p.py").read_text(encoding="utf-8")
    checked_file(
        name=f"Write {PROGRAM}",
        path=PROGRAM,
        content=program,
        check="python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' {path}",
    )
