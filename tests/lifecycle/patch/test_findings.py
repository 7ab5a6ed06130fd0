"""What a host's state means: reasons for a reboot, obstacles, the way back, hands."""

from __future__ import annotations

from rackwright.fleet.lock import DriverLock
from rackwright.lifecycle.patch.findings import (
    Left,
    SetChange,
    in_the_way,
    left_alone,
    needs_hands,
    no_way_back,
    reboots,
)
from rackwright.package_set import Package
from tests.lifecycle.patch.states import state


def driver_set(version: str, kernel: str) -> DriverLock:
    module = Package(
        name="nvidia-dkms",
        version=version,
        architecture="amd64",
        size=1,
        sha256="a" * 64,
        url="https://m.internal/n.deb",
    )
    return DriverLock(
        question="q",
        system="debian 13",
        architecture="amd64",
        modules="open",
        hosts=("gpu1",),
        version=version,
        kernel=kernel,
        kernel_package="linux-image-amd64",
        install=(),
        packages=(module,),
    )


NOW, COMING = driver_set("580.1", "6.12.48+deb13-amd64"), driver_set("580.2", "6.12.57+deb13-amd64")


def test_each_reason_for_a_reboot_is_named() -> None:
    assert reboots(state(), None) == (
        "installed packages ask for one: libc6 linux-image-amd64",
        "kernel 6.12.57+deb13-amd64; 6.12.48+deb13-amd64 runs",
    )
    assert reboots(state("reboot", "Inst"), SetChange(NOW, COMING)) == (
        "kernel 6.12.57+deb13-amd64; 6.12.48+deb13-amd64 runs",
        "driver 580.1 becomes 580.2",
    )


def test_an_older_kernel_that_is_still_installed_is_no_reason() -> None:
    assert reboots(state("reboot", "Inst"), None) == ()
    assert reboots(state("reboot", "Inst", kernel="6.12.100+deb13-amd64"), None) == (
        "kernel 6.12.100+deb13-amd64 is installed; 6.12.48+deb13-amd64 runs",
    )


def test_the_set_that_the_host_has_needs_no_reboot_once_it_runs() -> None:
    assert reboots(state("reboot", "Inst"), SetChange(NOW, NOW)) == ()
    assert reboots(state("reboot", "Inst"), SetChange(COMING, COMING)) == (
        "kernel 6.12.57+deb13-amd64; 6.12.48+deb13-amd64 runs",
    )


def test_half_configured_packages_a_lock_and_full_disks_are_in_the_way() -> None:
    assert in_the_way(state(), kernel=False) == (
        "dpkg didn't finish small-half (half-configured): dpkg --configure -a",
        "dpkg is locked by apt-get (4711)",
        "/var has 1.0 MB free; should have 456.5 MB",
    )
    full = state("broken", "locked", "space", space="/boot 1000 /boot")
    assert in_the_way(full, kernel=True) == ("/boot has 1.0 kB free; should have 333.6 MB",)
    assert in_the_way(full, kernel=False) == ()


def test_one_filesystem_counts_for_all_of_its_folders() -> None:
    spaces = "/var 700000000 /\nspace /boot 700000000 /"
    (said,) = in_the_way(state("broken", "locked", "space", space=spaces), kernel=True)
    assert said == "/ has 700.0 MB free; should have 756.5 MB"


def test_a_package_whose_version_before_is_gone_is_named() -> None:
    assert [offered.name for offered in no_way_back(state())] == ["tzdata"]


def test_what_needs_hands() -> None:
    *of_boot, of_bmc = needs_hands(state(), bmc=False)
    assert of_boot == list(needs_hands(state(), bmc=True))
    assert [("lvm" in line, "watchdog" in line) for line in of_boot] == [(True, False), (False, True)]
    assert of_bmc == "the fleet file has no bmc for it: a power cycle needs a person at the machine"
    assert needs_hands(state("boot"), bmc=True) == (
        "unknown, because it has no /etc/rackwright/one-boot, which apply puts on hosts whose driver it installs",
    )


def test_a_package_that_stays_has_somebody_who_decides_it() -> None:
    assert left_alone(state(kept="libllama0"), driver=True) == (Left("libllama0", "runtime update decides it"),)
    assert left_alone(state(), driver=True) == (
        Left("linux-image-lab", "the next lock decides it"),
        Left("small-conflicting", "kept back by apt: it conflicts with other packages, or its update is phased"),
    )
    assert left_alone(state(), driver=False)[0] == Left("linux-image-lab", "rackwright holds it for nvidia-580")
    assert left_alone(state(held="linux-image-lab "), driver=False)[0] == Left(
        "linux-image-lab", "on hold; apt-mark unhold releases it"
    )


def test_a_release_with_strange_digits_is_compared_too() -> None:
    # str.isdigit says yes to this one, and int() refuses it.
    assert reboots(state("reboot", "Inst", kernel="6.12.9\u00b2"), None) == ()
