"""The new kernel of a host that reboots: booted once, and made the default when the host is proven."""

from __future__ import annotations

from rackwright.lifecycle.session.session import Session
from rackwright.remote.answers import read_answer
from rackwright.roles.boot.one_boot import (
    KERNEL,
    SECONDS,
    OneBoot,
    arm_command,
    commit_command,
    disarm_command,
    hold_command,
    look_command,
    parse_one_boot,
)
from rackwright.roles.boot.settings import SCRIPT

_NO_SCRIPT = f"it has no {SCRIPT} yet, so its next kernel boots by default at once"

_ASKED = "/run/reboot-required"


def looked(session: Session, name: str) -> OneBoot | None:
    """Return what the host says about its next boot; None: no apply has installed its script yet."""
    asked = session.remote.connection(name).run(f"[ ! -x {SCRIPT} ] || {look_command()}", timeout=SECONDS)
    text = asked.check("asking what boots next").stdout
    return read_answer(name, "what boots next", parse_one_boot, text) if text else None


def held(session: Session, name: str) -> None:
    """Ensure that the running kernel stays the default, whichever kernels are installed, if the host can do that."""
    found = looked(session, name)
    if found and found.can_arm and found.state == "none":
        _run(session, name, hold_command(), "keeping the running kernel the default")


def armed(session: Session, name: str, kernel: str | None) -> tuple[str, ...]:
    """Make the next boot, and only that, one of this kernel; return why a person may be needed if it fails."""
    found = looked(session, name)
    if kernel is None or (found and found.running == kernel):
        return ()
    if found is None:
        return (_NO_SCRIPT,)
    if found.can_arm:
        _run(session, name, arm_command(kernel), f"arming {kernel}")
    return found.hands


def newest(session: Session, name: str) -> str | None:
    """Return the newest kernel in the host's /boot; None: it has none, like a container."""
    command = 'for k in /boot/vmlinuz-*; do [ ! -e "$k" ] || echo "${k#/boot/vmlinuz-}"; done | sort -V | tail -n 1'
    found = session.remote.connection(name).run(command).check("asking for its kernels").stdout.strip()
    return found if KERNEL.fullmatch(found) else None


def untried(session: Session, name: str, kernel: str | None) -> bool:
    """Return whether the host runs another kernel than this one, and hasn't been armed with it."""
    if kernel is None:
        return False
    found = looked(session, name)
    return found is not None and found.state == "none" and found.running != kernel


def asked_for(session: Session, name: str) -> bool:
    """Return whether an installed package asks for a reboot."""
    found = session.remote.connection(name).run(f"[ ! -e {_ASKED} ] || echo yes").check("asking whether it reboots")
    return found.stdout.strip() == "yes"


def fell_back(session: Session, name: str) -> str | None:
    """Return the kernel that was armed and didn't boot, None if there is none."""
    found = looked(session, name)
    return found.armed if found and found.state == "fell-back" else None


def committed(session: Session, name: str) -> None:
    """Ensure that the running kernel is the default for good."""
    found = looked(session, name)
    if found and found.can_arm:
        _run(session, name, commit_command(), "making the running kernel the default")


def disarmed(session: Session, name: str) -> bool:
    """Ensure that the next boot is of the kernel that ran before; return whether another one runs now."""
    found = looked(session, name)
    if found is None or found.state == "none":
        return False
    _run(session, name, disarm_command(), "disarming the new kernel")
    return found.state == "booted"


def _run(session: Session, name: str, command: str, what: str) -> None:
    session.remote.connection(name).run(command, timeout=SECONDS).check(what)
