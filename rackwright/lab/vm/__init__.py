"""A virtual machine, for tests that need their own kernel, boot loader and reboots.

`Vm(folder).up()` starts a Debian from a fresh disk; `down()` removes it.
"""

from rackwright.lab.vm.machine import Vm

__all__ = ["Vm"]
