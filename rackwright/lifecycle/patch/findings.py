"""What a host's state means for patching it: why it reboots, what is in the way, what needs hands. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rackwright.fleet.lock import DriverLock
from rackwright.report.words import size
from rackwright.roles.boot.settings import SCRIPT as ONE_BOOT
from rackwright.roles.patch.packages import RESERVE
from rackwright.roles.patch.scope import decided_by
from rackwright.roles.patch.state import Offered, PatchState

_BOOT_SPACE = 300_000_000
"""Bytes that a kernel with its initramfs may need."""
_ONLY_AT_BOOT = ("libc6", "systemd", "dbus", "dbus-broker", "intel-microcode", "amd64-microcode", "linux-firmware")
"""Packages that running programs or the kernel use until the next boot."""


@dataclass(frozen=True)
class SetChange:
    """Driver and kernel of the lock, and those of the next lock."""

    now: DriverLock | None
    coming: DriverLock

    @property
    def same(self) -> bool:
        return self.now is not None and self.now.name == self.coming.name


@dataclass(frozen=True)
class Left:
    """An installed package that stays at its version, though apt may have another one."""

    name: str
    why: str


def reboots(state: PatchState, sets: SetChange | None) -> tuple[str, ...]:
    """Return every reason for which this host would have to reboot."""
    return tuple(_reboots(state, sets))


def _reboots(state: PatchState, sets: SetChange | None) -> Iterator[str]:
    if state.reboot is not None:
        yield f"installed packages ask for one{f': {state.reboot}' if state.reboot else ''}"
    if sets and sets.coming.kernel != state.running:
        yield f"kernel {sets.coming.kernel}; {state.running} runs"
    if sets and sets.now and sets.now.version != sets.coming.version:
        yield f"driver {sets.now.version} becomes {sets.coming.version}"
    for offered in state.offered:
        if match := re.fullmatch(r"linux-image-(?:unsigned-)?([0-9].*)", offered.name):
            yield f"kernel {match[1]}; {state.running} runs"
        elif offered.name in _ONLY_AT_BOOT or offered.name.startswith("firmware-"):
            yield offered.name
    if not sets and state.kernels:
        newest = max(state.kernels, key=_natural)
        if _natural(newest) > _natural(state.running):
            yield f"kernel {newest} is installed; {state.running} runs"


def in_the_way(state: PatchState, *, kernel: bool) -> tuple[str, ...]:
    """Return everything that must be settled before packages change. `kernel`: whether a kernel is installed."""
    return tuple(_in_the_way(state, kernel))


def _in_the_way(state: PatchState, kernel: bool) -> Iterator[str]:
    for name, shown in state.broken.items():
        yield f"dpkg didn't finish {name} ({shown}): dpkg --configure -a"
    if state.locked:
        yield f"dpkg is locked by {', '.join(state.locked)}"
    yield from _full_disks(state, kernel)


def _full_disks(state: PatchState, kernel: bool) -> Iterator[str]:
    """Yield filesystems without enough space, by the rules by which a run checks it."""
    needed: dict[str, int] = {}
    spare: dict[str, int] = {}
    for folder, count in _needed(state, kernel):
        if count and (space := state.space.get(folder)):
            needed[space.mount] = needed.get(space.mount, 0) + count
            spare[space.mount] = max(spare.get(space.mount, 0), RESERVE // 8 if folder == "/boot" else RESERVE)
    free = {space.mount: space.free for space in state.space.values()}
    for mount, count in needed.items():
        if count + spare[mount] > free[mount]:
            yield f"{mount} has {size(free[mount])} free; should have {size(count + spare[mount])}"


def _needed(state: PatchState, kernel: bool) -> Iterator[tuple[str, int]]:
    sizes = [(offered.change.package.size, offered.change.before) for offered in state.offered]
    # apt's download, its copy, and the file of the version before, which is about as large.
    yield "/var", sum(3 * size if before else 2 * size for size, before in sizes)
    yield "/usr", sum(offered.unpacked for offered in state.offered)
    yield "/boot", _BOOT_SPACE if kernel else 0


def no_way_back(state: PatchState) -> tuple[Offered, ...]:
    """Return the changes that can't be undone: the version before can't be had."""
    return tuple(offered for offered in state.offered if offered.back == "none")


def needs_hands(state: PatchState, *, bmc: bool) -> tuple[str, ...]:
    """Return what a person would have to do on site if a new kernel hangs. `bmc`: whether the fleet file has one."""
    return tuple(_needs_hands(state, bmc))


def _needs_hands(state: PatchState, bmc: bool) -> Iterator[str]:
    if state.boot is None:
        yield f"unknown, because it has no {ONE_BOOT}, which apply puts on hosts whose driver it installs"
    else:
        yield from state.boot.hands
    if not bmc:
        yield "the fleet file has no bmc for it: a power cycle needs a person at the machine"


def left_alone(state: PatchState, *, driver: bool) -> tuple[Left, ...]:
    """Return the packages that stay at their version, each with who decides that."""
    return tuple(_left(state, driver))


def _left(state: PatchState, driver: bool) -> Iterator[Left]:
    for name in state.kept_back:
        if by := decided_by(name, driver=driver):
            yield Left(name, "the next lock decides it" if by == "lock" else f"{by} decides it")
        elif name in state.held:
            whose = state.held[name]
            yield Left(name, f"rackwright holds it for {whose}" if whose else "on hold; apt-mark unhold releases it")
        else:
            yield Left(name, "kept back by apt: it conflicts with other packages, or its update is phased")


def _natural(release: str) -> tuple[tuple[int, int, str], ...]:
    parts = re.findall(r"\d+|\D+", release)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)
