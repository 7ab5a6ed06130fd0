"""The driver of this host's GPUs, and its effect on automatic updates."""

from __future__ import annotations

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock, driver_of
from rackwright.fleet.sections.baseline import Baseline
from rackwright.roles.cuda.settings import Settings as Cuda
from rackwright.roles.nvidia_driver.settings import Settings


def driver_settings(fleet: Fleet, lock: Lock, host: str) -> Settings | None:
    """Return the host's driver settings; None if rackwright doesn't manage its driver."""
    driver = fleet.driver_of(host, had=driver_of(lock, host) is not None)
    if driver is None or driver.manage == "no":
        return None
    gpus = sum(replica.gpus for replica in fleet.parts_on(host))
    locked = driver_of(lock, host) if driver.installs else None
    if locked is None:
        return Settings(manage=driver.manage, gpus=gpus)
    return Settings(
        manage=driver.manage,
        set=locked.set,
        version=locked.version,
        kernel=locked.kernel,
        modules=locked.modules,
        system=locked.system,
        architecture=locked.architecture,
        fabric="fabric" in locked.needs,
        gpus=gpus,
    )


def cuda_of(fleet: Fleet, lock: Lock, host: str) -> Cuda | None:
    """Return the CUDA toolkit that the fleet file requests for this host."""
    locked = driver_of(lock, host)
    driver = fleet.driver_of(host, had=locked is not None)
    if driver is None or driver.cuda is None or locked is None or locked.toolkit is None:
        return None
    return Cuda(version=driver.cuda, set=locked.toolkit)


def updates_beside(driver: Settings | None, baseline: Baseline) -> Baseline:
    """Return the baseline with the driver set's packages excluded from automatic updates, whatever their names."""
    if driver is None or driver.set is None:
        return baseline
    names = sorted({package.name for package in driver.set.packages} | set(baseline.updates.exclude))
    return baseline.model_copy(update={"updates": baseline.updates.model_copy(update={"exclude": tuple(names)})})
