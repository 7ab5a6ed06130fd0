from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rackwright.operations.facts.boot_guard import BootGuard
from rackwright.operations.facts.driver import FoundDriverFact
from rackwright.operations.facts.found_driver import FoundDriver, parse_found_driver, upstream
from rackwright.operations.facts.package_set import KeptSets, PackageSets
from rackwright.operations.facts.packages import Installed, InstalledPackages
from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.stored_folder import FileHashes, Stored, StoredFolder
from rackwright.operations.package_set import (
    driver_installed,
    hold_packages,
    packages_kept,
    set_installed,
    sets_kept,
    unhold_packages,
)
from rackwright.package_set import Package, PackageSet, set_digest
from rackwright.roles.nvidia_driver.layouts import HELD, NOT_HELD
from rackwright.route import Route
from tests.fakes import Played, play

GUARD = "/etc/rackwright/boot-guard"


def package(name: str, version: str, **changes: Any) -> Package:
    values = {"architecture": "amd64", "size": 1000, "sha256": f"{abs(hash((name, version))):064x}"[:64]}
    return Package(name=name, version=version, **(values | {"url": f"https://repo.lab/{name}.deb"} | changes))


SMI = package("nvidia-smi", "580.95.05-1", sha256="a" * 64)
CUDA = package("libcuda1", "1:580.95.05-1", sha256="b" * 64, url="file:///srv/driver/libcuda1.deb")
KERNEL = package("linux-image-6.12.117+deb13-amd64", "6.12.117-1", sha256="c" * 64, url="http://deb.lab/l%2bi.deb")
SET = PackageSet(packages=(SMI, CUDA, KERNEL))
OLD = PackageSet(packages=(package("nvidia-smi", "570.1-1", sha256="d" * 64),))
HAS = {one.name: Installed(one.version, on_hold=True) for one in SET.packages}
OURS = KeptSets({"driver": SET.name}, {}, (SET.name,), {SET.name: tuple(HAS)})
NONE = KeptSets({}, {}, (), {})


def test_a_file_is_named_as_apt_names_it_without_the_epoch() -> None:
    assert [one.file for one in SET.packages] == [
        "nvidia-smi_580.95.05-1_amd64.deb",
        "libcuda1_580.95.05-1_amd64.deb",
        "linux-image-6.12.117+deb13-amd64_6.12.117-1_amd64.deb",
    ]


def test_a_set_has_the_same_name_in_any_order_and_another_with_other_bytes_or_versions() -> None:
    assert set_digest(reversed(SET.packages)) == SET.digest
    for change in ({"sha256": "e" * 64}, {"version": "580.95.06-1"}, {"name": "nvidia-smo"}):
        other = PackageSet(packages=(SMI.model_copy(update=change), CUDA, KERNEL))
        assert other.name != SET.name
    assert re.fullmatch("/var/lib/rackwright/packages/[0-9a-f]{16}", SET.folder)


# Kept sets.


def kept(facts: dict[Any, object], route: Route | None = None) -> Played:
    def role() -> None:
        packages_kept(name="Keep", what="driver 580", set=SET, route=route or Route())

    return play(role, facts=facts)


def test_packages_are_fetched_one_by_one_verified_and_put_into_place_together() -> None:
    folder, fetch, place = kept({StoredFolder: Stored()}, Route(proxy="http://proxy.lab:3128")).commands
    assert folder.startswith("install -d -m 0755 -o root -g root -- /var/lib/rackwright/packages ")
    calls = [shlex.split(line) for line in fetch.splitlines() if line.startswith("fetch '")]
    assert [words[2] for words in calls] == [one.url for one in SET.packages]
    assert [words[3].rpartition("/")[2] for words in calls] == [one.sha256 for one in SET.packages]
    assert [words[4:6] for words in calls] == [["1000", one.sha256] for one in SET.packages]
    assert all("http://proxy.lab:3128" in words for words in calls)
    assert fetch.startswith("set -e\n")
    words = shlex.split(place)
    assert words[:2] == ["sh", "-c"]
    assert words[5:7] == [SET.folder, SET.digest]
    assert words[7:9] == [SMI.sha256, "nvidia-smi_580.95.05-1_amd64.deb"]


