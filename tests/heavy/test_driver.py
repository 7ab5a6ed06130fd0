"""Driver and kernel as one set on a real host: apt, dpkg, DKMS and the compiler are real, what they build is ours.

The packages are stand-ins (tests/stand_in_driver.py): a container has no kernel of its own and no GPU. The kernel's
side is in tests/heavy/test_driver_vm.py, NVIDIA's real modules in tests/heavy/test_driver_builds.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from rackwright.lab import fleet_file
from rackwright.lab.hosts import Lab
from rackwright.package_set import ROOT
from rackwright.roles.nvidia_driver.settings import GUARD, PIN, UNIT
from tests.lab.alone import alone
from tests.lab.deployed import LabHost
from tests.lab.labs import fresh_lab
from tests.lab.operator import Operator
from tests.stand_in_driver import FOLDER, TOOLS, Kernel, repository
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "deploys/gpu.py",
    "rackwright/fleet/hosts/driver.py",
    "rackwright/fleet/sections/driver.py",
    "rackwright/lifecycle/lock/driver_sets.py",
    "rackwright/lifecycle/apply/reboot.py",
    "rackwright/operations/driver.py",
    "rackwright/operations/dkms_build.sh",
    "rackwright/operations/driver_install.sh",
    "rackwright/operations/facts/found_driver.py",
    "rackwright/operations/package_set.py",
    "rackwright/package_set.py",
    "roles/nvidia_driver",
    "roles/cuda",
)

OLD, NEW = "580.95.05", "580.105.08"
BUILDS, BREAKS = Kernel("6.12.1-lab"), Kernel("6.12.2-lab", resizes=3)
_SECTION = f'driver: {{{{on: {{name}}, source: path, path: {FOLDER}, branch: "580", kernel: linux-image-lab}}}}\n'
# update-grub is a stand-in: a container has no boot loader. It is real in the virtual machine.
_PREPARED = f"""set -e; export DEBIAN_FRONTEND=noninteractive
apt-get -qq update; apt-get -qq -y --no-install-recommends install {TOOLS} >/dev/null
mkdir -p /etc/default/grub.d; echo 'date >>/run/grub' >/usr/sbin/update-grub; chmod +x /usr/sbin/update-grub"""
_SMI = """#!/bin/sh
if [ "$1" = -L ]; then echo 'GPU 0: stand-in (UUID: GPU-0)'; exit; fi
echo look >>/run/looks
printf '    Fabric\\n        State    : %s\\n        Status   : Success\\n' "$(cat /run/fabric)"
"""
_SIGNED = """set -e; export DEBIAN_FRONTEND=noninteractive
apt-get -qq -y --no-install-recommends install gpg gpg-agent >/dev/null
for who in archive stranger; do
  gpg -q --batch --passphrase '' --quick-generate-key $who@lab.internal ed25519 sign never
  gpg --armor --export $who@lab.internal >/srv/$who.asc
done
cd {folder}; apt-ftparchive release . >/tmp/release
gpg -q --batch --yes --default-key archive@lab.internal --clearsign -o InRelease /tmp/release"""


@dataclass(frozen=True)
class Site:
    host: LabHost
    operator: Operator

    def offers(self, version: str, *kernels: Kernel) -> None:
        self.host.tell(repository(version, *kernels))

    def modules(self, kernel: Kernel) -> str:
        return self.host.tell(f"modinfo -F version $(find /lib/modules/{kernel.release} -name 'nvidia.ko*') || true")

    def library(self) -> str:
        return self.host.tell("readlink /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1").rpartition(".so.")[2]

    def sets(self) -> set[str]:
        return set(self.host.tell(f"cd {ROOT} && ls -d */").replace("/", "").split())


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with fresh_lab("driver", "gpu1", "gpu2") as lab, ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: lab.exec(host, _PREPARED, timeout=300), ("gpu1", "gpu2")))
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A host on which an apply has installed a driver, with a kernel for which the driver builds."""
    site = _site(lab, "gpu1", tmp_path_factory)
    site.offers(OLD, BUILDS)
    site.operator.path.write_text(site.operator.path.read_text() + _SECTION.format(name="gpu1"))
    site.operator("lock")
    site.operator("apply", "--yes")
    return site


