"""A host with GPUs: driver, kernel and Fabric Manager as one set, and the CUDA toolkit if the fleet file sets it."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostSpec
from rackwright.roles.cuda.role import cuda
from rackwright.roles.cuda.role import left_alone as cuda_left_alone
from rackwright.roles.nvidia_driver.role import left_alone as driver_left_alone
from rackwright.roles.nvidia_driver.role import nvidia_driver


def gpu() -> None:
    """Ensure that the host's GPUs have the driver that the lock names, for the running kernel or after a reboot."""
    spec: HostSpec = host.data.spec
    if spec.driver:
        beside = spec.cuda.set if spec.cuda else None
        nvidia_driver(settings=spec.driver, route=spec.downloads.route, beside=beside)
    else:
        driver_left_alone()
    if spec.cuda:
        cuda(settings=spec.cuda, route=spec.downloads.route)
    else:
        cuda_left_alone()
