"""Bring the running kernel's driver to the installed version, as far as that is possible without a reboot."""

from __future__ import annotations

import shlex
from collections.abc import Generator

from pyinfra.api.command import PyinfraCommand, StringCommand
from pyinfra.api.operation import operation
from pyinfra.context import host

from rackwright.operations.diff import show
from rackwright.operations.facts.boot_guard import BootGuard
from rackwright.operations.facts.driver import FoundDriverFact, RunningDriver
from rackwright.operations.facts.unit import UnitState
from rackwright.operations.filesystem.own_file import own_file_commands
from rackwright.operations.plan_notes import note
from rackwright.operations.unit import adopt
from rackwright.roles.nvidia_driver.settings import MODPROBE, PENDING


@operation()
def nouveau_off(*, content: str) -> Generator[PyinfraCommand]:
    """Ensure that nouveau isn't loaded at boot. Rebuild the initramfs images only if one contains it."""
    early = host.get_fact(RunningDriver).nouveau_early
    yield from own_file_commands(path=MODPROBE, content=content)
    if early:
        show("nouveau is in an initramfs: all initramfs images are rebuilt")
        yield StringCommand("update-initramfs -u -k all >/dev/null")


@operation()
def modules_at_boot(*, path: str, content: str, peermem: str) -> Generator[PyinfraCommand]:
    """Ensure that the kernel loads these modules at boot. On a host with RDMA cards, `peermem` is the content."""
    yield from own_file_commands(path=path, content=peermem if host.get_fact(RunningDriver).rdma else content)


@operation()
def driver_loaded(*, version: str | None, kernel: str | None) -> Generator[PyinfraCommand]:
    """Load the module into the running kernel if possible. If that needs a reboot, add a note; never reboot.

    `version` and `kernel` come from the lock. None: the driver was adopted, and the installed version counts.
    """
    found = host.get_fact(RunningDriver)
    if version is None and (pending := host.get_fact(FoundDriverFact).reboot_pending):
        note(pending)
    elif found.loaded and version and found.loaded != version:
        note(f"{PENDING}: module {found.loaded} runs, {version} is installed")
    elif found.nouveau and not found.loaded:
        note(f"{PENDING}: nouveau drives the GPUs")
    elif not found.loaded and not found.loadable:
        note(f"{PENDING}: the running kernel has no NVIDIA module")
    elif kernel and found.kernel not in (None, kernel):
        note(f"{PENDING}: kernel {found.kernel} runs, {kernel} is installed")
    if not found.loaded and found.loadable and not found.nouveau:
        yield StringCommand("modprobe nvidia && modprobe nvidia-uvm")


@operation()
def next_boot_watched(*, guard: str) -> Generator[PyinfraCommand]:
    """Add a note if the kernel of the next boot can't drive the GPUs."""
    if unfit := host.get_fact(BootGuard, path=guard):
        note(unfit)
    yield from ()


@operation()
def gpu_service(*, unit: str, version: str | None) -> Generator[PyinfraCommand]:
    """Ensure that this unit starts at boot, and runs if the matching module is loaded; with another, it would fail.

    If an adopted driver has no such unit, add a note.
    """
    loaded = host.get_fact(RunningDriver).loaded
    if version is None and host.get_fact(UnitState, unit=unit).load == "not-found":
        note(f"there is no {unit}")
    elif loaded and version in (None, loaded):
        yield from adopt(unit=unit)
    else:
        yield from _enabled(unit)


def _enabled(unit: str) -> Generator[PyinfraCommand]:
    if host.get_fact(UnitState, unit=unit).file == "disabled":
        yield StringCommand(f"systemctl --quiet enable -- {shlex.quote(unit)}")
