"""A kernel is booted once, by a real GRUB: good kernels, one that panics, one that GRUB can't load, one that hangs.

Only the one that hangs needs a person, who cuts the power.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

import pytest

from rackwright.errors import HostError
from rackwright.lab.vm import Vm
from rackwright.roles.boot import scripts
from rackwright.roles.boot.one_boot import (
    OneBoot,
    arm_command,
    commit_command,
    disarm_command,
    look_command,
    parse_one_boot,
)
from rackwright.roles.boot.settings import KEPT, ONCE
from rackwright.roles.nvidia_driver.settings import PIN
from tests.waiting import wait_until

pytestmark = [pytest.mark.heavy, pytest.mark.machine]
COVERS = ("roles/boot", "rackwright/lab/vm")

PANICS, GARBAGE, HANGS = "6.99.1-lab", "6.99.2-lab", "6.99.3-lab"
"""Kernels that GRUB takes for the newest: one without an initramfs finds no root, one is no kernel, one is torn."""
_OLDER = """\
apt-get -qq update && apt-cache search --names-only '^linux-image-6[.].*-cloud-amd64$' |
  sed -n 's/^linux-image-\\([^ ]*\\) .*/\\1/p' | grep -vxF "$(uname -r)" | sort -V | tail -n 1
"""
_UPDATE = "/etc/kernel/postinst.d/zz-update-grub {} /boot/vmlinuz-{}"
"""What a kernel's package runs last."""
_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y"


@dataclass(frozen=True)
class Machine:
    vm: Vm
    newer: str
    """The kernel that it came with."""
    older: str

    def tell(self, command: str) -> str:
        return self.vm.exec(command).out.strip()

    def look(self) -> OneBoot:
        return parse_one_boot(self.tell(look_command()))

    def runs(self) -> str:
        return self.tell("uname -r")

    def installs(self, release: str, *, pinned: bool = False) -> None:
        """Have GRUB's menu written, as when a kernel is installed; `pinned`: the guard of the GPUs wants it, too."""
        if pinned:
            self.tell(f"printf 'GRUB_DEFAULT=0\\nGRUB_TOP_LEVEL=/boot/vmlinuz-%s\\n' {shlex.quote(release)} >{PIN}")
        self.tell(_UPDATE.format(release, release))


@pytest.fixture(scope="module")
def machine(vm: Vm) -> Machine:
    """A machine that runs the newest kernel, and has an older one."""
    vm.exec("mkdir -p /etc/rackwright")
    for path, text in scripts.ALL.items():
        vm.exec(f"cat >{path} && chmod 0755 {path}", input=text)
    newer = vm.exec("uname -r").out.strip()
    older = vm.exec(_OLDER, timeout=600).out.strip()
    vm.exec(
        f"{_APT} install --no-install-recommends linux-image-{shlex.quote(older)}",
        timeout=1200,
    )
    return Machine(vm, newer, older)


def test_a_kernel_is_booted_once_and_without_a_commit_the_old_one_is_back(machine: Machine) -> None:
    assert machine.look() == OneBoot("none", None, machine.newer, machine.newer, machine.look().hands)
    machine.tell(arm_command(machine.older))
    once = machine.tell(f"stat -c %Y.%i {ONCE} /boot/grub/grub.cfg /boot/grub/grubenv")
    machine.tell(arm_command(machine.older))
    assert machine.tell(f"stat -c %Y.%i {ONCE} /boot/grub/grub.cfg /boot/grub/grubenv") == once
    # Neither the hook of a kernel nor the guard makes it the default for good.
    machine.installs(machine.older, pinned=True)
    assert machine.look() == OneBoot("armed", machine.older, machine.newer, machine.newer, machine.look().hands)
    machine.vm.reboot()
    assert machine.look() == OneBoot("booted", machine.older, machine.older, machine.newer, machine.look().hands)
    assert machine.tell("cat /proc/sys/kernel/panic") == "10"
    machine.vm.reboot()
    assert machine.look() == OneBoot("fell-back", machine.older, machine.newer, machine.newer, machine.look().hands)
    with pytest.raises(HostError, match=re.escape(f"{machine.newer} runs")):
        machine.tell(commit_command())
    machine.tell(f"rm {PIN}; {disarm_command()}")
    assert machine.look() == OneBoot("none", None, machine.newer, machine.newer, machine.look().hands)


def test_a_committed_kernel_stays_and_one_that_panics_gives_way_to_it(machine: Machine) -> None:
    machine.tell(arm_command(machine.older))
    machine.vm.reboot()
    machine.tell(commit_command())
    machine.tell(f"cp /boot/vmlinuz-{machine.older} /boot/vmlinuz-{PANICS}")
    machine.installs(PANICS)
    assert machine.look().default == machine.older
    machine.tell(arm_command(PANICS))
    # The power is cut, not only the system: what is armed is on disk.
    machine.vm.kill()
    machine.vm.start()
    assert "Kernel panic" in machine.vm.console(lines=2000)
    assert machine.look() == OneBoot("fell-back", PANICS, machine.older, machine.older, machine.look().hands)


def test_a_kernel_that_grub_can_not_load_gives_way_to_the_old_one(machine: Machine) -> None:
    machine.tell(f"{disarm_command()}; rm /boot/vmlinuz-{PANICS}; seq 100000 >/boot/vmlinuz-{GARBAGE}")
    machine.installs(GARBAGE)
    machine.tell(arm_command(GARBAGE))
    machine.vm.reboot()
    assert "invalid magic number" in machine.vm.console(lines=2000)
    assert "Falling back to" in machine.vm.console(lines=2000)
    assert machine.look() == OneBoot("fell-back", GARBAGE, machine.older, machine.older, machine.look().hands)


def test_after_a_hang_a_power_cycle_brings_the_old_kernel(machine: Machine) -> None:
    torn = f"head -c 100000 /boot/vmlinuz-{machine.older} >/boot/vmlinuz-{HANGS}"
    machine.tell(f"{disarm_command()}; rm /boot/vmlinuz-{GARBAGE}; {torn}")
    machine.installs(HANGS)
    machine.tell(arm_command(HANGS))
    machine.vm.exec("systemctl reboot", check=False)
    wait_until(lambda: f"Loading Linux {HANGS}" in machine.vm.console(lines=2000), 300)
    machine.vm.kill()
    machine.vm.start()
    assert machine.look() == OneBoot("fell-back", HANGS, machine.older, machine.older, machine.look().hands)


def test_where_grub_chooses_the_running_kernel_nothing_is_left_after_a_commit(machine: Machine) -> None:
    machine.tell(f"{disarm_command()}; rm /boot/vmlinuz-{HANGS} /boot/*-{machine.newer}")
    machine.installs(machine.older)
    machine.tell(commit_command())
    assert machine.look() == OneBoot("none", None, machine.older, machine.older, machine.look().hands)
    assert machine.tell(f"ls -d {KEPT} {ONCE} 2>/dev/null || true") == ""
    assert 'set default="0"' in machine.tell("cat /boot/grub/grub.cfg")
