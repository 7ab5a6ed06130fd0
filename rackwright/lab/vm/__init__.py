"""A virtual machine for tests of what a container lacks: a kernel, a boot loader and reboots of its own.

`Vm(folder).up()` is a running Debian on a fresh disk; `down()` leaves nothing of it behind.
"""

from rackwright.lab.vm.machine import Vm

__all__ = ["Vm"]
