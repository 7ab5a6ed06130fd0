"""Which packages make up a set: their names in each repository, the script that asks apt, and its answer."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from rackwright.operations.package_set import INSTALL
from rackwright.roles.nvidia_driver import files
from rackwright.roles.nvidia_driver.layouts import lines
from rackwright.roles.nvidia_driver.repository import FINGERPRINTS, repository_of
from rackwright.roles.nvidia_driver.resolve import Asked, Sources, parse, script

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
        ["sh", "-s", "--", *arguments], input=text, capture_output=True, text=True, timeout=120, env=environment
    )


@pytest.mark.parametrize(
    "text",
    [
        files.BOOT_GUARD,
        files.GPUS_READY,
        files.hook("look hook"),
        script(ASKED, SOURCES, "/run/x"),
        INSTALL,
    ],
    ids=["boot-guard", "gpus-ready", "hook", "resolve", "driver_install"],
)
def test_shellcheck_finds_nothing(text: str) -> None:
    # SC2034: values that only some hosts need. SC2086: lists of package names.
    command = ["shellcheck", "-s", "sh", "-S", "warning", "-e", "SC2034,SC2086", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_value_acts_in_the_script(tmp_path: Path) -> None:
    evil = f'it\'s "$(touch {tmp_path}/hit)" `touch {tmp_path}/hit`\nEOF\nLAYOUTS\n; touch {tmp_path}/hit #\\'
    sources = Sources(sources=evil, others=True, components=evil, own=evil, settings=evil, cas=evil)
    text = script(Asked(evil, "open", evil, cuda=evil), sources, f"{tmp_path}/resolve")
    assert subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True).stderr == ""
    head = text.partition("# A throwaway apt root")[0]
    printed = sh(f"{head}printf '%s' \"$sources|$components|$branch|$kernel|$CAs\"").stdout
    assert printed == "|".join([evil] * 5)
    assert not (tmp_path / "hit").exists()


@dataclass
class Apt:
    """Stand-ins for apt-get and apt-cache: a list of `name version`, and the output of an install."""

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


def test_the_headers_of_the_kernels_that_hosts_run_come_along_where_the_archive_has_them(apt: Apt) -> None:
    apt.offers(*NVIDIA, "linux-headers-6.12.99 6.12.99-1", "linux-headers-6.12.98 6.12.98-1")
    headers = [name for name in asked_for(apt.resolve()) if name.startswith("linux-headers-6")]
    assert headers == []
    asked = asked_for(apt.resolve(replace(ASKED, running=("6.12.99", "6.12.97"))))
    assert [name for name in asked if name.startswith("linux-headers-6")] == ["linux-headers-6.12.99"]


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
        ("", "no output"),
        ("E: Unable to locate package\n", "Unable to locate package"),
        (PRINTED.replace("version 580.95.05\n", ""), "no complete set"),
        (PRINTED.replace("linux-image-6", "linux-picture-6"), "no complete set"),
        (PRINTED.replace("SHA256:", "MD5Sum:"), "no complete set"),
        (PRINTED + FM, "nvidia-fabricmanager 590.1-1 is not for driver 580.95.05"),
    ],
)
def test_what_is_no_whole_set_is_refused(printed: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(printed, SOURCES)
