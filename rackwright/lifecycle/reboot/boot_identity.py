"""Which boot a host is in, and a reboot that happens once, even if it is asked for again."""

from __future__ import annotations

import shlex
import time
from contextlib import suppress

from rackwright.errors import HostError
from rackwright.lifecycle.session.session import Session
from rackwright.remote.completed import Completed

BOOT_SECONDS = 1800
"""Longest wait for a host to boot: firmware alone checks a terabyte of memory for minutes."""
BOOT_COMMAND = "cat /proc/sys/kernel/random/boot_id; stat -c %Y.%i /proc/1; cut -d ' ' -f 22 /proc/1/stat"
"""Prints which boot this is (in a container: PID 1's start)."""
BOOT_LINES = 3
_ANOTHER_BOOT = 75
_REBOOT = 'set -- "$1" "$({boot})"; [ "$1" = "$2" ] || exit {another}; {reboot}'
_LATER = "systemd-run --quiet --collect --on-active=1 systemctl reboot"


def boot_of(reply: Completed) -> str:
    """Return which boot this is, given the reply to a command whose last part is BOOT_COMMAND.

    Raise HostError if the reply is incomplete: a shutdown kills the command.
    """
    lines = reply.check("asking which boot this is").stdout.splitlines()[-BOOT_LINES:]
    if len(lines) != BOOT_LINES or not all(lines):
        raise HostError("its reply doesn't show which boot this is", where=reply.host)
    return "\n".join(lines)


def boot_now(session: Session, name: str, *, timeout: float = 60) -> str:
    """Return which boot the host is in. Raise HostError if it can't be asked."""
    return boot_of(session.remote.connection(name).run(BOOT_COMMAND, timeout=timeout))


def reboot(session: Session, name: str, boot: str) -> None:
    """Reboot the host unless it is in another boot than this one already; return when it has booted.

    Raise HostError if it can't be asked to, or doesn't come back within BOOT_SECONDS.
    """
    connection = session.remote.connection(name)
    asked = connection.run(reboot_command(boot))
    if asked.exit_status != _ANOTHER_BOOT:
        asked.check("asking for a reboot")
    deadline = time.monotonic() + BOOT_SECONDS
    while not _is_back(session, name, boot):
        if time.monotonic() > deadline:
            raise HostError(
                f"did not come back within {BOOT_SECONDS} s of its reboot", where=name, next="look at its console"
            )
    connection.run("systemctl is-system-running --wait", timeout=BOOT_SECONDS)


def _is_back(session: Session, name: str, boot: str) -> bool:
    time.sleep(1)
    session.remote.connection(name).close()
    with suppress(HostError):
        return boot_now(session, name, timeout=10) != boot
    return False


def reboot_command(boot: str) -> str:
    """Return the command that reboots the host a second later, if it is in this boot; else it exits with 75."""
    script = _REBOOT.format(boot=BOOT_COMMAND, another=_ANOTHER_BOOT, reboot=_LATER)
    return shlex.join(("sh", "-c", script, "reboot", boot))
