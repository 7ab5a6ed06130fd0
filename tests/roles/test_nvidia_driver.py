"""The role of the driver without a host: what it would run, what it refuses, which packages make a set."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.hardware.hardware import Hardware
from rackwright.hardware.pci import PciDevice
from rackwright.operations.facts.boot_guard import BootGuard
from rackwright.operations.facts.driver import Running, RunningDriver
from rackwright.operations.facts.found_driver import FoundDriver, FoundDriverFact, parse_found_driver
from rackwright.operations.facts.package_sets import KeptSets, PackageSets
from rackwright.operations.facts.packages import Installed, InstalledPackages
from rackwright.operations.facts.path import Found, PathState
from rackwright.operations.facts.stored import Stored, StoredFolder
from rackwright.operations.facts.unit import OurUnitStates, Unit, UnitState
from rackwright.package_set import Package, PackageSet
from rackwright.roles.nvidia_driver import files
from rackwright.roles.nvidia_driver.layouts import HELD, lines
from rackwright.roles.nvidia_driver.refusals import refusals
from rackwright.roles.nvidia_driver.repository import FINGERPRINTS, repository_of
from rackwright.roles.nvidia_driver.resolve import Asked, Sources, parse, script
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
from tests.fakes import Played, play

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

# Names.


def test_a_layout_is_one_line_with_the_branch_in_its_names() -> None:
    found = list(lines("580.95.05", "proprietary", ()))
    assert "nvidia-kernel-dkms nvidia-driver-cuda nvidia-persistenced ?nvidia-modprobe ?firmware-nvidia-gsp" in found
    assert any(line.startswith("nvidia-dkms-580-server libnvidia-compute-580-server ") for line in found)
    assert any(line.startswith("nvidia-tesla-580-kernel-dkms ") for line in found)
    assert not any("{" in line for line in found)


def test_only_layouts_with_such_modules_are_tried() -> None:
    assert not any("tesla" in line for line in lines("535", "open", ()))


def test_nvswitches_need_the_fabric_manager_and_from_blackwell_on_the_subnet_manager() -> None:
    fabric = "nvidia-fabricmanager|nvidia-fabricmanager-580|cuda-drivers-fabricmanager-580"
    assert all(fabric in line and "nvlsm" not in line for line in lines("580", "open", ("fabric",)))
    assert all(fabric in line and " nvlsm" in line for line in lines("580", "open", ("fabric", "subnet")))
    assert not any("fabric" in line for line in lines("580", "open", ()))


@pytest.mark.parametrize(
    ("system", "architecture", "folder", "key"),
    [
        ("debian 12", "amd64", "debian12/x86_64", "3bf863cc.pub"),
        ("debian 13", "amd64", "debian13/x86_64", "8793F200.pub"),
        ("ubuntu 24.04", "amd64", "ubuntu2404/x86_64", "3bf863cc.pub"),
        ("ubuntu 24.04", "arm64", "ubuntu2404/sbsa", "3bf863cc.pub"),
    ],
)
def test_nvidias_repository_is_the_one_of_the_release(system: str, architecture: str, folder: str, key: str) -> None:
    found = repository_of(system, architecture)
    assert found.url == f"https://developer.download.nvidia.com/compute/cuda/repos/{folder}"
    assert found.key_file == key
    assert {len(one) for one in FINGERPRINTS} == {40}


# Which packages: the script.

SOURCES = Sources(sources="Types: deb\nURIs: https://r\nSuites: ./\n", others=False, own="https://r")
ASKED = Asked("580", "open", "linux-image-amd64")


def sh(text: str, *, path: Path | None = None, arguments: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})}
    return subprocess.run(
        ["sh", "-s", "--", *arguments], input=text, capture_output=True, text=True, timeout=20, env=environment
    )


@pytest.mark.parametrize(
    "text",
    [
        files.BOOT_GUARD,
        files.GPUS_READY,
        files.hook("look hook"),
        script(ASKED, SOURCES, "/run/x"),
        (OPERATIONS / "driver_install.sh").read_text(),
    ],
    ids=["boot-guard", "gpus-ready", "hook", "resolve", "driver_install"],
)
def test_shellcheck_finds_nothing(text: str) -> None:
    # SC2034: values that only some hosts need. SC2086: lists of packages' names.
    command = ["shellcheck", "-s", "sh", "-S", "warning", "-e", "SC2034,SC2086", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_value_acts_in_the_script(tmp_path: Path) -> None:
    evil = f'it\'s "$(touch {tmp_path}/hit)" `touch {tmp_path}/hit`\nEOF\nLAYOUTS\n; touch {tmp_path}/hit #\\'
    sources = Sources(sources=evil, others=True, components=evil, own=evil, settings=evil, authorities=evil)
    text = script(Asked(evil, "open", evil, cuda=evil), sources, f"{tmp_path}/resolve")
    assert subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True).stderr == ""
    head = text.partition("# A throwaway apt root")[0]
    printed = sh(f"{head}printf '%s' \"$sources|$components|$branch|$kernel|$authorities\"").stdout
    assert printed == "|".join([evil] * 5)
    assert not (tmp_path / "hit").exists()


@dataclass
class Apt:
    """Stand-ins of apt-get and apt-cache: a list of `name version`, and what an install would print."""

    folder: Path
    work: Path

    def offers(self, *packages: str) -> None:
        (self.folder / "offered").write_text("".join(f"{one}\n" for one in packages))

    def resolve(self, asked: Asked = ASKED, sources: Sources = SOURCES) -> subprocess.CompletedProcess[str]:
        return sh(script(asked, sources, str(self.work)), path=self.folder)

    @property
    def called(self) -> list[list[str]]:
        return [shlex.split(line) for line in (self.folder / "called").read_text().splitlines()]

    @property
    def pin(self) -> str:
        return (self.folder / "pin").read_text()


@pytest.fixture
def apt(tmp_path: Path) -> Apt:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apt-cache").write_text(
        f"""#!/bin/sh
