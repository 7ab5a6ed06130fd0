"""Install the CUDA toolkit."""

from __future__ import annotations

from pyinfra.api.deploy import deploy

from rackwright.operations.package_set import hold_packages, packages_kept, set_installed, sets_kept, unhold_packages
from rackwright.roles.cuda.settings import Settings
from rackwright.route import Route


@deploy("cuda")
def cuda(*, settings: Settings, route: Route) -> None:
    """Ensure that the toolkit is installed at the lock's version and on hold, and that its packages are kept."""
    what = f"CUDA {settings.version}"
    packages_kept(name=f"Keep the packages of {what}", what=what, set=settings.set, route=route)
    set_installed(name=f"Install {what}", what="cuda", set=settings.set)
    sets_kept(name="Keep this set and the previous one", what="cuda", set=settings.set)
    hold_packages(name=f"Hold {what}", what="cuda", names=tuple(package.name for package in settings.set.packages))


@deploy("cuda")
def left_alone() -> None:
    """Remove the apt holds that an earlier apply set on the toolkit; installed packages stay."""
    unhold_packages(name="Unhold CUDA", what="cuda")
