"""Decisions that the fleet file must make before a host's driver is changed. No pyinfra."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.errors import Problem
from rackwright.hardware.generation import generation_of, modules_for
from rackwright.hardware.hardware import Hardware
from rackwright.operations.facts.found_driver import FoundDriver, upstream
from rackwright.roles.nvidia_driver.settings import Settings

_CHOICES = "choose what happens to it: driver: {manage: adopt}, replace or no"


def refusals(found: FoundDriver, settings: Settings | None, hardware: Hardware) -> Iterator[Problem]:
    """Yield what must be decided in the fleet file or changed in the lock before a host's driver is changed."""
    if settings and settings.set and (other := _other_machine(settings, hardware)):
        yield Problem("driver", other, "the lock must be made for this machine", "rackwright lock --upgrade")
        return
    if settings is None or (found.ours and not found.run):
        return
    if settings.manage == "adopt" and not found.there:
        yield Problem("driver", "there is no driver to adopt", "set manage: yes and a branch")
    elif settings.manage == "replace" and found.dgx:
        yield Problem("driver", f"{_whose(found)}; it can't be removed with packages", "adopt it, or install Debian")
    elif settings.manage == "yes" and (whose := _foreign(found, settings)):
        yield Problem("driver", f"{whose}", _CHOICES)


def _other_machine(settings: Settings, hardware: Hardware) -> str | None:
    """Return how the machine differs from the set's: a host may be reinstalled or get other cards under its name."""
    is_now = f"{hardware.system} on {hardware.architecture}"
    asked = f"{settings.system} on {settings.architecture}"
    if settings.system and hardware.system and is_now != asked:
        return f"it is {is_now}, but its package set is for {asked}"
    wrong = [gpu for gpu in hardware.nvidia if settings.modules not in (None, *modules_for(generation_of(gpu)))]
    if wrong:
        return f"its set has {settings.modules} modules, which don't support {wrong[0].name or wrong[0].device}"
    return None


def _foreign(found: FoundDriver, settings: Settings) -> str | None:
    same = all(upstream(version) == settings.version for _, version in found.modules)
    if found.modules and same and not (found.dgx or found.run or found.precompiled):
        return None
    return _whose(found) if found.there else None


def _whose(found: FoundDriver) -> str:
    loaded = f" (module {found.loaded} is loaded)" if found.loaded else ""
    if found.dgx:
        return f"it runs DGX OS, which has its own driver, kernel and Fabric Manager{loaded}"
    if found.run:
        return f"its driver was installed by a .run installer ({found.run}){loaded}"
    if found.precompiled:
        names = ", ".join(f"{name} {version}" for name, version in found.modules)
        return f"it has precompiled modules: {names}{loaded}"
    if found.modules:
        names = ", ".join(f"{name} {version}" for name, version in found.modules)
        return f"it already has a driver: {names}{loaded}"
    return f"it has a driver of unknown origin{loaded}"
