"""The script that installs a set, run by sh with stand-ins for apt, dpkg and DKMS: what it does in which order."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from rackwright.operations.package_set import INSTALL

OLD, NEW = "6.12.99-amd64", "6.12.117-amd64"
_ABSOLUTE = ("/etc/rackwright", "/etc/dkms", "/var/lib", "/var/tmp", "/boot/")
_PROGRAMS = {
    "apt-get": """for last; do :; done
case $* in *linux-image*nvidia*) what=set ;; *linux-image*) what=kernels; touch {root}/boot/vmlinuz-{new} ;;
*update*) exit 0 ;; *) what=$last ;; esac
echo "install $what${{last##*.deb}}" >>{root}/log
[ ! -e {root}/broken ] || [ "$what" != set ]""",
    "dpkg-deb": """s=$3/usr/src/nvidia-580; mkdir -p "$s"; echo 'PACKAGE_NAME="nvidia"' >"$s/dkms.conf" """,
    # build -m NAME -v VERSION -k KERNEL --sourcetree FOLDER --dkmstree FOLDER
    "dkms": """case $1 in
build)
  t=${{11}}/nvidia/580
  echo "build $7" >>{root}/log
  mkdir -p "$t/build" "$t/$7/x86_64/module"
  if grep -qxF "$7" {root}/fails; then
    echo "nvidia.c:9:9: error: too few arguments" >"$t/build/make.log"
    exit 10
  fi ;;
install) echo "dkms $7" >>{root}/log ;;
esac""",
    "dpkg": 'echo "dpkg $*" >>{root}/log',
    "ldconfig": ":",
    "uname": "echo {old}",
    "uninstall": "echo uninstall >>{root}/log",
}  # fmt: skip


@dataclass
class Machine:
    root: Path

    def run(self, *leaving: str, fails: tuple[str, ...] = (), uninstall: bool = False) -> tuple[int, str]:
        (self.root / "fails").write_text("".join(f"{kernel}\n" for kernel in fails))
        text = INSTALL
        for path in _ABSOLUTE:
            assert path in text
            text = text.replace(path, f"{self.root}{path}")
        environment = {**os.environ, "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        environment |= {"uninstall": "uninstall --silent"} if uninstall else {}
        done = subprocess.run(
            ["sh", "-c", text, "install", f"{self.root}/set", NEW, *leaving],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment,
        )
        return done.returncode, done.stderr

    @property
    def log(self) -> list[str]:
        return (self.root / "log").read_text().splitlines()

    @property
    def autoinstall_is_off(self) -> bool:
        return (self.root / "etc/dkms/no-autoinstall").exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for folder in ("bin", "set", "boot", "etc/rackwright", "etc/dkms", "var/tmp", "var/lib/apt/periodic"):
        (tmp_path / folder).mkdir(parents=True)
    programs = {f"bin/{name}": body for name, body in _PROGRAMS.items()}
    # The tests of the guard cover its findings; here only the point at which it is called matters.
    programs["etc/rackwright/boot-guard"] = "echo guard $1 >>{root}/log"
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body.format(root=tmp_path, old=OLD, new=NEW)}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / f"boot/vmlinuz-{OLD}").touch()
    (tmp_path / "var/lib/apt/periodic/update-success-stamp").touch()
    for package in (f"linux-image-{NEW}", f"linux-headers-{NEW}", "nvidia-kernel-open-dkms", "nvidia-driver-cuda"):
        (tmp_path / f"set/{package}_1_amd64.deb").touch()
    return Machine(tmp_path)


WHOLE = [
    "dpkg --configure -a",
    "guard hold",
    "install kernels",
    f"build {NEW}",
    f"build {OLD}",
    "install set",
    f"dkms {NEW}",
    f"dkms {OLD}",
    "guard",
]


def test_the_driver_is_installed_when_it_has_been_built_for_the_coming_and_the_running_kernel(
    machine: Machine,
) -> None:
    status, said = machine.run()
    assert (status, sorted(machine.log)) == (0, sorted(WHOLE)), said
    assert machine.log[:6] == WHOLE[:6]
    assert machine.log[-1] == "guard"
    assert list((machine.root / "var/tmp").iterdir()) == []


def test_a_module_that_does_not_build_for_the_coming_kernel_changes_nothing_of_the_driver(machine: Machine) -> None:
    status, said = machine.run("nvidia-old", fails=(NEW,), uninstall=True)
    assert status == 1
    assert machine.log == ["dpkg --configure -a", "guard hold", "install kernels", f"build {NEW}", "guard"]
    assert f"nvidia 580 doesn't build for kernel {NEW}:\nnvidia.c:9:9: error: too few arguments\n" in said
    assert "the driver was not changed" in said
    assert list((machine.root / "var/tmp").iterdir()) == []


def test_one_that_does_not_build_for_the_running_kernel_only_waits_for_the_reboot(machine: Machine) -> None:
    status, said = machine.run(fails=(OLD,))
    assert status == 0
    assert f"doesn't build for kernel {OLD}" in said
    assert "install set" in machine.log


def test_what_leaves_does_so_in_the_same_step_and_what_an_installer_left_just_before(machine: Machine) -> None:
    status, said = machine.run("nvidia-old", "nvidia-older", uninstall=True)
    assert status == 0, said
    place = machine.log.index("uninstall")
    assert machine.log[place - 1] == f"build {OLD}"
    assert machine.log[place + 1] == "install setnvidia-older-"


def test_dkms_builds_by_itself_again_however_it_ended(machine: Machine) -> None:
    for fails in ((), (NEW,)):
        machine.run(fails=fails)
        assert not machine.autoinstall_is_off
    (machine.root / "broken").touch()
    assert machine.run()[0] != 0
    assert not machine.autoinstall_is_off


def test_a_run_that_lost_its_power_does_not_leave_dkms_off(machine: Machine) -> None:
    (machine.root / "etc/dkms/no-autoinstall").write_text("rackwright\n")
    machine.run()
    assert not machine.autoinstall_is_off


def test_an_operator_who_turned_dkms_off_finds_it_so(machine: Machine) -> None:
    (machine.root / "etc/dkms/no-autoinstall").write_text("")
    machine.run()
    assert machine.autoinstall_is_off