def test_a_folder_that_holds_the_set_is_left_and_one_that_lost_a_file_is_made_anew() -> None:
    whole = {one.file: one.size for one in SET.packages}
    assert kept({StoredFolder: Stored(SET.digest, whole), PackageSets: OURS}).commands == []
    assert kept({StoredFolder: Stored(SET.digest, {CUDA.file: 1000}), PackageSets: OURS}).commands
    assert kept({StoredFolder: Stored(None, whole), PackageSets: OURS}).commands


def test_a_set_that_was_never_installed_here_is_hashed_before_apt_gets_it() -> None:
    stored = Stored(SET.digest, {one.file: one.size for one in SET.packages})
    right = {one.file: one.sha256 for one in SET.packages}
    assert kept({StoredFolder: stored, PackageSets: NONE, FileHashes: right}).commands == []
    played = kept({StoredFolder: stored, PackageSets: NONE, FileHashes: {**right, SMI.file: "0" * 64}})
    links = [shlex.split(line)[-1] for line in played.commands[1].splitlines() if line.startswith("ln -f")]
    assert [link.rpartition("/")[2] for link in links] == [CUDA.sha256, KERNEL.sha256]
    assert "; 0.000 GB to fetch" in played.diffs["Keep"]


def test_packages_that_a_restore_put_there_need_no_archive(tmp_path: Path) -> None:
    there = [package(name, "1-1", sha256=hashlib.sha256(name.encode()).hexdigest(), size=2) for name in ("p1", "p2")]
    there = [one.model_copy(update={"url": "https://127.0.0.1:1/gone.deb"}) for one in there]
    restored = PackageSet(packages=tuple(there))
    folder = tmp_path / restored.name
    folder.mkdir()
    (tmp_path / ".incoming").mkdir()
    for one in there:
        (folder / one.file).write_text(one.name)
    question = FileHashes().command(path=str(folder))
    said = subprocess.run(["sh", "-c", question], check=True, capture_output=True, text=True).stdout
    hashes = FileHashes().process(said.splitlines())
    assert hashes == {one.file: one.sha256 for one in there}

    def fetch(hashes: dict[str, str]) -> subprocess.CompletedProcess[str]:
        def role() -> None:
            packages_kept(name="Keep", what="driver 580", set=restored, route=Route())

        _, command, _ = play(role, facts={StoredFolder: Stored(), FileHashes: hashes}).commands
        command = command.replace("/var/lib/rackwright/packages", str(tmp_path)).replace("sleep", ":")
        return subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True)

    assert fetch(hashes).returncode == 0
    assert {path.name for path in (tmp_path / ".incoming").glob("*.verified")} == {
        f"{one.sha256}.verified" for one in there
    }
    for path in (tmp_path / ".incoming").iterdir():
        path.unlink()
    assert fetch({}).returncode != 0, "without the files, the archive would have been needed"


# Installation.


def installed(
    *,
    has: dict[str, Installed],
    sets: KeptSets = NONE,
    unfit: str | None = None,
    replace: bool = False,
    found: FoundDriver | None = None,
) -> Played:
    def role() -> None:
        driver_installed(name="Install", set=SET, kernel="6.12.117-amd64", guard=GUARD, replace=replace)

    facts = {
        InstalledPackages: has,
        PackageSets: sets,
        BootGuard: unfit,
        FoundDriverFact: found or FoundDriver(),
    }
    return play(role, facts=facts)


def leaving(played: Played) -> list[str]:
    (command,) = played.commands
    words = shlex.split(command)
    called = shlex.split(words[words.index("-c") + 1])
    return called[called.index(SET.folder) + 2 : called.index("||")]


def test_a_host_with_all_of_it_is_left() -> None:
    assert installed(has=HAS, sets=OURS).commands == []


def test_a_fresh_host_gets_all_and_writes_down_what_it_has() -> None:
    played = installed(has={})
    (command,) = played.commands
    assert command.startswith("systemd-run --quiet --wait --collect")
    assert SET.folder in command
    assert f"echo {SET.name} >/var/lib/rackwright/packages/driver.installed.new" in command
    assert leaving(played) == []
    assert "libcuda1: absent becomes 1:580.95.05-1\n" in played.diffs["Install"]
    assert "drifted" not in played.diffs["Install"]


