"""Keep the journal over reboots, within bounds."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.file import checked_file
from rackwright.operations.unit import running
from rackwright.roles.journald.settings import DROP_IN, Settings

UNIT = "systemd-journald.service"


@deploy("journald")
def journald(*, settings: Settings) -> None:
    """Afterwards the journal stands on disk, and takes no more room and time than it may."""
    if settings.manage == "no":
        return
    checked_file(name="Write the journal's limits", path=DROP_IN, content=configuration(settings), folder=True)
    # What services write meanwhile waits in their sockets, which systemd holds.
    running(name="Restart the journal on its new limits", unit=UNIT, restart_files=(DROP_IN,))


def configuration(settings: Settings) -> str:
    """Return the drop-in as journald.conf(5) reads it."""
    return (
        "# Written by rackwright: baseline.journald of the fleet file. journald.conf(5)\n"
        "[Journal]\n"
        "Storage=persistent\n"
        f"SystemMaxUse={settings.max_use}\n"
        f"MaxRetentionSec={settings.keep}s\n"
    )
