"""Installs the CUDA toolkit."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.package_set import hold_packages, packages_kept, set_installed, sets_kept, unhold_packages
from rackwright.roles.cuda.settings import Settings
from rackwright.route import Route


@deploy("cuda")
def cuda(*, settings: Settings, route: Route) -> None:
    """Afterwards the toolkit is installed at the lock's version, held, and its packages are kept."""
    what = f"CUDA {settings.version}"
    packages_kept(name=f"Keep the packages of {what}", what=what, set=settings.set, route=route)
    set_installed(name=f"Install {what}", what="cuda", set=settings.set)
    sets_kept(name="Keep this set and the one before", what="cuda", set=settings.set)
    hold_packages(name=f"Hold {what}", what="cuda", names=tuple(package.name for package in settings.set.packages))


@deploy("cuda")
def left_alone() -> None:
    """Afterwards nothing of the toolkit is held that was held by an earlier apply; what is installed stays."""
    unhold_packages(name="Unhold CUDA", what="cuda")