def _site(lab: Lab, name: str, factory: pytest.TempPathFactory) -> Site:
    host = LabHost(lab, lab.fleet(), name)
    made = alone(factory.mktemp(name), host.target(), admins=str(lab.fleet().subnet), defaults=fleet_file.BASELINE)
    return Site(host, made)


def test_the_module_is_built_the_packages_are_on_hold_and_a_second_apply_changes_nothing(site: Site) -> None:
    assert site.modules(BUILDS) == site.library() == OLD
    held = site.host.tell("apt-mark showhold").split()
    assert {"nvidia-kernel-open-dkms", "libnvidia-ml1", f"linux-image-{BUILDS.release}"} <= set(held)
    assert site.operator("apply", "--yes", "--json").json["changed"] == 0


def test_the_running_kernel_is_not_passed_over(site: Site) -> None:
    """A container runs a kernel that isn't its own."""
    told = site.operator("plan").out
    assert "reboot pending: the running kernel has no NVIDIA module" in told


def test_the_lock_keeps_its_answer_and_asks_no_host(site: Site) -> None:
    lock = site.operator.path.with_suffix(".lock")
    before = lock.read_text()
    site.host.lab.freeze("gpu1")
    try:
        site.operator("lock", timeout=30)
    finally:
        site.host.lab.thaw("gpu1")
    assert lock.read_text() == before


def test_a_drifted_set_is_found_by_plan_and_brought_back(site: Site) -> None:
    site.host.tell("apt-mark -q unhold nvidia-driver-cuda && apt-get -qq -y remove nvidia-driver-cuda")
    told = site.operator("plan").out
    assert "nvidia-driver-cuda: absent becomes 580.95.05-1 (drifted)" in told
    site.operator("apply", "--yes")
    site.host.tell("apt-mark -q unhold libnvidia-ml1")
    assert "libnvidia-ml1: put on hold" in site.operator("plan").out
    assert site.operator("plan", "--check", check=None).code == 4
    site.operator("apply", "--yes")
    assert "libnvidia-ml1" in site.host.tell("apt-mark showhold").split()


def test_the_toolkit_comes_only_when_asked_and_is_let_go_when_not(site: Site) -> None:
    assert not site.host.holds("[ -e /usr/local/cuda-12.8 ]")
    driver = site.host.tell(f"cat {ROOT}/driver.installed")
    site.operator.edit('branch: "580"', 'branch: "580", cuda: "12.8"')
    site.operator("apply", "--yes")
    assert site.host.holds("[ -e /usr/local/cuda-12.8 ]")
    assert "cuda-toolkit-12-8" in site.host.tell("apt-mark showhold").split()
    assert site.host.tell(f"cat {ROOT}/driver.installed") == driver
    assert site.sets() == {driver, site.host.tell(f"cat {ROOT}/cuda.installed")}
    assert site.operator("apply", "--yes", "--json").json["changed"] == 0
    site.operator.edit(', cuda: "12.8"', "")
    site.operator("apply", "--yes")
    assert "cuda-toolkit-12-8" not in site.host.tell("apt-mark showhold").split()
    assert site.host.holds("[ -e /usr/local/cuda-12.8 ]")
    assert site.operator("apply", "--yes", "--json").json["changed"] == 0


def test_nothing_that_needs_gpus_starts_before_their_fabric_is_complete(site: Site) -> None:
    """nvidia-smi is a stand-in, and so is the unit that starts in an engine's place: a container has no module."""
    site.host.tell(f"cat >/usr/local/bin/nvidia-smi <<'END'\n{_SMI}END\nchmod +x /usr/local/bin/nvidia-smi")
    site.host.tell("echo 'In Progress' >/run/fabric; systemctl start --no-block rackwright-gpus.service")
    needs = f"-p Requires={UNIT} -p After={UNIT}"
    site.host.tell(f"systemd-run --quiet --no-block --unit=engine {needs} sleep infinity")
    try:
        wait_until(lambda: int(site.host.tell("wc -l </run/looks || echo 0")) > 2)
        assert site.host.tell(f"systemctl is-active {UNIT} engine.service || true").split() == [
            "activating",
            "inactive",
        ]
        site.host.tell("echo Completed >/run/fabric")
        wait_until(lambda: site.host.holds("systemctl -q is-active engine.service"))
        assert site.host.holds(f"systemctl -q is-active {UNIT}")
    finally:
        site.host.tell(f"systemctl stop engine.service {UNIT}; rm /usr/local/bin/nvidia-smi")


