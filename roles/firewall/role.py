"""Load a host's packet filter, and make it permanent after a fresh connection has proven that ssh still works."""

from __future__ import annotations

from pathlib import Path

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.nftables import table_confirmed, table_pending
from rackwright.operations.packages import installed
from rackwright.operations.unit import running, systemd_unit
from rackwright.operations.user import system_user
from rackwright.roles.firewall.rules import rules
from rackwright.roles.firewall.settings import UNIT, Settings

BOOT_FILE = "/etc/rackwright/firewall.nft"


@deploy("firewall")
def firewall(*, settings: Settings) -> None:
    """Load the new rules for `confirm_seconds`; at boot the old ones still apply.

    With `existing: replace`, ufw and firewalld are stopped. With `keep`, packets must pass both their rules and
    rackwright's.
    """
    installed(name="Install nftables", packages=("nftables",))
    for engine in settings.confined:
        # nft looks up users when it loads the rules.
        system_user(name=f"Make the user {engine.user}", user=engine.user)
    table_pending(
        name="Load the packet filter, until confirmed",
        rules=rules(settings),
        boot_file=BOOT_FILE,
        confirm_seconds=settings.confirm_seconds,
        replace=settings.existing == "replace",
    )


@deploy("firewall")
def confirm_firewall(*, settings: Settings) -> None:
    """Make the current rules permanent. Run this over a connection that was made after `firewall`."""
    wanted = rules(settings)
    table_confirmed(name="Confirm the packet filter", rules=wanted, replace=settings.existing == "replace")
    checked_file(name="Write the packet filter for boot", path=BOOT_FILE, content=wanted, check="nft -c -f {path}")
    unit = (Path(__file__).parent / "templates" / UNIT).read_text()
    systemd_unit(name="Load the packet filter at boot", unit=UNIT, content=unit)
    # An active unit is restarted and reloaded along with nftables.service.
    running(name="Reload the packet filter with nftables.service", unit=UNIT)