for last; do :; done
case $1 in
  madison) awk -v n="$last" '$1 == n {{ print " " $1 " | " $2 " | https://r ./ Packages" }}' {folder}/offered ;;
  show) grep -q "^$last " {folder}/offered ;;
esac
"""
    )
    (folder / "apt-get").write_text(
        f"""#!/bin/sh
echo "$APT_CONFIG $*" >>{folder}/called
case $* in
  *install*) cp pin {folder}/pin
  for p; do
    case $p in -* | install) ;; *) echo "'https://r/$p.deb' ${{p%=*}}_1_amd64.deb 9 SHA256:{"0" * 64}" ;; esac
  done ;;
esac
"""
    )
    (folder / "uname").write_text("#!/bin/sh\necho 6.12.99\n")
    for program in folder.iterdir():
        program.chmod(0o755)
    return Apt(folder, tmp_path / "resolve")


NVIDIA = (
    "nvidia-kernel-open-dkms 590.1-1",
    "nvidia-kernel-open-dkms 580.95.05-1",
    "nvidia-kernel-open-dkms 580.1-1",
    "nvidia-kernel-open-dkms 570.1-1",
    "nvidia-driver-cuda 580.95.05-1",
    "nvidia-persistenced 580.95.05-1",
    "linux-image-amd64 6.12.117-1",
    "linux-headers-amd64 6.12.117-1",
)


def asked_for(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("install "))
    return line.split()[1:]


def test_the_newest_of_the_branch_is_asked_for_with_the_kernel_and_its_headers(apt: Apt) -> None:
    apt.offers(*NVIDIA)
    done = apt.resolve()
    assert asked_for(done) == [
        "nvidia-kernel-open-dkms=580.95.05-1",
        "nvidia-driver-cuda",
        "nvidia-persistenced",
        "linux-image-amd64",
        "linux-headers-amd64",
    ]
    assert done.stdout.startswith("version 580.95.05\n")
    assert "Pin: version 580.95.05*\nPin-Priority: 1001\n" in apt.pin
    assert not apt.work.exists()


def test_it_looks_into_its_own_folder_only(apt: Apt) -> None:
    apt.offers(*NVIDIA)
    apt.resolve()
    assert {words[0] for words in apt.called} == {f"{apt.work}/settings"}
    assert all("--print-uris" in words for words in apt.called if "install" in words)
    settings = script(ASKED, SOURCES, str(apt.work))
    for place in ("Dir::State", "Dir::State::status", "Dir::Cache", "Dir::Etc::sourceparts", "Dir::Etc::preferences"):
        assert f'{place} "{apt.work}/' in settings


def test_a_release_means_that_release(apt: Apt) -> None:
    apt.offers(*NVIDIA)
    assert asked_for(apt.resolve(replace(ASKED, branch="580.1")))[0] == "nvidia-kernel-open-dkms=580.1-1"
    assert asked_for(apt.resolve(replace(ASKED, branch="570")))[0] == "nvidia-kernel-open-dkms=570.1-1"


def test_a_branch_that_is_not_there_names_what_is(apt: Apt) -> None:
    apt.offers(*NVIDIA)
    for branch in ("58", "600"):
        done = apt.resolve(replace(ASKED, branch=branch))
        assert done.returncode == 1
        told = " ".join(done.stderr.split())
        assert told.startswith(f"no open modules of branch {branch}; there are: nvidia-kernel-open-dkms 590.1-1")
    assert not apt.work.exists()


def test_a_part_that_is_missing_is_named_and_one_that_may_be_missing_is_not(apt: Apt) -> None:
    apt.offers(*(one for one in NVIDIA if not one.startswith("nvidia-persistenced")))
    assert apt.resolve().stderr == "there is no package nvidia-persistenced\n"
    apt.offers(*NVIDIA, "nvidia-modprobe 580.95.05-1")
    assert "nvidia-modprobe" in asked_for(apt.resolve())


def test_the_headers_of_the_running_kernel_come_along_only_where_it_is_a_kernel_of_this_host(apt: Apt) -> None:
    apt.offers(*NVIDIA, "linux-headers-6.12.99 6.12.99-1")
    # /boot of this machine has no such kernel.
    assert "linux-headers-6.12.99" not in asked_for(apt.resolve())


def test_the_fabric_manager_is_the_one_of_the_drivers_version(apt: Apt) -> None:
    asked = replace(ASKED, needs=("fabric",))
    apt.offers(*NVIDIA, "nvidia-fabricmanager 590.1-1", "nvidia-fabricmanager-580 580.95.05-1")
    assert "nvidia-fabricmanager-580" in asked_for(apt.resolve(asked))
    apt.offers(*NVIDIA, "nvidia-fabricmanager 590.1-1", "nvidia-fabricmanager 580.95.05-1")
    assert "nvidia-fabricmanager" in asked_for(apt.resolve(asked))


def test_a_toolkit_is_asked_for_apart(apt: Apt) -> None:
    apt.offers(*NVIDIA)
    done = apt.resolve(replace(ASKED, cuda="12.8"))
    assert "\ntoolkit\n'https://r/cuda-toolkit-12-8.deb'" in done.stdout


# Which packages: the answer.

KERNEL = "https://deb.debian.org/debian/pool/main/l/linux"
PRINTED = f"""\
version 580.95.05
install  nvidia-kernel-open-dkms=580.95.05-1 nvidia-driver-cuda linux-image-amd64 linux-headers-amd64
'https://r/./nvidia-kernel-open-dkms_580.95.05-1_amd64.deb' nvidia-kernel-open-dkms_580.95.05-1_amd64.deb 9 SHA256:{"1" * 64}
'https://r/./dkms_3.2.2-1_all.deb' dkms_1%3a3.2.2-1_all.deb 9 SHA256:{"2" * 64}
'{KERNEL}-signed-amd64/linux-image-6.12.117%2bdeb13-amd64_6.12.117-1_amd64.deb' linux-image-6.12.117+deb13-amd64_6.12.117-1_amd64.deb 9 SHA256:{"3" * 64}
'{KERNEL}/linux-headers-6.12.117%2bdeb13-amd64_6.12.117-1_amd64.deb' linux-headers-6.12.117+deb13-amd64_6.12.117-1_amd64.deb 9 SHA256:{"4" * 64}
'https://deb.debian.org/debian/pool/main/g/gcc-14/gcc-14_14.2.0-19_amd64.deb' gcc-14_14.2.0-19_amd64.deb 9 SHA256:{"5" * 64}
'https://deb.debian.org/debian/pool/non-free-firmware/n/x/firmware-x_1_all.deb' firmware-x_1_all.deb 9 SHA256:{"6" * 64}
"""  # noqa: E501


def test_what_apt_printed_becomes_packages() -> None:
    found = parse(PRINTED, SOURCES)
    assert (found.version, found.kernel) == ("580.95.05", "6.12.117+deb13-amd64")
    assert found.install == (
        "nvidia-kernel-open-dkms",
        "nvidia-driver-cuda",
        "linux-image-amd64",
        "linux-headers-amd64",
    )
    packages = {package.name: package for package in found.packages}
    assert packages["dkms"].version == "1:3.2.2-1"
    assert packages["dkms"].architecture == "all"
    image = packages["linux-image-6.12.117+deb13-amd64"]
    assert image.url == f"{KERNEL}-signed-amd64/linux-image-6.12.117%2bdeb13-amd64_6.12.117-1_amd64.deb"
    assert (image.size, image.sha256) == (9, "3" * 64)


def test_a_set_is_the_drivers_repository_its_pools_and_the_kernel_but_no_compiler() -> None:
    named = [package.name for package in parse(PRINTED, SOURCES).packages]
    assert "gcc-14" not in named
    assert {"dkms", "firmware-x", "linux-headers-6.12.117+deb13-amd64"} <= set(named)
    distribution = [package.name for package in parse(PRINTED, replace(SOURCES, own="")).packages]
    assert "dkms" not in distribution
    assert {"nvidia-kernel-open-dkms", "firmware-x"} <= set(distribution)


def test_a_toolkit_is_a_set_of_its_own() -> None:
    printed = f"{PRINTED}toolkit\n'https://r/./cuda-toolkit-12-8_12.8.1-1_amd64.deb' cuda-toolkit-12-8_12.8.1-1_amd64.deb 9 SHA256:{'7' * 64}\n"  # noqa: E501
    found = parse(printed, SOURCES)
    assert [package.name for package in found.toolkit] == ["cuda-toolkit-12-8"]
    assert found.packages == parse(PRINTED, SOURCES).packages


@pytest.mark.parametrize("written", ["file:/srv/driver/./x.deb", "file:///srv/driver/./x.deb"])
def test_files_of_a_folder_are_named_by_a_url_that_curl_reads(written: str) -> None:
    printed = PRINTED.replace("https://r/./dkms_3.2.2-1_all.deb", written)
    found = parse(printed, replace(SOURCES, own="file:///srv/driver"))
    assert {package.url for package in found.packages if package.name == "dkms"} == {"file:///srv/driver/./x.deb"}


FM = f"'https://r/fm.deb' nvidia-fabricmanager_590.1-1_amd64.deb 9 SHA256:{'8' * 64}\n"


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        ("", "it said nothing"),
        ("E: Unable to locate package\n", "Unable to locate package"),
        (PRINTED.replace("version 580.95.05\n", ""), "no whole set"),
        (PRINTED.replace("linux-image-6", "linux-picture-6"), "no whole set"),
        (PRINTED.replace("SHA256:", "MD5Sum:"), "no whole set"),
        (PRINTED + FM, "nvidia-fabricmanager 590.1-1 is not of driver 580.95.05"),
    ],
)
def test_what_is_no_whole_set_is_refused(printed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(printed, SOURCES)


# What the fleet file must decide.

_RUN = "a .run installer put a driver on it (/usr/bin/nvidia-uninstall)"
_DGX = "DGX OS is on it, which brings driver, kernel and Fabric Manager itself"
RUN = FoundDriver(run="/usr/bin/nvidia-uninstall", loaded="570.86.15")
DGX = FoundDriver(packages=(("nvidia-dkms-570-server", "570.1-1"),), dgx=True)
PRECOMPILED = FoundDriver(packages=(("linux-modules-nvidia-570-generic", "6.8.0-60.63"),))
OTHER = FoundDriver(packages=(("nvidia-open-kernel-dkms", "550.163.01-2"),), loaded="550.163.01")
UNKNOWN = FoundDriver(loaded="550.163.01")
SAME = FoundDriver(packages=(("nvidia-kernel-open-dkms", "580.95.05-1"), ("nvidia-smi", "580.95.05-1")))
OURS = FoundDriver(packages=(("nvidia-kernel-open-dkms", "570.1-1"),), ours="0123456789abcdef")
NOTHING = FoundDriver(packages=(("nvidia-container-toolkit", "1.17"),))
REFUSED = [
    # (what is there, manage → what is refused)
    (RUN, {"yes": f"{_RUN} (module 570.86.15 runs)"}),
    (DGX, {"yes": _DGX, "replace": f"{_DGX}; it can't be taken out by packages"}),
    (PRECOMPILED, {"yes": "it has precompiled modules: linux-modules-nvidia-570-generic 6.8.0-60.63"}),
    (OTHER, {"yes": "it has a driver already: nvidia-open-kernel-dkms 550.163.01-2 (module 550.163.01 runs)"}),
    (UNKNOWN, {"yes": "a driver of unknown origin is on it (module 550.163.01 runs)"}),
    (SAME, {}),
    (replace(SAME, run="/usr/bin/nvidia-uninstall"), {"yes": _RUN}),
    (OURS, {}),
    (NOTHING, {"adopt": "there is none to adopt"}),
]  # fmt: skip


@pytest.mark.parametrize("manage", ["yes", "adopt", "replace", "no"])
@pytest.mark.parametrize(("found", "refused"), REFUSED)
def test_a_driver_of_somebody_else_is_named_and_refused(
    found: FoundDriver, refused: dict[str, str], manage: Any
) -> None:
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

HAS = {name: Installed("580.95.05-1", held=True) for name in NAMES}
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
        InstalledPackages: {name: Installed(version, held=False) for name, version in found.packages},
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


def test_on_a_fresh_host_the_boot_is_guarded_before_anything_is_installed() -> None:
    played = on_fresh()
    assert played.changed == [
        "Write what guards the boot",
        "Name the kernel that boots",
        "Guard the boot in postinst.d/aa-rackwright",
        "Guard the boot in postinst.d/zz-rackwright",
        "Guard the boot in header_postinst.d/zz-rackwright",
        "Guard the boot in postrm.d/zz-rackwright",
        "Keep the packages of driver 580.95.05 with kernel 6.12.117+deb13-amd64",
        INSTALL,
        "Hold driver and kernel",
        "Keep nouveau off the GPUs",
        "Load the driver at boot",
        "Write what engines wait for",
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
        "nvidia-driver-cuda": Installed("590.1-1", held=False),
        "nvidia-persistenced": Installed("580.95.05-1", held=False),
    }
    played = on(satisfied() | {InstalledPackages: has})
    assert played.changed == [INSTALL, "Hold driver and kernel"]
    assert played.diffs[INSTALL] == "nvidia-driver-cuda: 590.1-1 becomes 580.95.05-1 (it drifted)"
    assert played.diffs["Hold driver and kernel"] == (
        "nvidia-driver-cuda: not held becomes held\nnvidia-persistenced: not held becomes held"
    )


def test_a_machine_that_is_another_by_now_is_refused_until_it_is_locked_anew() -> None:
    settings = SETTINGS.model_copy(update={"system": "debian 13", "architecture": "amd64", "modules": "open"})
    same = Hardware(system="debian 13", architecture="amd64")
    assert list(refusals(SAME, settings, same)) == []
    (problem,) = refusals(SAME, settings, replace(same, system="ubuntu 24.04"))
    assert problem.what == "it is ubuntu 24.04 on amd64, its set of packages is for debian 13 on amd64"
    assert problem.next == "rackwright lock --upgrade"
    card = PciDevice("0000:17:00.0", "0302", "10de", "1db6")
    (problem,) = refusals(SAME, settings, replace(same, pci=(card,)))
    assert problem.what == "its set has open modules, which don't drive 1db6"


def test_an_adopted_driver_is_held_and_watched_and_nothing_is_installed() -> None:
    settings = Settings(manage="adopt", gpus=8)
    has = {name: Installed("550.163.01-2", held=False) for name in ("nvidia-smi", "linux-image-amd64", "bash")}
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
    assert notes["Look at what boots next"].startswith("kernel 6.12.117 can't drive the GPUs")
    assert notes["Keep the driver loaded"] == "there is no nvidia-persistenced.service"


def test_what_a_run_installer_left_is_taken_out_only_when_it_is_to_be_replaced() -> None:
    replacing = SETTINGS.model_copy(update={"manage": "replace"})
    installer = replace(RUN, run="/usr/bin/nvidia-installer")
    programs = ("/usr/bin/nvidia-uninstall --silent", "/usr/bin/nvidia-installer --uninstall --silent")
    for found, program in zip((RUN, installer), programs, strict=True):
        played = on_fresh(replacing, found)
        assert f"- {program}" in played.diffs[INSTALL].splitlines()
        # Within the one script, which runs it when the module has been built: nothing may fail in between.
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
        f"systemctl start -- {name}",
    ]


@pytest.mark.parametrize(
    ("running", "note"),
    [
        (replace(LOADED, loaded="570.86.15"), "reboot pending: module 570.86.15 runs, 580.95.05 is installed"),
        (Running(nouveau=True, loadable=True), "reboot pending: nouveau has the GPUs"),
        (Running(), "reboot pending: the running kernel has no NVIDIA module"),
    ],
)
def test_what_only_a_reboot_brings_is_named_and_not_done(running: Running, note: str) -> None:
    off = Unit(load="loaded", file="disabled")
    played = on(satisfied() | {RunningDriver: running, UnitState: off})
    assert played.notes["Load the driver"] == note
    assert not any("modprobe" in command for command in played.commands)
    # Against another module it would only fail, and keep the reboot from coming.
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


def test_patterns_of_an_adopted_driver_leave_the_rest_of_the_host_alone() -> None:
    assert not any(pattern in ("*", "linux-*", "lib*") for pattern in HELD)
