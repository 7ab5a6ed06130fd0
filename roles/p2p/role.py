"""Have a host ready to take weights from other hosts, and to pass them on."""

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
    """Afterwards libtorrent, a user and our program are there; nothing runs."""
    installed(name="Install libtorrent", packages=("python3-libtorrent",))
    system_user(name=f"Make the user {USER}", user=USER)
    folder(name="Make the folder of p2p", path=FOLDER)
    program = (Path(__file__).parent / "templates" / "p2p.py").read_text(encoding="utf-8")
    checked_file(
        name=f"Write {PROGRAM}",
        path=PROGRAM,
        content=program,
        check="python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' {path}",
    )
