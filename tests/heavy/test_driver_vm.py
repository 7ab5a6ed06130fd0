"""The driver on a machine with its own kernel, boot loader and reboots: GRUB, kbuild and modprobe are real.

The module is a stand-in for NVIDIA's that loads anywhere (tests/stand_in_driver.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rackwright.lab.vm import Vm
from rackwright.roles.nvidia_driver.settings import PIN
from tests.lab.alone import alone
from tests.lab.operator import Operator, Said
from tests.stand_in_driver import FOLDER, Kernel, repository

pytestmark = [pytest.mark.heavy, pytest.mark.machine]
COVERS = (
    "deploys/gpu.py",
    "rackwright/fleet/hosts/driver.py",
    "rackwright/lifecycle/lock/driver_sets.py",
    "rackwright/lifecycle/apply/reboot.py",
    "rackwright/operations/driver.py",
    "rackwright/operations/dkms_build.sh",
    "rackwright/operations/driver_install.sh",
    "rackwright/operations/kernel.py",
    "rackwright/operations/package_set.py",
    "rackwright/package_set.py",
    "roles/nvidia_driver",
)

OLD, NEW = "580.95.05", "580.105.08"
GARBAGE = Kernel("6.99.1-lab", resizes=3)
"""GRUB takes this for the newest kernel, but no machine boots from it, and the module doesn't build for it."""
ONLY = ("--only", "layout", "--only", "nvidia_driver")
_QEMU = "10.0.2.0/24"
_SECTION = f'driver: {{{{on: vm1, source: path, path: {FOLDER}, branch: "580", kernel: {{kernel}}}}}}\n'


@dataclass(frozen=True)
class Machine:
    vm: Vm
    operator: Operator

    def tell(self, command: str) -> str:
        return self.vm.exec(command).out.strip()

    def installs(self, kernel: str, *words: str, check: int = 0) -> Said:
        text = self.operator.path.read_text().partition("driver:")[0]
        self.operator.path.write_text(text + _SECTION.format(kernel=kernel))
        self.operator("lock", "--upgrade", timeout=600)
        return self.operator("apply", "--yes", *ONLY, *words, check=check, timeout=1200)

    def loaded(self) -> str:
        return self.tell("cat /sys/module/nvidia/version")

    def boots(self) -> str:
        """Return the kernel of GRUB's first entry, which is the one that it boots."""
        return self.tell("grep -m 1 -o 'vmlinuz-[^ ]*' /boot/grub/grub.cfg").removeprefix("vmlinuz-")


@pytest.fixture(scope="module")
def machine(vm: Vm, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with the driver installed for its running kernel, without a reboot."""
    operator = alone(
        tmp_path_factory.mktemp("site"), vm.target(), admins=_QEMU, defaults="  baseline: {manage: no}\n"
    )
    machine = Machine(vm, operator)
    machine.tell(repository(OLD, real=True))
    machine.installs("linux-image-cloud-amd64")
    return machine


def test_the_module_runs_without_a_reboot(machine: Machine) -> None:
    assert machine.loaded() == OLD
    assert machine.boots() == machine.tell("uname -r")
    assert machine.tell("systemctl is-active nvidia-persistenced.service") == "active"


def test_a_kernel_without_the_module_is_never_booted(machine: Machine) -> None:
    running, before = machine.tell("uname -r"), machine.vm.boot_id()
    machine.tell(repository(NEW, GARBAGE, real=True))
    failed = machine.installs("linux-image-lab", "--reboot", check=3)
    assert f"doesn't build for kernel {GARBAGE.release}" in failed.out
    assert "fatal error" in failed.out
    assert machine.vm.boot_id() == before, "it rebooted all the same"
    assert machine.tell(f"ls /boot/vmlinuz-{GARBAGE.release}")
    # The reboot below shows whether it boots from there.
    assert (machine.boots(), machine.loaded()) == (running, OLD)


def test_a_new_driver_acts_after_the_reboot_that_was_asked_for(machine: Machine) -> None:
    running, before = machine.tell("uname -r"), machine.vm.boot_id()
    machine.tell(f"rm {FOLDER}/linux-*.deb")
    machine.tell(repository(NEW, real=True))
    told = machine.installs("linux-image-cloud-amd64", "--reboot")
    assert f"vm1  rebooting: {NEW} is installed, module {OLD} runs" in told.err
    assert machine.vm.boot_id() != before
    assert machine.loaded() == NEW
    # The kernel that can't boot is still the newest, but the lock names another.
    assert machine.tell("uname -r") == machine.boots() == running
    assert f"vmlinuz-{running}" in machine.tell(f"cat {PIN}")
    assert machine.tell("systemctl is-active nvidia-persistenced.service") == "active"
    assert "apply --reboot: vm1" in machine.tell("cat /var/lib/rackwright/audit.log")