def test_a_kernel_for_which_the_module_doesnt_build_changes_nothing_but_says_why(site: Site) -> None:
    before = (site.library(), site.modules(BUILDS))
    site.offers(OLD, BUILDS, BREAKS)
    locked = site.operator.path.with_suffix(".lock").read_text()
    site.operator("lock", "--upgrade")
    failed = site.operator("apply", "--yes", check=3)
    assert "too few arguments to function" in failed.out
    assert f"doesn't build for kernel {BREAKS.release}" in failed.out
    assert (site.library(), site.modules(BUILDS)) == before
    assert site.host.holds(f"[ -e /boot/vmlinuz-{BREAKS.release} ]")
    assert f"GRUB_TOP_LEVEL=/boot/vmlinuz-{BUILDS.release}" in site.host.tell(f"cat {PIN}")
    assert site.host.tell("dpkg --audit") == ""
    _goes_back_though_the_newer_kernel_is_there(site, locked)


def _goes_back_though_the_newer_kernel_is_there(site: Site, locked: str) -> None:
    site.operator.path.with_suffix(".lock").write_text(locked)
    site.operator("apply", "--yes")
    assert f"GRUB_TOP_LEVEL=/boot/vmlinuz-{BUILDS.release}" in site.host.tell(f"cat {PIN}")
    assert site.operator("apply", "--yes", "--json").json["changed"] == 0
    held = site.host.tell("apt-mark showhold").split()
    assert f"linux-image-{BUILDS.release}" in held
    assert f"linux-image-{BREAKS.release}" not in held
    site.host.tell(f"apt-get -qq -y purge linux-*-{BREAKS.release} && {GUARD}")
    assert not site.host.holds(f"[ -e {PIN} ]")


def test_a_kernel_installed_by_hand_doesnt_boot_without_the_driver(site: Site) -> None:
    site.host.tell(repository(OLD, BREAKS))
    names = f"{FOLDER}/linux-image-{BREAKS.release}_1_amd64.deb {FOLDER}/linux-headers-{BREAKS.release}_1_amd64.deb"
    installed = site.host.lab.exec("gpu1", f"DEBIAN_FRONTEND=noninteractive dpkg -i {names} 2>&1", check=False)
    booted = site.host.tell(f"cat {PIN} 2>/dev/null || true")
    # If DKMS's own hook fails, GRUB's hook doesn't run, and the boot entry stays the same.
    assert installed.code != 0 or f"vmlinuz-{BUILDS.release}" in booted
    site.host.tell(f"dpkg --purge --force-all linux-image-{BREAKS.release} linux-headers-{BREAKS.release}; {GUARD}")


def test_a_new_driver_takes_the_old_ones_place_and_goes_back_without_the_repository(site: Site) -> None:
    locked = site.operator.path.with_suffix(".lock").read_text()
    first = site.host.tell(f"cat {ROOT}/driver.installed")
    site.host.tell(f"rm -f {FOLDER}/*{BREAKS.release}*")
    site.offers(NEW, BUILDS)
    site.operator("lock", "--upgrade")
    site.operator("apply", "--yes")
    assert site.modules(BUILDS) == site.library() == NEW
    assert site.sets() == {first, site.host.tell(f"cat {ROOT}/driver.installed")}
    site.host.tell(f"rm -rf {FOLDER}")
    site.operator.path.with_suffix(".lock").write_text(locked)
    site.operator("apply", "--yes")
    assert site.modules(BUILDS) == site.library() == OLD
    assert site.operator("apply", "--yes", "--json").json["changed"] == 0


