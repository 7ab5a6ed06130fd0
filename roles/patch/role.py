"""Install what `patch` asks on a host: needrestart, dpkg-repack, and debsecan on Debian."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.packages import installed
from rackwright.roles.patch.settings import DEBSECAN, NO_MAIL, ONLY_DEBIAN, Settings


@deploy("patch")
def patch(*, settings: Settings) -> None:
    """Install the programs that `patch plan` asks; debsecan without its daily mail. Changes no other package."""
    installed(name="Install needrestart and dpkg-repack", packages=settings.programs)
    # If debsecan is there already, the operator has decided about its mail.
    installed(name="Install debsecan", packages=(DEBSECAN,), answers=(NO_MAIL,), only_with=ONLY_DEBIAN)
