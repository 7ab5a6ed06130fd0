"""The virtual machine behaves like a bare-metal machine, down to its boot loader."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.lab.vm import Vm

pytestmark = [pytest.mark.heavy, pytest.mark.machine]
COVERS = ("rackwright/lab/vm",)

# Its root device doesn't exist: the kernel gives up after a second, and the machine restarts.
_BROKEN = """\
cat >>/etc/grub.d/40_custom <<'END'
menuentry broken --id broken {
  linux /vmlinuz root=/dev/nowhere rootdelay=1 panic=1 console=ttyS0
  initrd /initrd.img
}
END
echo 'GRUB_DEFAULT=saved' >/etc/default/grub.d/saved.cfg
update-grub
grub-reboot broken
echo kept >/var/kept
sync
"""


def test_it_boots_its_own_kernel_by_its_own_boot_loader(vm: Vm) -> None:
    assert vm.exec("uname -r").out != Path("/proc/sys/kernel/osrelease").read_text()
    assert "BOOT_IMAGE=/boot/vmlinuz-" in vm.exec("cat /proc/cmdline").out
    assert vm.exec("hostname; systemctl is-system-running").out.split() == [vm.name, "running"]


def test_a_machine_with_another_host_key_is_refused(vm: Vm, tmp_path: Path) -> None:
    target = vm.target()
    assert target.known_hosts
    other = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    place = target.known_hosts.read_text().split()[0]
    (tmp_path / "known_hosts").write_text(f"{place} {other.with_suffix('.pub').read_text()}")
    words = ["ssh", "-F", "none", "-i", str(target.key), "-p", str(target.port), "-o", "BatchMode=yes"]
    words += ["-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={tmp_path / 'known_hosts'}"]
    done = subprocess.run([*words, f"{target.user}@{target.address}", "true"], capture_output=True, text=True)
    assert "Host key verification failed" in done.stderr


def test_the_package_mirrors_are_reached(vm: Vm) -> None:
    vm.exec("apt-get update -qq -o APT::Update::Error-Mode=any", timeout=600)


def test_after_a_power_cut_and_an_entry_that_does_not_start_it_is_back_by_itself(vm: Vm) -> None:
    before = vm.boot_id()
    vm.exec(_BROKEN)
    vm.kill()
    with pytest.raises(RackwrightError):
        vm.exec("true")
    vm.start()
    assert "Rebooting automatically due to panic= boot argument" in vm.console(lines=2000)
    assert vm.boot_id() != before
    assert "/dev/nowhere" not in vm.exec("cat /proc/cmdline").out
    assert vm.exec("cat /var/kept; systemctl is-system-running").out.split() == ["kept", "running"]
    vm.power_off()