def test_secure_boot_names_the_key_that_must_be_enrolled(site: Site) -> None:
    """mokutil is a stand-in: the container has no firmware."""
    site.host.tell("printf '#!/bin/sh\\n[ $1 != --sb-state ] || echo SecureBoot enabled\\n' >/usr/bin/mokutil")
    site.host.tell("chmod +x /usr/bin/mokutil")
    told = site.operator("plan").out
    site.host.tell("rm /usr/bin/mokutil")
    assert "Secure Boot is on" in told
    assert "mokutil --import /var/lib/dkms/mok.pub" in told


@pytest.fixture(scope="module")
def taken(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A host on which an administrator has already installed a driver."""
    site = _site(lab, "gpu2", tmp_path_factory)
    site.offers(OLD, BUILDS)
    site.host.tell(f"apt-get -qq -y install {FOLDER}/linux-*.deb {FOLDER}/*nvidia*.deb >/dev/null 2>&1")
    site.offers(NEW, BUILDS)
    site.operator.path.write_text(site.operator.path.read_text() + _SECTION.format(name="gpu2"))
    site.operator("lock")
    return site


def test_a_repository_is_signed_by_the_key_that_was_named_or_nothing_is_locked(taken: Site) -> None:
    """apt itself verifies the signature, with the keyring inside its sources."""
    taken.host.tell(_SIGNED.format(folder=FOLDER))
    lock, text = taken.operator.path.with_suffix(".lock"), taken.operator.path.read_text()
    for who in ("archive", "stranger"):
        (lock.parent / f"{who}.asc").write_text(taken.host.tell(f"cat /srv/{who}.asc"))
    before = lock.read_text()
    taken.operator.path.write_text(text.replace("branch:", "key: stranger.asc, branch:"))
    refused = taken.operator("lock", check=10)
    assert "driver: gpu2: " in refused.err
    assert FOLDER in refused.err
    assert lock.read_text() == before
    taken.operator.path.write_text(text.replace("branch:", "key: archive.asc, branch:"))
    taken.operator("lock")
    assert f"version: {NEW}" in lock.read_text()
    taken.operator.path.write_text(text)
    taken.operator("lock")


def test_a_foreign_driver_is_named_and_refused(taken: Site) -> None:
    refused = taken.operator("plan", check=10)
    assert f"it already has a driver: nvidia-kernel-open-dkms {OLD}-1" in refused.err
    assert "manage: adopt" in refused.err
    assert taken.library() == OLD


def test_nothing_is_on_hold_with_manage_no(taken: Site) -> None:
    taken.operator.edit("driver: {on: gpu2,", "driver: {on: gpu2, manage: no,")
    taken.operator("apply", "--yes")
    assert taken.host.tell("apt-mark showhold") == ""
    assert not taken.host.holds(f"[ -e {GUARD} ]")


def test_an_adopted_driver_is_on_hold_and_guarded_and_stays(taken: Site) -> None:
    taken.operator.edit("gpu2, manage: no", "gpu2, manage: adopt")
    taken.operator("apply", "--yes")
    assert taken.library() == OLD
    assert {"nvidia-kernel-open-dkms", "libnvidia-ml1"} <= set(taken.host.tell("apt-mark showhold").split())
    assert taken.host.holds(f"{GUARD} ask")
    assert taken.operator("apply", "--yes", "--json").json["changed"] == 0


def test_replaced_it_makes_way(taken: Site) -> None:
    taken.host.tell(
        "printf '#!/bin/sh\\nrm -- \"$0\"\\n' >/usr/bin/nvidia-uninstall; chmod +x /usr/bin/nvidia-uninstall"
    )
    taken.operator.edit("gpu2, manage: adopt", "gpu2, manage: replace")
    taken.operator("apply", "--yes")
    assert taken.modules(BUILDS) == taken.library() == NEW
    assert not taken.host.holds("[ -e /usr/bin/nvidia-uninstall ]")
    assert taken.operator("apply", "--yes", "--json").json["changed"] == 0


def test_what_the_fleet_no_longer_asks_for_goes(taken: Site) -> None:
    taken.operator.edit("gpu2, manage: replace", "gpu2, manage: no")
    taken.operator("apply", "--yes")
    assert not taken.host.holds(f"[ -e {GUARD} ] || [ -e /etc/systemd/system/rackwright-gpus.service ]")
    assert taken.library() == NEW
