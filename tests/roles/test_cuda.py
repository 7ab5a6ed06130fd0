from __future__ import annotations

from rackwright.operations.facts.package_set import KeptSets, PackageSets
from rackwright.operations.facts.packages import Installed, InstalledPackages
from rackwright.operations.facts.stored_folder import Stored, StoredFolder
from rackwright.package_set import Package, PackageSet
from rackwright.roles.cuda.role import cuda
from rackwright.roles.cuda.settings import Settings
from rackwright.route import Route
from tests.fakes import Played, play

TOOLKIT = Package(
    name="cuda-toolkit-12-8",
    version="12.8.1-1",
    architecture="amd64",
    size=9,
    sha256="a" * 64,
    url="https://repo.lab/cuda-toolkit-12-8.deb",
)
SETTINGS = Settings(version="12.8", set=PackageSet(packages=(TOOLKIT,)))
NAME, FOLDER = SETTINGS.set.name, SETTINGS.set.folder


def on(has: dict[str, Installed], sets: KeptSets, stored: Stored) -> Played:
    return play(
        cuda,
        settings=SETTINGS,
        route=Route(),
        facts={InstalledPackages: has, PackageSets: sets, StoredFolder: stored},
    )


def test_a_fresh_host_gets_the_toolkit_from_files_that_it_keeps_and_holds_it() -> None:
    played = on({}, KeptSets({}, {}, (), {}), Stored())
    assert played.changed == ["Keep the packages of CUDA 12.8", "Install CUDA 12.8", "Hold CUDA 12.8"]
    assert f"{FOLDER}/*.deb" in next(command for command in played.commands if "apt-get" in command)
    assert played.diffs["Install CUDA 12.8"] == "cuda-toolkit-12-8: absent becomes 12.8.1-1"
    assert not any("dkms" in command or "modprobe" in command for command in played.commands)


def test_a_host_that_has_it_is_left() -> None:
    has = {TOOLKIT.name: Installed(TOOLKIT.version, on_hold=True)}
    sets = KeptSets(
        {"cuda": NAME, "driver": "d" * 16}, {}, (NAME, "d" * 16), {NAME: (TOOLKIT.name,)}, {"cuda": (TOOLKIT.name,)}
    )
    assert on(has, sets, Stored(SETTINGS.set.digest, {TOOLKIT.file: 9})).commands == []


def test_a_toolkit_that_somebody_changed_has_drifted() -> None:
    has = {TOOLKIT.name: Installed("12.9.0-1", on_hold=False)}
    sets = KeptSets({"cuda": NAME}, {}, (NAME,), {NAME: (TOOLKIT.name,)})
    played = on(has, sets, Stored(SETTINGS.set.digest, {TOOLKIT.file: 9}))
    assert played.diffs["Install CUDA 12.8"] == "cuda-toolkit-12-8: 12.9.0-1 becomes 12.8.1-1 (drifted)"
    assert played.changed == ["Install CUDA 12.8", "Hold CUDA 12.8"]
