"""Keep crashed programs from writing their memory to disk."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.configuration import unopposed
from rackwright.operations.filesystem.file import checked_file
from rackwright.roles.core_dumps.settings import COREDUMP, LIMITS, Settings

_WANTED = {"Storage": "none", "ProcessSizeMax": "0"}
_MARK = "# Written by rackwright: baseline.core_dumps of the fleet file.\n"
_COREDUMP = f"{_MARK}[Coredump]\n" + "".join(f"{key}={value}\n" for key, value in _WANTED.items())
# The asterisk means everyone except root. limits.conf(5)
_LIMITS = f"{_MARK}* hard core 0\nroot hard core 0\n"


@deploy("core_dumps")
def core_dumps(*, settings: Settings) -> None:
    """Ensure that neither logged-in users' programs nor systemd-coredump write core dumps.

    systemd-coredump need not be installed. It still logs that a program crashed.
    """
    if settings.manage == "no":
        return
    checked_file(name="Turn off core dumps of new logins", path=LIMITS, content=_LIMITS, folder=True)
    checked_file(name="Turn off systemd's core dumps", path=COREDUMP, content=_COREDUMP, folder=True)
    unopposed(name="Check for other settings of core dumps", path=COREDUMP, wanted=_WANTED)
