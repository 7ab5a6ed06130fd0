"""Install and guard the driver of a host's GPUs, with the kernel that it is built for."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.driver import (
    driver_loaded,
    gpu_service,
    modules_at_boot,
    next_boot_watched,
    nouveau_off,
)
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.package_set import (
    driver_installed,
    hold_packages,
    packages_kept,
    sets_kept,
    unhold_packages,
)
from rackwright.operations.unit import systemd_unit
from rackwright.package_set import PackageSet
from rackwright.roles.nvidia_driver import files
from rackwright.roles.nvidia_driver.layouts import HELD, NOT_HELD
from rackwright.roles.nvidia_driver.settings import (
    GUARD,
    HOOKS,
    INSTALL,
    KERNEL,
    MODULES,
    PIN,
    READY,
    UNIT,
    Settings,
)
from rackwright.route import Route


@deploy("nvidia_driver")
def nvidia_driver(*, settings: Settings, route: Route, beside: PackageSet | None = None) -> None:
    """Ensure that the host has the lock's driver or the adopted one, on hold and with a boot guard.

    `beside` is another set of packages that belongs on the host.

    The kernel of the next boot has the driver's module; if not, the role fails and the boot default stays as it was.
    Nothing reboots.
    """
    _guard(settings)
    if settings.set:
        _install(settings, settings.set, route, beside)
        hold_packages(
            name="Hold driver and kernel",
            what="driver",
            names=tuple(package.name for package in settings.set.packages),
        )
    else:
        hold_packages(name="Hold driver and kernel", what="driver", patterns=HELD, but=NOT_HELD)
        next_boot_watched(name="Check which kernel boots next", guard=GUARD)
    nouveau_off(name="Keep nouveau off the GPUs", content=files.NO_NOUVEAU)
    _serve(settings)


@deploy("nvidia_driver")
def left_alone() -> None:
    """Remove the apt holds that an earlier apply set on the driver; installed packages stay."""
    unhold_packages(name="Unhold driver and kernel", what="driver", pin=PIN)


def _guard(settings: Settings) -> None:
    checked_file(
        name="Write the boot guard",
        path=GUARD,
        content=files.BOOT_GUARD,
        mode="0755",
        check="sh -n {path}",
    )
    checked_file(name="Set the kernel that boots", path=KERNEL, content=f"{settings.kernel or ''}\n")
    for path, words in HOOKS.items():
        checked_file(
            name=f"Guard the boot in {path.removeprefix('/etc/kernel/')}",
            path=path,
            content=files.hook(words),
            mode="0755",
            folder=True,
        )


def _install(settings: Settings, packages: PackageSet, route: Route, beside: PackageSet | None) -> None:
    named = f"{settings.version} with kernel {settings.kernel}"
    what = f"driver {named}"
    packages_kept(name=f"Keep the packages of {what}", what=what, set=packages, route=route)
    driver_installed(
        name=f"{INSTALL} {named}",
        set=packages,
        kernel=settings.kernel or "",
        guard=GUARD,
        replace=settings.manage == "replace",
    )
    sets_kept(name="Keep this set and the previous one", what="driver", set=packages, beside=beside)


def _serve(settings: Settings) -> None:
    modules_at_boot(
        name="Load the driver at boot",
        path=MODULES,
        content=files.modules_at_boot(peermem=False),
        peermem=files.modules_at_boot(peermem=True),
    )
    version, kernel = settings.version, settings.kernel
    driver_loaded(name="Load the driver", version=version, kernel=kernel)
    gpu_service(name="Keep the driver loaded", unit="nvidia-persistenced.service", version=version)
    if settings.fabric:
        gpu_service(name="Run the Fabric Manager", unit="nvidia-fabricmanager.service", version=version)
    checked_file(name="Write the script that waits for the GPUs", path=READY, content=files.GPUS_READY, mode="0755")
    systemd_unit(name="Have engines wait for the GPUs", unit=UNIT, content=files.gpus_unit(settings.gpus))
