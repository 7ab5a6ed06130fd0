"""The files and arguments of a virtual machine, without starting one."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rackwright.errors import RackwrightError
from rackwright.lab.vm import disk, qemu
from rackwright.lab.vm.first_boot import Identity

AMD = "processor : 0\nflags : fpu sse2 svm avx\n"
INTEL = "processor : 0\nflags : fpu sse2 vmx avx\n"
WITHIN_ANOTHER = "processor : 0\nmodel name : svm\nflags : fpu sse2 avx hypervisor\n"


def test_kvm_takes_a_processor_that_says_so() -> None:
    assert qemu.accelerates(AMD)
    assert qemu.accelerates(INTEL)
    assert not qemu.accelerates(WITHIN_ANOTHER)
    assert not qemu.accelerates("")


@pytest.fixture
def machine(tmp_path: Path) -> qemu.Machine:
    return qemu.Machine(tmp_path / "disk.qcow2", "qcow2", tmp_path / "console.log", 2222)


def test_sshd_is_reached_on_loopback_alone(machine: qemu.Machine) -> None:
    command = " ".join(qemu.command(machine))
    assert "hostfwd=tcp:127.0.0.1:2222-:2222" in command
    assert command.count("hostfwd") == 1


def test_a_machine_boots_from_its_disk_unless_it_is_given_a_kernel(machine: qemu.Machine) -> None:
    assert "-kernel" not in qemu.command(machine)
    first = qemu.Machine(machine.disk, "raw", machine.console, kernel=qemu.Kernel(Path("k"), Path("i"), "line"))
    assert qemu.command(first)[-7:] == ["-kernel", "k", "-initrd", "i", "-append", "line", "-no-reboot"]


def test_a_machine_that_is_off_says_what_it_last_said(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_text("Kernel panic - not syncing")
    console.with_suffix(".err").write_text("no such disk")
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], text=True)
    assert qemu.ended(process, 30)
    with pytest.raises(RackwrightError, match=r"QEMU exited 3(.|\n)*Kernel panic(.|\n)*no such disk"):
        qemu.check_runs(process, console)


def test_a_machine_is_told_who_it_is_by_files_and_not_by_arguments(tmp_path: Path, machine: qemu.Machine) -> None:
    identity = Identity(tmp_path, "vm1")
    identity.make(2222)
    told = qemu.Machine(machine.disk, "qcow2", machine.console, 2222, identity.credentials)
    secret = (tmp_path / "host_key").read_text()
    assert secret.splitlines()[1] not in " ".join(qemu.command(told))
    assert stat.S_IMODE((tmp_path / "host_key").stat().st_mode) == 0o600
    for name, path in identity.credentials.items():
        assert f"name=opt/io.systemd.credentials/{name},file={path}" in qemu.command(told)
        assert path.exists(), name


def test_the_host_key_is_pinned_before_the_first_connection(tmp_path: Path) -> None:
    identity = Identity(tmp_path, "vm1")
    identity.make(2222)
    place, *key = identity.known_hosts.read_text().split()
    assert place == "[127.0.0.1]:2222"
    assert key == (tmp_path / "host_key.pub").read_text().split()[:2]


def test_every_credential_that_tmpfiles_takes_is_given(tmp_path: Path) -> None:
    identity = Identity(tmp_path, "vm1")
    identity.make(2222)
    lines = (tmp_path / "tmpfiles").read_text().splitlines()
    assert {line.split()[-1] for line in lines if line.startswith("f^")} < identity.credentials.keys()
    assert [line for line in lines if "Port 2222" in line]


def test_the_disk_is_known_by_its_recipe() -> None:
    assert disk.current().digest == disk.current().digest
    assert "grub-pc" in disk.current().packages.split(",")
