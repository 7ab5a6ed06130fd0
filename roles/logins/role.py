"""End forgotten logins at the console, and require strong passwords where people set one."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.packages import installed
from rackwright.operations.passwords import passwords_checked
from rackwright.roles.logins.settings import PROFILE, Settings

_PWQUALITY = "libpam-pwquality"
_PROFILE = """\
# Written by rackwright: baseline.logins of the fleet file.
# The next person at the console, also remotely, would have the rights of the one who forgot to log out.
case $(tty 2>/dev/null) in
/dev/console | /dev/tty[0-9]* | /dev/ttyS* | /dev/ttyAMA* | /dev/hvc*)
\tTMOUT={seconds}
\texport TMOUT
\t;;
esac
"""


@deploy("logins")
def logins(*, settings: Settings) -> None:
    """Ensure that idle shells at the console end, and that new passwords (for sudo, the console) are strong."""
    if settings.manage == "no":
        return
    checked_file(
        name="End idle shells at the console",
        path=PROFILE,
        content=profile(settings),
        check="sh -n {path}",
        folder=True,
    )
    # Its package adds it to PAM's stack for changes of passwords, unless that was edited manually. It refuses every
    # password without a dictionary, which libpam-pwquality only recommends.
    installed(name="Install the check of new passwords", packages=("cracklib-runtime", _PWQUALITY))
    passwords_checked(name="Look whether new passwords are checked", package=_PWQUALITY)


def profile(settings: Settings) -> str:
    """Return the drop-in that login shells read."""
    return _PROFILE.format(seconds=settings.console_timeout)
