"""Create the folders, group and log that all other roles need; remove what no longer belongs on the host."""

from __future__ import annotations

from pathlib import PurePosixPath

from pyinfra.api.deploy import deploy

from rackwright.launch import RUNTIMES
from rackwright.operations.filesystem.file import kept_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.retired import retired_builds, retired_files, retired_tools, retired_units, retired_users
from rackwright.operations.unit import systemd_unit
from rackwright.operations.user import system_group
from rackwright.roles.layout.settings import SOCKETS_UNIT, Settings
from rackwright.roles.layout.sockets import UNIT_TEXT

GROUP = "rackwright"
"""Its members, the host proxy and the probes, may open engines' sockets."""
RECORD = "/var/lib/rackwright"
_FOLDERS = ("/etc/rackwright", "/etc/rackwright/certificates", RECORD)
_RUNTIMES = (str(PurePosixPath(RUNTIMES).parent), RUNTIMES)


@deploy("layout")
def layout(*, settings: Settings) -> None:
    """Create rackwright's folders, owned by root and readable by all, and the audit log, readable by group adm.

    A host that serves also gets the group and the mount for engine sockets.
    """
    for path in (*_FOLDERS, *(_RUNTIMES if settings.serves else ())):
        folder(name=f"Make the folder {path}", path=path)
    kept_file(name="Create the audit log", path=f"{RECORD}/audit.log", mode="0640", group="adm")
    if settings.serves:
        system_group(name="Add the group for engine sockets", group=GROUP)
        # The units of engines, probes and host proxy require it and start it.
        systemd_unit(name=f"Write {SOCKETS_UNIT}", unit=SOCKETS_UNIT, content=UNIT_TEXT, enabled=None)


@deploy("layout")
def retire(*, settings: Settings) -> None:
    """Remove rackwright's units, files, users and kept builds that the fleet doesn't name; models and runtimes stay.

    Of the tool, the version before the current one stays, too. Run this when gateways and proxies no longer send
    anything to them.
    """
    retired_units(name="Remove units that the fleet no longer names", keep=settings.keep_units)
    retired_files(name="Remove files that the fleet no longer names", keep=settings.keep_files)
    retired_users(name="Remove users that the fleet no longer names", keep=settings.keep_users)
    retired_builds(name="Remove kept builds that the fleet no longer names", keep=settings.keep_builds)
    retired_tools(name="Remove versions of the tool that are no longer needed", keep=settings.keep_tool)