def test_what_we_installed_and_was_changed_since_has_drifted() -> None:
    has = HAS | {"nvidia-smi": Installed("590.1-1", on_hold=False)}
    assert "nvidia-smi: 590.1-1 becomes 580.95.05-1 (drifted)" in installed(has=has, sets=OURS).diffs["Install"]


def test_what_was_never_ours_has_not_drifted() -> None:
    has = HAS | {"nvidia-smi": Installed("570.1-1", on_hold=False)}
    sets = KeptSets({"driver": OLD.name}, {}, (OLD.name,), {OLD.name: ("nvidia-smi",)})
    assert "drifted" not in installed(has=has, sets=sets).diffs["Install"]


def test_a_kernel_that_can_not_drive_the_gpus_has_the_set_installed_again() -> None:
    why = "kernel 6.12.120 can't drive the GPUs: it has no module"
    played = installed(has=HAS, sets=OURS, unfit=why)
    assert len(played.commands) == 1
    assert why in played.diffs["Install"]


def test_the_same_packages_installed_by_others_become_ours() -> None:
    assert len(installed(has=HAS).commands) == 1


def test_packages_of_the_set_before_leave_but_no_kernel() -> None:
    names = ("nvidia-smi", "nvidia-old", "linux-image-6.1", "nvidia-gone")
    has = HAS | {
        name: Installed("570.1-1", on_hold=True) for name in ("nvidia-old", "linux-image-6.1", "nvidia-else")
    }
    sets = KeptSets({"driver": OLD.name}, {}, (OLD.name,), {OLD.name: names})
    played = installed(has=has, sets=sets)
    assert leaving(played) == ["nvidia-old"]
    assert "- nvidia-old 570.1-1" in played.diffs["Install"]


FOREIGN = """\
loaded 570.86.15
package installed nvidia-open-kernel-dkms 570.86.15-1
package installed nvidia-smi 570.86.15-1
package installed libcuda1 570.86.15-1
package installed linux-modules-nvidia-570-6.8.0-60-generic 6.8.0-60.63
package installed linux-modules-nvidia-570-generic 6.8.0-60.63
package installed nvidia-container-toolkit 1.17.4-1
package config-files nvidia-driver 535.1-1
package not-installed nvidia-settings
"""


def test_a_driver_that_is_not_ours_leaves_only_when_it_is_to_be_replaced() -> None:
    found = parse_found_driver(FOREIGN)
    has = {name: Installed(version, on_hold=False) for name, version in found.packages} | {
        "linux-image-6.8.0-60-generic": Installed("6.8.0-60.63", on_hold=False)
    }
    assert leaving(installed(has=has, found=found)) == []
    assert leaving(installed(has=has, found=found, replace=True)) == [
        "nvidia-open-kernel-dkms",
        "linux-modules-nvidia-570-6.8.0-60-generic",
        "linux-modules-nvidia-570-generic",
    ]


def test_precompiled_modules_have_their_kernels_version_and_leave_with_the_driver_that_runs() -> None:
    found = FoundDriver(
        packages=(
            ("linux-modules-nvidia-570-generic", "6.8.0-60.63"),
            ("libnvidia-compute-570", "570.86.15-0ubuntu1"),
            ("nvidia-container-toolkit", "1.17.4-1"),
        ),
        loaded="570.86.15",
    )
    assert found.going == ("linux-modules-nvidia-570-generic", "libnvidia-compute-570")
    assert found.reboot_pending is None


def test_a_module_that_is_not_what_is_installed_waits_for_a_reboot() -> None:
    packages = (("nvidia-kernel-open-dkms", "580.95.05-1"),)
    assert FoundDriver(packages, loaded="580.95.05").reboot_pending is None
    assert FoundDriver().reboot_pending is None
    assert FoundDriver(packages).reboot_pending == "reboot pending: no module runs, 580.95.05 is installed"
    assert FoundDriver(packages, loaded="570.86.15").reboot_pending == (
        "reboot pending: module 570.86.15 runs, 580.95.05 is installed"
    )


