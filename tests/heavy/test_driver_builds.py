"""NVIDIA's own packages, as Debian has them, with Debian's own kernel: one pair doesn't build, and one does.

The pair that doesn't build is 550.163.01 with 6.12.117. Archives drop versions: if that kernel is gone, the newest
one takes its place, and then the test checks only that the tool shows what the compiler said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from rackwright.lab import fleet_file
from rackwright.lab.hosts import Lab
from rackwright.roles.nvidia_driver.settings import GUARD
from tests.lab.alone import alone
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator, Said

pytestmark = pytest.mark.heavy
COVERS = (
    "deploys/gpu.py",
    "rackwright/fleet/hosts/driver.py",
    "rackwright/lifecycle/lock/driver_sets.py",
    "rackwright/operations/driver.py",
    "rackwright/operations/dkms_build.sh",
    "rackwright/operations/driver_install.sh",
    "rackwright/operations/package_set.py",
    "rackwright/package_set.py",
    "roles/nvidia_driver",
)

KERNEL = "linux-image-6.12.117+deb13-amd64"
FAILS, BUILDS = ("550", "open", "550.163.01"), ("535", "proprietary", "535.274.02")
"""Branch, modules, and the version with which this result was seen."""
ONLY = ("--only", "layout", "--only", "nvidia_driver")


@dataclass(frozen=True)
class Machine:
    host: LabHost
    operator: Operator
    kernel: str
    """The package that installs the kernel."""

    def installs(self, branch: str, modules: str) -> Said:
        """Lock and apply a fleet file that asks for this driver."""
        text = self.operator.path.read_text().partition("driver:")[0]
        asked = f'on: gpu1, source: distribution, branch: "{branch}", modules: {modules}, kernel: {self.kernel}'
        self.operator.path.write_text(f"{text}driver: {{{asked}}}\n")
        self.operator("lock")
        return self.operator("apply", "--yes", *ONLY, check=None, timeout=1200)

    def module(self) -> str:
        release = self.host.tell("ls /boot/vmlinuz-* | sed 's,.*vmlinuz-,,'")
        found = f"find /lib/modules/{release} -name 'nvidia-*.ko*' | grep -v -e uvm -e drm -e modeset -e peermem"
        return self.host.tell(f"modinfo -F version $({found}) || true")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with fresh_lab("builds", "gpu1") as lab:
        operator = alone(
            tmp_path_factory.mktemp("site"),
            LabHost(lab, lab.fleet(), "gpu1").target(),
            admins=str(lab.fleet().subnet),
            defaults=fleet_file.BASELINE,
        )
        yield Machine(LabHost(lab, lab.fleet(), "gpu1"), operator, _kernel(lab))


def _kernel(lab: Lab) -> str:
    lab.exec("gpu1", "apt-get -qq update")
    return KERNEL if lab.exec("gpu1", f"apt-cache show {KERNEL}", check=False).code == 0 else "linux-image-amd64"


def test_a_driver_that_doesnt_build_fails_with_the_compilers_words_and_changes_nothing(machine: Machine) -> None:
    branch, modules, version = FAILS
    failed = machine.installs(branch, modules)
    if failed.code == 0:
        assert (machine.kernel, machine.module()) != (KERNEL, version), (
            "this very pair failed when it was written down"
        )
        pytest.skip(f"Debian mended it: {machine.module()} builds for {machine.kernel}")
    assert failed.code == 3
    assert "error: too few arguments to function" in failed.out
    assert "the driver was not changed" in failed.out
    assert machine.module() == ""
    assert machine.host.tell("dpkg -l 'libnvidia-ml1' 2>/dev/null | grep -c ^ii || true") == "0"
    assert machine.host.tell("dpkg --audit") == ""


def test_a_driver_that_builds_is_installed_for_the_kernel_of_the_next_boot(machine: Machine) -> None:
    branch, modules, version = BUILDS
    done = machine.installs(branch, modules)
    if done.code == 3 and machine.kernel != KERNEL and "doesn't build for kernel" in done.out:
        pytest.skip(f"{branch} doesn't build for {machine.kernel} any more: find a pair that does")
    assert done.code == 0, done.out + done.err
    assert machine.module().startswith(f"{branch}.")
    assert machine.module() == version or machine.kernel != KERNEL
    assert machine.host.holds(f"{GUARD} ask")
    assert machine.operator("apply", "--yes", "--json", *ONLY).json["changed"] == 0
