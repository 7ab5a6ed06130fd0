"""The role of the driver without a host: what it would run, and what it refuses."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.deploys.gpu import gpu
from rackwright.hardware.hardware import Hardware
from rackwright.hardware.pci import PciDevice
from rackwright.operations.facts.boot_guard import BootGuard
from rackwright.operations.facts.driver import FoundDriverFact, Running, RunningDriver
from rackwright.operations.facts.found_driver import FoundDriver, parse_found_driver
from rackwright.operations.facts.package_set import KeptSets, PackageSets
from rackwright.operations.facts.packages import Installed, InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.stored_folder import FileHashes, Stored, StoredFolder
from rackwright.operations.facts.unit import OurUnitStates, Unit, UnitState
from rackwright.package_set import Package, PackageSet
from rackwright.roles.cuda.settings import Settings as Cuda
from rackwright.roles.nvidia_driver import files
from rackwright.roles.nvidia_driver.layouts import HELD
from rackwright.roles.nvidia_driver.refusals import refusals
from rackwright.roles.nvidia_driver.role import nvidia_driver
from rackwright.roles.nvidia_driver.settings import (
    FILES,
    GUARD,
    HOOKS,
    MODPROBE,
    MODULES,
    READY,
    UNIT,
    Settings,
)
from rackwright.roles.nvidia_driver.settings import KERNEL as BOOT_KERNEL
from rackwright.route import Route
from tests.fakes import Played, play, systemctl

OPERATIONS = Path(__file__).parents[2] / "rackwright/operations"
NAMES = ("nvidia-kernel-open-dkms", "nvidia-driver-cuda", "nvidia-persistenced", "linux-image-6.12.117+deb13-amd64")
SET = PackageSet(
    packages=tuple(
        Package(
            name=name, version="580.95.05-1", architecture="amd64", size=9, sha256="a" * 64, url=f"https://r/{name}"
        )
        for name in NAMES
    )
)
SETTINGS = Settings(manage="yes", set=SET, version="580.95.05", kernel="6.12.117+deb13-amd64", modules="open", gpus=8)

# Decisions that the fleet file must make.

_RUN = "its driver was installed by a .run installer (/usr/bin/nvidia-uninstall)"
_DGX = "it runs DGX OS, which has its own driver, kernel and Fabric Manager"
RUN = FoundDriver(run="/usr/bin/nvidia-uninstall", loaded="570.86.15")
DGX = FoundDriver(packages=(("nvidia-dkms-570-server", "570.1-1"),), dgx=True)
PRECOMPILED = FoundDriver(packages=(("linux-modules-nvidia-570-generic", "6.8.0-60.63"),))
OTHER = FoundDriver(packages=(("nvidia-open-kernel-dkms", "550.163.01-2"),), loaded="550.163.01")
UNKNOWN = FoundDriver(loaded="550.163.01")
SAME = FoundDriver(packages=(("nvidia-kernel-open-dkms", "580.95.05-1"), ("nvidia-smi", "580.95.05-1")))
OURS = FoundDriver(packages=(("nvidia-kernel-open-dkms", "570.1-1"),), ours="0123456789abcdef")
NOTHING = FoundDriver(packages=(("nvidia-container-toolkit", "1.17"),))
REFUSED = [
    # (what the host has, manage → the refusal)
    (RUN, {"yes": f"{_RUN} (module 570.86.15 is loaded)"}),
    (DGX, {"yes": _DGX, "replace": f"{_DGX}; it can't be removed with packages"}),
    (PRECOMPILED, {"yes": "it has precompiled modules: linux-modules-nvidia-570-generic 6.8.0-60.63"}),
    (OTHER, {"yes": "it already has a driver: nvidia-open-kernel-dkms 550.163.01-2 (module 550.163.01 is loaded)"}),
    (UNKNOWN, {"yes": "it has a driver of unknown origin (module 550.163.01 is loaded)"}),
    (SAME, {}),
    (replace(SAME, run="/usr/bin/nvidia-uninstall"), {"yes": _RUN}),
    (OURS, {}),
    (NOTHING, {"adopt": "there is no driver to adopt"}),
]  # fmt: skip


@pytest.mark.parametrize("manage", ["yes", "adopt", "replace", "no"])
@pytest.mark.parametrize(("found", "refused"), REFUSED)
def test_a_foreign_driver_is_named_and_refused(found: FoundDriver, refused: dict[str, str], manage: Any) -> None:
    settings = None if manage == "no" else replace_settings(manage)
    told = [problem.what for problem in refusals(found, settings, Hardware())]
    assert told == ([refused[manage]] if manage in refused else [])


def replace_settings(manage: Any) -> Settings:
    return Settings(manage="adopt", gpus=8) if manage == "adopt" else SETTINGS.model_copy(update={"manage": manage})


def test_a_refusal_says_what_can_be_chosen() -> None:
    (problem,) = refusals(OTHER, SETTINGS, Hardware())
    assert problem.where == "driver"
    assert "manage: adopt" in str(problem.should)


# The role.

HAS = {name: Installed("580.95.05-1", on_hold=True) for name in NAMES}
LOADED = Running(loaded="580.95.05", loadable=True)
ENABLED = Unit(load="loaded", active="active", file="enabled")
INSTALL = "Install driver 580.95.05 with kernel 6.12.117+deb13-amd64"
KEPT = {package.file: package.size for package in SET.packages}


def written(content: str, mode: int = 0o644) -> Found:
    return Found("regular file", mode, "root", "root", hashlib.sha256(content.encode()).hexdigest())


def satisfied(settings: Settings = SETTINGS) -> dict[Any, object]:
    """Facts of a host on which the role has nothing to do."""
    paths = {
        GUARD: written(files.BOOT_GUARD, 0o755),
        **{path: written(files.hook(words), 0o755) for path, words in HOOKS.items()},
        BOOT_KERNEL: written(f"{settings.kernel or ''}\n"),
        READY: written(files.GPUS_READY, 0o755),
        MODPROBE: written(files.NO_NOUVEAU),
        MODULES: written(files.modules_at_boot(peermem=False)),
        f"/etc/systemd/system/{UNIT}": written(files.gpus_unit(settings.gpus)),
    }
    return {
        **{(PathState, path): found for path, found in paths.items()},
        RunningDriver: LOADED,
        FoundDriverFact: SAME,
        InstalledPackages: HAS,
        PackageSets: KeptSets({"driver": SET.name}, {}, (SET.name,), {SET.name: NAMES}, {"driver": NAMES}),
        StoredFolder: Stored(SET.digest, KEPT),
        BootGuard: None,
        UnitState: ENABLED,
        OurUnitStates: {UNIT: ENABLED},
    }  # fmt: skip


def on_fresh(settings: Settings = SETTINGS, found: FoundDriver = FoundDriver()) -> Played:  # noqa: B008
    facts = {
        RunningDriver: Running(),
        FoundDriverFact: found,
        InstalledPackages: {name: Installed(version, on_hold=False) for name, version in found.packages},
        PackageSets: KeptSets({}, {}, (), {}),
        StoredFolder: Stored(),
        BootGuard: None,
        UnitState: Unit(),
        OurUnitStates: {},
        PathState: None,
    }
    return play(nvidia_driver, settings=settings, route=Route(), facts=facts)


def on(facts: dict[Any, object], settings: Settings = SETTINGS) -> Played:
    return play(nvidia_driver, settings=settings, route=Route(), facts=facts)


def test_the_driver_leaves_a_toolkits_packages_that_a_restore_put_there() -> None:
    toolkit = PackageSet(packages=(SET.packages[0].model_copy(update={"name": "cuda-toolkit-12-8"}),))
    file = toolkit.packages[0]
    sets = KeptSets({"driver": SET.name}, {}, (SET.name, toolkit.name, "0123456789abcdef"), {SET.name: NAMES})
    facts = {
        **satisfied(),
        PackageSets: sets,
        (StoredFolder, toolkit.folder): Stored(toolkit.digest, {file.file: file.size}),
        FileHashes: {file.file: file.sha256},
    }
    spec = SimpleNamespace(
        driver=SETTINGS, boot=None, cuda=Cuda(version="12.8", set=toolkit), downloads=SimpleNamespace(route=Route())
    )
    played = play(gpu, facts=facts, model=spec)
    first = next(command for command in played.commands if command.startswith("rm -rf"))
    assert "0123456789abcdef" in first
    assert toolkit.folder not in first
    assert not any("curl" in command for command in played.commands)


def test_on_a_fresh_host_the_boot_is_guarded_before_anything_is_installed() -> None:
    played = on_fresh()
    assert played.changed == [
        "Write the boot guard",
        "Set the kernel that boots",
        "Guard the boot in postinst.d/aa-rackwright",
        "Guard the boot in postinst.d/zz-rackwright",
        "Guard the boot in header_postinst.d/zz-rackwright",
        "Guard the boot in postrm.d/zz-rackwright",
        "Keep the packages of driver 580.95.05 with kernel 6.12.117+deb13-amd64",
        INSTALL,
        "Hold driver and kernel",
        "Keep nouveau off the GPUs",
        "Load the driver at boot",
        "Write the script that waits for the GPUs",
        "Have engines wait for the GPUs",
    ]
    assert played.uploads[f"{MODULES}.rackwright-new"].splitlines()[1:] == ["nvidia", "nvidia-uvm"]
    assert set(FILES) - {path.removesuffix(".rackwright-new") for path in played.uploads} == {
        "/etc/default/grub.d/zz-rackwright.cfg"
    }
    assert "ExecStart=/etc/rackwright/gpus-ready 8" in played.uploads[f"/etc/systemd/system/{UNIT}.rackwright-new"]
    assert not any("reboot" in command for command in played.commands)


def test_a_host_that_has_all_of_it_is_left() -> None:
    played = on(satisfied())
    assert (played.commands, played.notes) == ([], {})


def test_a_drifted_host_says_so() -> None:
    has = HAS | {
        "nvidia-driver-cuda": Installed("590.1-1", on_hold=False),
        "nvidia-persistenced": Installed("580.95.05-1", on_hold=False),
    }
    played = on(satisfied() | {InstalledPackages: has})
    assert played.changed == [INSTALL, "Hold driver and kernel"]
    assert played.diffs[INSTALL] == "nvidia-driver-cuda: 590.1-1 becomes 580.95.05-1 (drifted)"
    assert played.diffs["Hold driver and kernel"] == (
        "nvidia-driver-cuda: put on hold\nnvidia-persistenced: put on hold"
    )


def test_a_machine_that_is_another_by_now_is_refused_until_it_is_locked_anew() -> None:
    settings = SETTINGS.model_copy(update={"system": "debian 13", "architecture": "amd64", "modules": "open"})
    same = Hardware(system="debian 13", architecture="amd64")
    assert list(refusals(SAME, settings, same)) == []
    (problem,) = refusals(SAME, settings, replace(same, system="ubuntu 24.04"))
    assert problem.what == "it is ubuntu 24.04 on amd64, but its package set is for debian 13 on amd64"
    assert problem.next == "rackwright lock --upgrade"
    card = PciDevice("0000:17:00.0", "0302", "10de", "1db6")
    (problem,) = refusals(SAME, settings, replace(same, pci=(card,)))
    assert problem.what == "its set has open modules, which don't support 1db6"


def test_an_adopted_driver_is_on_hold_and_watched_and_nothing_is_installed() -> None:
    settings = Settings(manage="adopt", gpus=8)
    has = {name: Installed("550.163.01-2", on_hold=False) for name in ("nvidia-smi", "linux-image-amd64", "bash")}
    facts = {InstalledPackages: has, RunningDriver: replace(LOADED, loaded="550.163.01")}
    facts |= {PackageSets: KeptSets({}, {}, (), {}, {"driver": ("linux-image-amd64", "nvidia-smi")})}
    facts |= {FoundDriverFact: replace(SAME, loaded="580.95.05")}
    played = on(satisfied(settings) | facts, settings)
    assert played.commands == ["apt-mark -q hold -- linux-image-amd64 nvidia-smi >/dev/null"]
    assert played.notes == {}


def test_an_adopted_driver_that_would_not_be_there_after_a_boot_is_named() -> None:
    settings = Settings(manage="adopt", gpus=8)
    facts = {FoundDriverFact: replace(SAME, loaded="570.1"), BootGuard: "kernel 6.12.117 can't drive the GPUs: no"}
    facts |= {UnitState: Unit()}
    notes = on(satisfied(settings) | facts, settings).notes
    assert notes["Load the driver"] == "reboot pending: module 570.1 runs, 580.95.05 is installed"
    assert notes["Check which kernel boots next"].startswith("kernel 6.12.117 can't drive the GPUs")
    assert notes["Keep the driver loaded"] == "there is no nvidia-persistenced.service"


def test_what_a_run_installer_left_is_taken_out_only_when_it_is_to_be_replaced() -> None:
    replacing = SETTINGS.model_copy(update={"manage": "replace"})
    installer = replace(RUN, run="/usr/bin/nvidia-installer")
    programs = ("/usr/bin/nvidia-uninstall --silent", "/usr/bin/nvidia-installer --uninstall --silent")
    for found, program in zip((RUN, installer), programs, strict=True):
        played = on_fresh(replacing, found)
        assert f"- {program}" in played.diffs[INSTALL].splitlines()
        # Within the same script, which runs it when the module has been built: nothing may fail in between.
        assert [program in command for command in played.commands] == ["systemd-run" in c for c in played.commands]
    for settings, found in ((SETTINGS, RUN), (replacing, OTHER)):
        assert not any("export uninstall=" in command for command in on_fresh(settings, found).commands)


def test_a_driver_that_is_replaced_leaves_with_all_of_its_version_but_kernels_and_container_tools_stay() -> None:
    found = parse_found_driver(
        "package installed nvidia-open-kernel-dkms 550.163.01-2\npackage installed nvidia-smi 550.163.01-2\n"
        "package installed nvidia-container-toolkit 1.17.4-1\npackage installed firmware-nvidia-gsp 550.163.01-2\n"
    )
    played = on_fresh(SETTINGS.model_copy(update={"manage": "replace"}), found)
    assert [line for line in played.diffs[INSTALL].splitlines() if line.startswith("- ")] == [
        "- nvidia-open-kernel-dkms 550.163.01-2",
        "- nvidia-smi 550.163.01-2",
        "- firmware-nvidia-gsp 550.163.01-2",
    ]


def test_the_fabric_manager_runs_only_where_there_is_a_fabric() -> None:
    off = satisfied() | {UnitState: Unit(load="loaded", file="disabled")}
    name = "nvidia-fabricmanager.service"
    assert not any(name in command for command in on(off).commands)
    commands = on(off, SETTINGS.model_copy(update={"fabric": True})).commands
    assert [command for command in commands if name in command] == [
        f"systemctl --quiet enable -- {name}",
        systemctl("start", name),
    ]


@pytest.mark.parametrize(
    ("running", "note"),
    [
        (replace(LOADED, loaded="570.86.15"), "reboot pending: module 570.86.15 runs, 580.95.05 is installed"),
        (Running(nouveau=True, loadable=True), "reboot pending: nouveau drives the GPUs"),
        (Running(), "reboot pending: the running kernel has no NVIDIA module"),
    ],
)
def test_what_only_a_reboot_brings_is_named_and_not_done(running: Running, note: str) -> None:
    off = Unit(load="loaded", file="disabled")
    played = on(satisfied() | {RunningDriver: running, UnitState: off})
    assert played.notes["Load the driver"] == note
    assert not any("modprobe" in command for command in played.commands)
    # With another module it would only fail, and prevent the reboot.
    assert not any("systemctl start" in command for command in played.commands)


def test_a_kernel_that_waits_for_a_reboot_is_named_and_the_driver_is_loaded_all_the_same() -> None:
    running = Running(loadable=True, kernel="6.12.99+deb13-amd64")
    played = on(satisfied() | {RunningDriver: running})
    assert played.notes["Load the driver"].startswith("reboot pending: kernel 6.12.99+deb13-amd64 runs, 6.12.117")
    assert any("modprobe" in command for command in played.commands)


def test_a_module_that_the_running_kernel_has_is_loaded_at_once() -> None:
    assert on(satisfied() | {RunningDriver: Running(loadable=True)}).commands == [
        "modprobe nvidia && modprobe nvidia-uvm"
    ]


def test_the_initramfs_is_made_anew_only_where_it_brings_nouveau() -> None:
    assert on(satisfied() | {RunningDriver: replace(LOADED, nouveau_early=True)}).commands == [
        "update-initramfs -u -k all >/dev/null"
    ]


def test_network_cards_that_read_gpu_memory_have_their_module_loaded() -> None:
    played = on(satisfied() | {RunningDriver: replace(LOADED, rdma=True)})
    assert played.uploads[f"{MODULES}.rackwright-new"].splitlines()[1:] == ["nvidia", "nvidia-uvm", "nvidia-peermem"]


def test_what_the_running_kernel_has_is_read() -> None:
    assert RunningDriver().process(["loaded 580.95.05", "nouveau", "loadable", "rdma", "nouveau_early"]) == Running(
        "580.95.05", loadable=True, nouveau=True, nouveau_early=True, rdma=True
    )
    assert RunningDriver().process([]) == Running()


HOST = ("bash", "linux-base", "linux-libc-dev", "libc6", "libcurl4t64", "firmware-linux-free", "openssh-server")


def test_patterns_of_an_adopted_driver_leave_the_rest_of_the_host_alone() -> None:
    assert not any(pattern in ("*", "linux-*", "lib*") for pattern in HELD)
    assert [name for name in HOST if any(fnmatchcase(name, pattern) for pattern in HELD)] == []
