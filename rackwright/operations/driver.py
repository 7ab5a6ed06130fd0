"""What the running kernel has of the driver, brought to what is installed as far as that goes without a reboot."""

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
from rackwright.operations.unit import adopt
from rackwright.operations.warnings import note
from rackwright.roles.nvidia_driver.settings import MODPROBE

PENDING = "reboot pending"
"""How a note begins that says that only a reboot brings the running kernel to what is installed."""


@operation()
def nouveau_off(*, content: str) -> Generator[PyinfraCommand]:
    """Afterwards nothing loads nouveau at boot. The initramfs is made anew only where one brings it."""
    early = host.get_fact(RunningDriver).nouveau_early
    yield from own_file_commands(path=MODPROBE, content=content)
    if early:
        show("nouveau is in an initramfs: they are made anew")
        yield StringCommand("update-initramfs -u -k all >/dev/null")


@operation()
def modules_at_boot(*, path: str, content: str, peermem: str) -> Generator[PyinfraCommand]:
    """Afterwards the kernel loads these modules at boot; `peermem` is the content where there are RDMA cards."""
    yield from own_file_commands(path=path, content=peermem if host.get_fact(RunningDriver).rdma else content)


@operation()
def driver_loaded(*, version: str | None, kernel: str | None) -> Generator[PyinfraCommand]:
    """Afterwards the running kernel has the module, as far as it can: what needs a reboot is named, never done.

    `version` and `kernel` are the lock's; None: the driver was adopted, and what is installed counts.
    """
    found = host.get_fact(RunningDriver)
    if version is None and (pending := host.get_fact(FoundDriverFact).reboot_pending):
        note(pending)
    elif found.loaded and version and found.loaded != version:
        note(f"{PENDING}: module {found.loaded} runs, {version} is installed")
    elif found.nouveau and not found.loaded:
        note(f"{PENDING}: nouveau has the GPUs")
    elif not found.loaded and not found.loadable:
        note(f"{PENDING}: the running kernel has no NVIDIA module")
    elif kernel and found.kernel not in (None, kernel):
        note(f"{PENDING}: kernel {found.kernel} runs, {kernel} is installed")
    if not found.loaded and found.loadable and not found.nouveau:
        yield StringCommand("modprobe nvidia && modprobe nvidia-uvm")


@operation()
def next_boot_watched(*, guard: str) -> Generator[PyinfraCommand]:
    """A kernel of the next boot that can't drive the GPUs is named."""
    if unfit := host.get_fact(BootGuard, path=guard):
        note(unfit)
    yield from ()


@operation()
def gpu_service(*, unit: str, version: str | None) -> Generator[PyinfraCommand]:
    """Afterwards this unit starts at boot, and runs if its driver does: with another module it would only fail.

    A driver that was adopted may have no such unit: that is named.
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
