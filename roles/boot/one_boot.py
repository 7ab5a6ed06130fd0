"""One boot of another kernel: the commands of a host's script, and what it says. No pyinfra.

The order of a change: `hold` before a kernel is installed, `arm` after it, reboot, `look`, and `commit` once the host
is proven. Until then, whatever happens to the host, its next boot is of the kernel that ran before.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Literal

from rackwright.roles.boot.settings import SCRIPT

SECONDS = 300
"""Longest time that a command takes: update-grub looks at every disk, and each command waits for an earlier one."""
State = Literal["none", "armed", "booted", "fell-back"]
_STATES: tuple[State, ...] = ("none", "armed", "booted", "fell-back")
KERNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]{0,63}")
_LONGEST = 2000
_KEYS = ("state", "armed", "running", "default")
_HANDS = {
    "container": "it is a container, which has no boot loader of its own",
    "no-grub": "its kernel isn't booted by GRUB with Debian's or Ubuntu's update-grub",
    "foreign-menu": "GRUB's menu isn't update-grub's, or has no entry for the running kernel",
    "no-watchdog": "it has no hardware watchdog, so a kernel that hangs without a panic stays as it is",
}
_READ_ONLY = re.compile(r"read-only ([a-z0-9]{1,16})")


@dataclass(frozen=True)
class OneBoot:
    """What a host's script says."""

    state: State
    """none: nothing is armed. armed: the next boot is of `armed`. booted: `armed` runs and isn't committed.
    fell-back: the host has booted since, and runs another kernel than `armed`."""
    armed: str | None
    running: str
    default: str | None
    """The kernel that boots if none is armed. None: GRUB's menu doesn't say."""
    hands: tuple[str, ...] = ()
    """Why a person may be needed if a kernel doesn't boot, each in one line."""
    can_arm: bool = True
    """Whether a kernel can be armed. If not, one of `hands` says why."""


def look_command() -> str:
    """Return the command whose output `parse_one_boot` reads. It changes nothing."""
    return shlex.join((SCRIPT, "look"))


def hold_command() -> str:
    """Return the command that keeps the running kernel the default, whichever kernels are installed, until a commit.

    It fails while an armed kernel that was booted is neither committed nor disarmed.
    """
    return shlex.join((SCRIPT, "hold"))


def arm_command(kernel: str) -> str:
    """Return the command after which the next boot is of this kernel, and each later one of the one that runs now.

    Repeating it during the same boot changes nothing. If the kernel runs already, the command holds it, and nothing
    is armed: there is nothing to fall back to. The command fails if the host can't fall back (`OneBoot.can_arm`), if
    GRUB has no such kernel, or if a kernel was armed before this boot and is neither committed nor disarmed.
    """
    return shlex.join((SCRIPT, "arm", kernel))


def disarm_command() -> str:
    """Return the command that undoes `arm`: the next boot is of the default. It is still the kernel that ran.

    It is allowed at any time, also after the armed kernel was booted.
    """
    return shlex.join((SCRIPT, "disarm"))


def commit_command() -> str:
    """Return the command that makes the running kernel the default for good. Repeating it changes nothing.

    It fails while another kernel is armed, and after a fallback: `disarm` comes first. If GRUB's own choice is
    the running kernel, GRUB chooses again from then on; if not, the running kernel is kept as the default.
    """
    return shlex.join((SCRIPT, "commit"))


def parse_one_boot(text: str) -> OneBoot:
    """Given the output of `look_command`, return what it says. Raise ValueError if it isn't complete."""
    if len(text) > _LONGEST:
        raise ValueError("its answer is too long")
    words = [line.split(" ", 1) for line in text.splitlines()]
    said = {line[0]: line[1] for line in words if len(line) == 2 and line[0] in _KEYS}
    if set(said) != set(_KEYS):
        raise ValueError("its answer isn't complete")
    armed, running, default = (_kernel(said[key]) for key in ("armed", "running", "default"))
    state = next((one for one in _STATES if one == said["state"]), None)
    if state is None or running is None or (state == "none") is not (armed is None):
        raise ValueError("its answer contradicts itself")
    found = [line[1] for line in words if len(line) == 2 and line[0] == "hands"]
    return OneBoot(
        state,
        armed,
        running,
        default,
        hands=tuple(dict.fromkeys(map(_hands, found))),
        can_arm=all(one == "no-watchdog" for one in found),
    )


def _kernel(word: str) -> str | None:
    if word == "-":
        return None
    if not KERNEL.fullmatch(word):
        raise ValueError("its answer has an impossible kernel")
    return word


def _hands(word: str) -> str:
    if word in _HANDS:
        return _HANDS[word]
    if match := _READ_ONLY.fullmatch(word):
        return f"GRUB can't write to /boot ({match[1]}), so it can't boot a kernel only once"
    raise ValueError("its answer has an unknown reason")
