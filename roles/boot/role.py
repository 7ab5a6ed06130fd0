"""Install the script that boots a kernel once."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.roles.boot import scripts
from rackwright.roles.boot.settings import SCRIPT


@deploy("boot")
def boot() -> None:
    """Ensure that the host has the script. What boots, now and by default, stays as it is."""
    for path, text in scripts.ALL.items():
        checked_file(
            name=f"Write {path.rpartition('/')[2]}",
            path=path,
            content=text,
            mode="0755" if path == SCRIPT else "0644",
            check="sh -n {path}",
        )
