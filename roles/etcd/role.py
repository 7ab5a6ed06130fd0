"""Install etcd on a control host, ready to become a member."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.filesystem.folder import folder
from rackwright.operations.packages import installed
from rackwright.operations.unit import systemd_unit
from rackwright.operations.user import system_user
from rackwright.roles.etcd.configuration import ctl_text, etcd_env, export_text, unit_text
from rackwright.roles.etcd.settings import CTL, EXPORT, FOLDER, OLDEST, SETTINGS, UNIT, USER, Settings

NEW_ENOUGH = (
    "{ found=$(dpkg-query -W -f '${Version}' etcd-server); "
    f'dpkg --compare-versions "$found" ge {OLDEST} || {{ '
    f'echo "etcd-server $found ignores settings; should be {OLDEST} or newer: control hosts run Debian 13" >&2; '
    "false; }; }"
)


@deploy("etcd")
def etcd(*, settings: Settings) -> None:
    """Ensure that etcd is installed, and starts at boot if the host is a member. It is neither started nor restarted.

    If all members restarted at once, nothing could be written: who forms the cluster restarts one after the other.
    Installing the package doesn't start Debian's etcd.service; one that already runs is left alone.
    """
    installed(
        name="Install etcd", packages=("etcd-server", "etcd-client", "python3-minimal"), unstarted=("etcd.service",)
    )
    system_user(name=f"Make the user {USER}", user=USER)
    folder(name="Make the folder of etcd", path=FOLDER)
    checked_file(name="Write etcd's settings", path=SETTINGS, content=etcd_env(settings), check=NEW_ENOUGH)
    checked_file(name="Write the script for root", path=CTL, content=ctl_text(), mode="0700", check="sh -n {path}")
    checked_file(
        name="Write the program for backups",
        path=EXPORT,
        content=export_text(),
        mode="0700",
        check="python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' {path}",
    )
    systemd_unit(name=f"Write {UNIT}", unit=UNIT, content=unit_text(), verify=True)
