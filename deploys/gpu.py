"""A host with GPUs: driver, kernel and Fabric Manager as one set, the CUDA toolkit where it is asked for."""

from __future__ import annotations

from pyinfra.context import host

from rackwright.fleet.hosts.host_spec import HostModel
from rackwright.roles.cuda.role import cuda
from rackwright.roles.cuda.role import left_alone as cuda_left_alone
from rackwright.roles.nvidia_driver.role import left_alone as driver_left_alone
from rackwright.roles.nvidia_driver.role import nvidia_driver


def gpu() -> None:
    """Afterwards the host's GPUs have the driver that the lock names, for the running kernel or after a reboot."""
    model: HostModel = host.data.model
    if model.driver:
        nvidia_driver(settings=model.driver, route=model.downloads.route)
    else:
        driver_left_alone()
    if model.cuda:
        cuda(settings=model.cuda, route=model.downloads.route)
    else:
        cuda_left_alone()