def test_packages_sound_like_a_driver_but_tools_do_not_leave_with_it() -> None:
    found = parse_found_driver(FOREIGN)
    assert "nvidia-container-toolkit" not in found.going
    assert {"nvidia-smi", "libcuda1"} <= set(found.going)
    assert "nvidia-driver" not in dict(found.packages)
    assert (found.precompiled, found.loaded, found.run, found.ours, found.there) == (
        True,
        "570.86.15",
        None,
        None,
        True,
    )
    assert not parse_found_driver("").there
    assert parse_found_driver("dgx yes\nrun /usr/bin/nvidia-uninstall\nours abc\n") == FoundDriver(
        run="/usr/bin/nvidia-uninstall", dgx=True, ours="abc"
    )


@pytest.mark.parametrize(
    ("version", "driver"),
    [
        ("580.95.05-1", "580.95.05"),
        ("1:580.95.05-0ubuntu1", "580.95.05"),
        ("550.163.01-2+b1", "550.163.01"),
        ("535.183.01~deb12u1", "535.183.01"),
    ],
)
def test_a_packages_version_has_the_drivers_in_it(version: str, driver: str) -> None:
    assert upstream(version) == driver


def test_a_toolkit_is_installed_from_its_folder_and_written_down_apart_from_the_driver() -> None:
    def role() -> None:
        set_installed(name="Install", what="cuda", set=SET)

    (command,) = play(role, facts={InstalledPackages: {}, PackageSets: NONE}).commands
    assert f"{SET.folder}/*.deb || exit 1" in command
    assert "/var/lib/rackwright/packages/cuda.installed" in command
    assert "driver.installed" not in command
    ours = KeptSets({"cuda": SET.name}, {}, (SET.name,), {SET.name: tuple(HAS)})
    assert play(role, facts={InstalledPackages: HAS, PackageSets: ours}).commands == []


# On hold.


def holding(has: dict[str, Installed], sets: KeptSets = NONE, **asked: tuple[str, ...]) -> Played:
    def role() -> None:
        hold_packages(name="Hold", what="driver", **asked)

    return play(role, facts={InstalledPackages: has, PackageSets: sets})


def known(*names: str) -> KeptSets:
    return KeptSets({}, {}, (), {}, {"driver": names})


FREE, FAST = Installed("1", on_hold=False), Installed("1", on_hold=True)


def test_only_packages_that_are_not_on_hold_are_put_on_hold() -> None:
    names = ("nvidia-smi", "libcuda1", "nvidia-new")
    played = holding({"nvidia-smi": FREE, "libcuda1": FAST}, known(*names), names=names)
    assert played.commands == ["apt-mark -q hold -- nvidia-smi nvidia-new >/dev/null"]
    assert played.diffs["Hold"] == "nvidia-smi: put on hold\nnvidia-new: new, put on hold"
    assert holding(dict.fromkeys(names, FAST), known(*names), names=names).commands == []


def test_packages_on_hold_are_written_down() -> None:
    (command,) = holding({"nvidia-smi": FAST}, names=("nvidia-smi",)).commands
    assert command.endswith("nvidia-smi >/var/lib/rackwright/packages/driver.held")


def test_patterns_hold_what_is_installed() -> None:
    patterns = ("nvidia-*", "linux-image-*")
    has = dict.fromkeys(("nvidia-smi", "linux-image-amd64", "bash"), FREE)
    assert holding(has, known("nvidia-smi", "linux-image-amd64"), patterns=patterns).commands == [
        "apt-mark -q hold -- linux-image-amd64 nvidia-smi >/dev/null"
    ]
    assert holding({"bash": FREE}, patterns=patterns).commands == []


def test_what_was_on_hold_is_taken_off_hold_and_stays_installed() -> None:
    def role() -> None:
        unhold_packages(name="Let go", what="driver", pin="/etc/default/grub.d/zz-rackwright.cfg")

    sets = KeptSets({"driver": SET.name}, {}, (SET.name,), {}, {"driver": ("nvidia-smi", "libcuda1")})
    has = {"nvidia-smi": FAST, "libcuda1": FREE}
    pinned = Found("file", 0o644, "root", "root", "f" * 64)
    played = play(role, facts={InstalledPackages: has, PackageSets: sets, PathState: pinned})
    unhold, pin, forget = played.commands
    assert unhold == "apt-mark -q unhold -- nvidia-smi >/dev/null"
    assert "rm -f -- /etc/default/grub.d/zz-rackwright.cfg && update-grub" in pin
    assert shlex.split(forget)[4:6] == [SET.folder, "/var/lib/rackwright/packages/driver.held"]
    assert play(role, facts={InstalledPackages: has, PackageSets: NONE, PathState: None}).commands == []
    # A first apply that failed recorded nothing but the pin.
    assert len(play(role, facts={InstalledPackages: has, PackageSets: NONE, PathState: pinned}).commands) == 2


