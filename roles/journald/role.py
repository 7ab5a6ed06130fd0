"""Keep the journal over reboots, within bounds."""

from __future__ import annotations

from collections.abc import Mapping

from pyinfra.api.deploy import deploy

from rackwright.operations.configuration import unopposed
from rackwright.operations.file import checked_file
from rackwright.operations.unit import adopted
from rackwright.roles.journald.settings import DROP_IN, Settings


@deploy("journald")
def journald(*, settings: Settings) -> None:
    """Afterwards the journal stands on disk, and takes no more room and time than it may."""
    if settings.manage == "no":
        return
    wanted = limits(settings)
    checked_file(name="Write the journal's limits", path=DROP_IN, content=configuration(wanted), folder=True)
    # What services write meanwhile waits in their sockets, which systemd holds.
    adopted(name="Run the journal on its limits", unit="systemd-journald.service", restart_files=(DROP_IN,))
    unopposed(name="Look for other limits of the journal", path=DROP_IN, wanted=wanted)


def limits(settings: Settings) -> Mapping[str, str]:
    """Return what journald.conf(5) should say."""
    return {
        "Storage": "persistent",
        "SystemMaxUse": str(settings.max_use),
        "MaxRetentionSec": f"{settings.keep}s",
    }


def configuration(wanted: Mapping[str, str]) -> str:
    """Return the drop-in as journald.conf(5) reads it."""
    lines = "".join(f"{key}={value}\n" for key, value in wanted.items())
    return f"# Written by rackwright: baseline.journald of the fleet file.\n[Journal]\n{lines}"
