"""Shut out of sshd who fails to log in again and again, by a table of nftables beside ours."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.packages import installed
from rackwright.operations.unit import adopted
from rackwright.roles.fail2ban.settings import JAIL, Settings
from rackwright.values.network import Network

UNIT = "fail2ban.service"
# It reads a whole folder or nothing.
_CHECK = (
    '(d=$(mktemp -d) && trap \'rm -rf "$d"\' EXIT && cp -a /etc/fail2ban/. "$d" && '
    'cp {path} "$d"/jail.d/rackwright.conf && fail2ban-client -c "$d" -t >/dev/null)'
)


@deploy("fail2ban")
def fail2ban(*, settings: Settings, ssh_port: int, ignoreip: tuple[Network, ...]) -> None:
    """Afterwards fail2ban watches sshd, and never shuts out these networks."""
    if settings.manage == "no":
        return
    installed(
        name="Install fail2ban",
        # Without the second it can't read the journal.
        packages=("fail2ban", "python3-systemd"),
        unstarted=(UNIT,),
    )
    written = checked_file(
        name="Write whom fail2ban shuts out",
        path=JAIL,
        content=configuration(settings, ssh_port, ignoreip),
        check=_CHECK,
    )
    adopted(name="Run fail2ban", unit=UNIT, restart_if=[written], restart_files=(JAIL,))


def configuration(settings: Settings, ssh_port: int, ignoreip: tuple[Network, ...]) -> str:
    """Return the jail as jail.conf(5) reads it."""
    networks = " ".join(dict.fromkeys(str(network) for network in ignoreip))
    return (
        "# Written by rackwright: baseline.fail2ban of the fleet file. jail.conf(5)\n"
        "[sshd]\n"
        "enabled = true\n"
        "backend = systemd\n"
        # Not by unit, as the filter would: of a process that ends at once the journal often no longer finds that out.
        "journalmatch = _UID=0 SYSLOG_IDENTIFIER=sshd-session + _UID=0 SYSLOG_IDENTIFIER=sshd\n"
        # Where only keys get in, a failure is a connection that ends before it is logged in.
        "mode = aggressive\n"
        f"port = {ssh_port}\n"
        "banaction = nftables\n"
        f"maxretry = {settings.maxretry}\n"
        f"findtime = {settings.findtime}\n"
        f"bantime = {settings.bantime}\n"
        f"ignoreip = 127.0.0.0/8 ::1 {networks}\n"
    )