def test_what_a_later_set_no_longer_has_is_let_go() -> None:
    has = {"linux-image-1": FAST, "linux-image-2": FAST}
    free, written = holding(has, known("linux-image-1"), names=("linux-image-2",)).commands
    assert free == "apt-mark -q unhold -- linux-image-1 >/dev/null"
    assert "linux-image-2 >" in written


def test_what_only_sounds_like_a_driver_goes_on_getting_its_updates() -> None:
    has = dict.fromkeys(
        ("nvidia-smi", "nvidia-container-toolkit", "libnvidia-container1", "nvidia-cuda-toolkit"), FREE
    )
    commands = holding(has, known("nvidia-smi"), patterns=HELD, but=NOT_HELD).commands
    assert commands == ["apt-mark -q hold -- nvidia-smi >/dev/null"]


# Which sets a host keeps.

PRINTED = f"""\
driver.installed {SET.name}
driver.previous {OLD.name}
cuda.installed cccccccccccccccc
driver.held nvidia-smi libcuda1
broken.installed
file {SET.name} nvidia-smi_580.95.05-1_amd64.deb
file {SET.name} linux-image-6.12.117+deb13-amd64_6.12.117-1_amd64.deb
file {OLD.name} nvidia-smi_570.1-1_amd64.deb
file older00000000000 nvidia-smi_560.1-1_amd64.deb
file cccccccccccccccc cuda-toolkit-12-8_12.8.1-1_amd64.deb
"""


def test_a_host_tells_its_sets() -> None:
    found = PackageSets().process(PRINTED.splitlines())
    assert found.installed == {"driver": SET.name, "cuda": "cccccccccccccccc"}
    assert found.previous == {"driver": OLD.name}
    assert found.on_hold == {"driver": ("nvidia-smi", "libcuda1")}
    assert found.names[SET.name] == ("nvidia-smi", "linux-image-6.12.117+deb13-amd64")


def gone(set: PackageSet, found: KeptSets, beside: PackageSet | None = None) -> list[str]:
    def role() -> None:
        sets_kept(name="Tidy", what="driver", set=set, beside=beside)

    commands = play(role, facts={PackageSets: found}).commands
    return [word.rpartition("/")[2] for command in commands for word in shlex.split(command)[4:]]


def test_the_set_that_is_installed_the_one_before_and_those_of_others_stay() -> None:
    found = PackageSets().process(PRINTED.splitlines())
    assert gone(SET, found) == ["older00000000000"]
    assert gone(SET, OURS) == []


def test_a_set_that_a_restore_put_there_and_that_is_installed_next_stays() -> None:
    restored = KeptSets({"driver": SET.name}, {}, (SET.name, OLD.name), {})
    assert gone(SET, restored) == [OLD.name]
    assert gone(SET, restored, beside=OLD) == []


def test_a_plan_of_a_new_set_foresees_that_the_installed_one_becomes_the_one_before() -> None:
    found = PackageSets().process(PRINTED.splitlines())
    assert set(gone(PackageSet(packages=(SMI,)), found)) == {"older00000000000", OLD.name}


def test_the_command_that_removes_sets_stays_below_their_folder() -> None:
    def role() -> None:
        sets_kept(name="Tidy", what="driver", set=SET)

    found = KeptSets({"driver": SET.name}, {}, (SET.name, "a b; reboot"), {})
    (command,) = play(role, facts={PackageSets: found}).commands
    assert shlex.split(command)[3:] == ["--", "/var/lib/rackwright/packages/a b; reboot"]


def test_the_guards_word_is_its_first_line() -> None:
    assert BootGuard().process(["kernel 6.12.117 can't drive the GPUs: x", "6.12.99 stays the boot default"]) == (
        "kernel 6.12.117 can't drive the GPUs: x"
    )
    assert BootGuard().process([]) is None
