"""Ban addresses with repeated failed logins from sshd, in fail2ban's own nftables table."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.packages import installed
from rackwright.operations.unit import adopted
from rackwright.roles.fail2ban.settings import JAIL, Settings
from rackwright.values.network import Network

UNIT = "fail2ban.service"
# fail2ban can only test a whole configuration folder.
_CHECK = (
    '(d=$(mktemp -d) && trap \'rm -rf "$d"\' EXIT && cp -a /etc/fail2ban/. "$d" && '
    'cp {path} "$d"/jail.d/rackwright.conf && fail2ban-client -c "$d" -t >/dev/null)'
)


@deploy("fail2ban")
def fail2ban(*, settings: Settings, ssh_port: int, ignoreip: tuple[Network, ...]) -> None:
    """Ensure that fail2ban watches sshd and never bans these networks."""
    if settings.manage == "no":
        return
    installed(
        name="Install fail2ban",
        # fail2ban needs the second one to read the journal.
        packages=("fail2ban", "python3-systemd"),
        unstarted=(UNIT,),
    )
    written = checked_file(
        name="Write fail2ban's jail for sshd",
        path=JAIL,
        content=configuration(settings, ssh_port, ignoreip),
        check=_CHECK,
    )
    adopted(name="Run fail2ban", unit=UNIT, restart_if=[written], restart_files=(JAIL,))


def configuration(settings: Settings, ssh_port: int, ignoreip: tuple[Network, ...]) -> str:
    """Return the jail in the syntax of jail.conf(5)."""
    networks = " ".join(dict.fromkeys(str(network) for network in ignoreip))
    return (
        "# Written by rackwright: baseline.fail2ban of the fleet file. jail.conf(5)\n"
        "[sshd]\n"
        "enabled = true\n"
        "backend = systemd\n"
        # The filter's default matches by unit, but the journal often doesn't know the unit of a short process.
        "journalmatch = _UID=0 SYSLOG_IDENTIFIER=sshd-session + _UID=0 SYSLOG_IDENTIFIER=sshd\n"
        # If only keys are allowed, a failed login is a connection that ends before the login.
        "mode = aggressive\n"
        f"port = {ssh_port}\n"
        "banaction = nftables\n"
        f"maxretry = {settings.maxretry}\n"
        f"findtime = {settings.findtime}\n"
        f"bantime = {settings.bantime}\n"
        f"ignoreip = 127.0.0.0/8 ::1 {networks}\n"
    )
