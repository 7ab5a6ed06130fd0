"""Load what a host lets in, and keep it once a fresh connection has proven that we still get in."""

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
    """Afterwards the new rules act until `confirm_seconds` end; at boot the old ones still do.

    With `existing: replace`, ufw and firewalld stop; with `keep` a packet must pass theirs and ours.
    """
    installed(name="Install nftables", packages=("nftables",))
    for engine in settings.confined:
        # nft looks a user up when it loads the rules.
        system_user(name=f"Make the user {engine.user}", user=engine.user)
    table_pending(
        name="Load the packet filter, until it is confirmed",
        rules=rules(settings),
        boot_file=BOOT_FILE,
        confirm_seconds=settings.confirm_seconds,
        replace=settings.existing == "replace",
    )


@deploy("firewall")
def confirm_firewall(*, settings: Settings) -> None:
    """Afterwards the rules that act stay, and act at boot. To be run over a connection made after `firewall`."""
    wanted = rules(settings)
    table_confirmed(name="Keep the packet filter", rules=wanted, replace=settings.existing == "replace")
    checked_file(name="Write the packet filter for boot", path=BOOT_FILE, content=wanted, check="nft -c -f {path}")
    unit = (Path(__file__).parent / "templates" / UNIT).read_text()
    systemd_unit(name="Load the packet filter at boot", unit=UNIT, content=unit)
    # Active, it follows when nftables.service is restarted or reloaded.
    running(name="Tie the packet filter to nftables.service", unit=UNIT)
