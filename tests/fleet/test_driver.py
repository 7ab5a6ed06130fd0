# ruff: noqa: E501  (an exact message is written on one line)
from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.hosts.driver import cuda_of, driver_settings, updates_beside
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import DriverLock, Lock, driver_of, lock_digest
from rackwright.fleet.lock_file import mismatches, read_lock, write_lock
from rackwright.fleet.sections.baseline import Baseline
from rackwright.fleet.sections.driver import Driver
from rackwright.package_set import Package
from tests.fleet.fleets import make_fleet
from tests.fleet.test_lock_file import make_lock

REST = """\
fleet: acme
hosts:
  gate1: {address: 10.0.0.10}
  gpu1: {address: 10.0.0.11}
  gpu2: {address: 10.0.0.12}
groups: {gpus: [gpu1, gpu2]}
models:
  assistant:
    source: hf:acme/tiny
    runtime: {kind: llama_cpp, version: b1}
    place: [{on: gpu1, gpus: 2}, {on: gpu2, gpus: 0}]
    names: [assistant]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/24], clients_from: [10.0.0.0/8]}
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fleet(driver: str) -> Fleet:
    Path("fleet.yml").write_text(f"driver: {driver}\n{REST}")
    return load_fleet(Path("fleet.yml"))


def messages(driver: str) -> list[str]:
    with pytest.raises(FleetError) as caught:
        fleet(driver)
    return [str(problem) for problem in caught.value.problems]


WRONG = {
    "{}": ['fleet.yml:1 driver: has no branch; write branch: "580", or manage: adopt to keep existing drivers'],
    "{manage: replace}": ['fleet.yml:1 driver: has no branch; write branch: "580", or manage: adopt to keep existing drivers'],
    "[]": ["fleet.yml:1 driver: is empty; should have at least one entry"],
    "580": ["fleet.yml:1 driver: should be a mapping of keys to values"],
    "{brunch: '580'}": ["fleet.yml:1 driver.brunch: unknown key; did you mean 'branch'?"],
    "{branch: 580}": ['fleet.yml:1 driver.branch: should be text; put it in quotes: "580"'],
    "{branch: '58'}": ['fleet.yml:1 driver.branch: should be a branch like "580", or a release like "580.95.05"'],
    "{branch: '580.*'}": ['fleet.yml:1 driver.branch: should be a branch like "580", or a release like "580.95.05"'],
    "{branch: '580', cuda: '13'}": ['fleet.yml:1 driver.cuda: should be a version like "12.8"'],
    "{manage: adopt, cuda: '12.8'}": ["fleet.yml:1 driver: cuda comes with an installed driver; should have manage: yes or replace"],
    "{manage: maybe}": ["fleet.yml:1 driver.manage: should be 'yes', 'adopt', 'replace' or 'no'"],
    "{branch: '580', modules: closed}": ["fleet.yml:1 driver.modules: should be 'open' or 'proprietary'"],
    "{branch: '580', kernel: '-o'}": ["fleet.yml:1 driver.kernel: should be the name of a Debian package, like linux-image-amd64"],
    "{branch: '580', source: path}": ["fleet.yml:1 driver: source: path and path: FOLDER belong together"],
    "{branch: '580', path: /srv/driver}": ["fleet.yml:1 driver: source: path and path: FOLDER belong together"],
    "{branch: '580', source: path, path: '/srv/$(id)'}": ["fleet.yml:1 driver.path: should have only letters, digits and / . _ - @ +"],
    "{branch: '580', source: distribution, mirror: 'https://m/x'}": [
        "fleet.yml:1 driver: mirror needs source: nvidia; for the hosts' own apt sources, use downloads.apt_mirror"],
    "{branch: '580', key: acme.gpg}": [
        "fleet.yml:1 driver: key needs mirror or path",
        "fleet.yml:1 driver.key: no such file: acme.gpg; a relative path starts at the fleet file's folder"],
    "{branch: '580', mirror: 'https://m/x', key: none.gpg}": [
        "fleet.yml:1 driver.key: no such file: none.gpg; a relative path starts at the fleet file's folder"],
    "{manage: adopt, on: gpu9}": ["fleet.yml:1 driver.on: unknown host or group 'gpu9'; did you mean 'gpus'?"],
    "[{branch: '580', on: gpus}, {branch: '570', on: [gate1, gpu1]}]": [
        "fleet.yml:1 driver[1].on: gpu1 already has a driver from another entry; a host has one driver"],
    "[{branch: '580'}, {branch: '570'}]": [
        "fleet.yml:1 driver[1]: another driver entry already applies to every host with GPUs; name the hosts of this one with on:"],
}  # fmt: skip


@pytest.mark.parametrize("written", WRONG)
def test_says_what_is_wrong(written: str) -> None:
    assert messages(written) == WRONG[written]


def test_a_mistake_in_a_list_has_its_own_line() -> None:
    assert messages("\n  - {branch: '580', on: gpu1}\n  - {branch: '5800', on: gpu2}") == [
        'fleet.yml:3 driver[1].branch: should be a branch like "580", or a release like "580.95.05"'
    ]


@pytest.mark.parametrize(
    ("word", "manage"),
    [("yes", "yes"), ("true", "yes"), ("no", "no"), ("false", "no"), ("adopt", "adopt"), ("replace", "replace")],
)
def test_yes_and_no_may_be_words_or_booleans(word: str, manage: str) -> None:
    (driver,) = fleet(f"{{branch: '580', manage: {word}}}").file.drivers
    assert (driver.manage, driver.installs) == (manage, manage in ("yes", "replace"))


def test_a_local_folder_and_a_mirror_may_have_a_key() -> None:
    Path("acme.gpg").write_bytes(b"\x99")
    for source in ("source: path, path: /srv/driver", "mirror: 'https://mirror.acme.internal/cuda'"):
        (driver,) = fleet(f"{{branch: '580', {source}, key: acme.gpg}}").file.drivers
        assert driver.key == "acme.gpg"


def branches(driver: str) -> dict[str, str | None]:
    loaded = fleet(driver)
    found = {host: loaded.driver_of(host) for host in loaded.hosts}
    return {host: driver.branch for host, driver in found.items() if driver}


OF_HOSTS = {
    "without on, the hosts whose replicas have GPUs": ("{branch: '580'}", {"gpu1": "580"}),
    "on a group": ("{branch: '580', on: gpus}", {"gpu1": "580", "gpu2": "580"}),
    "on a host where nothing has GPUs": ("{branch: '580', on: gate1}", {"gate1": "580"}),
    "one for each": ("[{branch: '580', on: gpu1}, {branch: '570', on: gpu2}]", {"gpu1": "580", "gpu2": "570"}),
    "left alone": ("{manage: no}", {}),
    "named beats not named": ("[{branch: '570', on: gpu1}, {branch: '580'}]", {"gpu1": "570"}),
    "named beats not named, in any order": ("[{branch: '580'}, {branch: '570', on: gpu1}]", {"gpu1": "570"}),
    "a host to leave alone is left alone": ("[{branch: '580'}, {manage: no, on: gpu1}]", {}),
}


@pytest.mark.parametrize("case", OF_HOSTS)
def test_a_host_has_the_driver_that_the_fleet_file_means(case: str) -> None:
    written, wanted = OF_HOSTS[case]
    assert branches(written) == wanted


def test_a_question_is_one_line_that_no_default_and_no_order_changes() -> None:
    asked = Driver(branch="580", cuda="12.8", modules="open", on="gpus", manage="replace")
    assert asked.question == "branch=580 cuda=12.8 modules=open source=nvidia"
    assert Driver(branch="580").question == Driver(branch="580", source="nvidia", on=("gpu1",)).question
    assert Driver(branch="580").question != Driver(branch="580.95.05").question


# The lock.


def package(name: str, version: str = "580.95.05-1", **changes: Any) -> Package:
    values = {"size": 9, "sha256": f"{len(name):064x}", "url": f"https://repo.acme.internal/{name}.deb"}
    return Package(name=name, version=version, architecture="amd64", **(values | changes))


PACKAGES = (package("nvidia-kernel-open-dkms"), package("linux-image-6.12.117+deb13-amd64", "6.12.117-1"))


def make_driver(**changes: Any) -> DriverLock:
    made = DriverLock(
        question="branch=580 source=nvidia",
        system="debian 13",
        architecture="amd64",
        modules="open",
        hosts=("gpu1",),
        version="580.95.05",
        kernel="6.12.117+deb13-amd64",
        kernel_package="linux-image-amd64",
        install=("nvidia-kernel-open-dkms", "linux-image-amd64"),
        packages=PACKAGES,
    )
    return made.model_copy(update=changes)


def with_drivers(*drivers: DriverLock) -> Lock:
    return make_lock(drivers={driver.name: driver for driver in drivers})


def made_fleet(driver: dict[str, Any], **changes: Any) -> Fleet:
    return make_fleet(Path("site.yml"), driver=driver, **changes)


def problems(driver: dict[str, Any], lock: Lock, **changes: Any) -> list[str]:
    return [str(problem).partition("\n")[0] for problem in mismatches(made_fleet(driver, **changes), lock)]


def test_drivers_are_written_and_read_back() -> None:
    lock = with_drivers(make_driver(cuda=(package("cuda-toolkit-12-8", "12.8.1-1"),), needs=("fabric",)))
    write_lock(Path("site.lock"), lock)
    assert read_lock(Path("site.lock")) == lock
    assert driver_of(lock, "gpu1") in lock.drivers.values()
    assert driver_of(lock, "gate1") is None


def test_a_lock_without_drivers_is_as_it_was_before_there_were_any() -> None:
    write_lock(Path("site.lock"), make_lock())
    assert "drivers" not in Path("site.lock").read_text()
    # The digest of this lock from before the section existed.
    assert lock_digest(make_lock()) == "69d6ff32fbbd1df69f56411127e83286066b14e8571967fbb8878c57db766a17"
    assert lock_digest(with_drivers(make_driver())) != lock_digest(make_lock())


EDITS = {
    "another package": ("version: 580.95.05-1", "version: 580.95.06-1"),
    "other bytes": (f"{len(PACKAGES[0].name):064x}", "f" * 64),
    "another toolkit": ("version: 12.8.1-1", "version: 12.9.0-1"),
    "another question": ("question: branch=580 ", "question: branch=590 "),
    "another system": ("system: debian 13", "system: debian 12"),
}


@pytest.mark.parametrize("case", EDITS)
def test_what_was_edited_is_noticed(case: str) -> None:
    old, new = EDITS[case]
    path = Path("site.lock")
    write_lock(path, with_drivers(make_driver(cuda=(package("cuda-toolkit-12-8", "12.8.1-1"),))))
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(
        FleetError, match=r"drivers\.[0-9a-f]{16}: digest doesn't match its files: it was edited or merged"
    ):
        read_lock(path)


def test_a_lock_answers_the_question_it_was_asked() -> None:
    assert problems({"branch": "580", "on": "gpu1"}, with_drivers(make_driver())) == []


def test_a_changed_question_is_named_once_for_all_of_its_hosts() -> None:
    driver = make_driver(hosts=("gpu1", "gpu2"))
    lock = with_drivers(driver).model_copy(
        update={"ports": {"gpu1": {"assistant@1": 8100}, "gpu2": {"assistant@1": 8100}}}
    )
    both = {"gpu1": ["assistant@1"], "gpu2": ["assistant@1"]}
    assert problems({"branch": "590", "on": ["gpu1", "gpu2"]}, lock, replicas=both) == [
        f"site.lock drivers.{driver.name}: is for branch=580 source=nvidia, but the fleet file asks for "
        "branch=590 source=nvidia"
    ]


def test_a_host_without_an_answer_is_named() -> None:
    assert problems({"branch": "580", "on": ["gate1", "gpu1"]}, with_drivers(make_driver())) == [
        "site.lock drivers: has no driver for gate1"
    ]
    assert problems({"branch": "580", "on": "gpu1"}, make_lock()) == ["site.lock drivers: has no driver for gpu1"]


@pytest.mark.parametrize("driver", [{"manage": "adopt", "on": "gpu1"}, {"manage": "no"}])
def test_a_driver_that_is_not_ours_to_choose_needs_no_answer(driver: dict[str, Any]) -> None:
    assert problems(driver, make_lock()) == []


def test_one_set_of_packages_may_answer_two_questions() -> None:
    one = make_driver()
    other = make_driver(question="branch=580.95.05 source=nvidia", hosts=("gpu2",))
    assert one.set == other.set
    lock = with_drivers(one, other)
    assert [driver_of(lock, host) for host in ("gpu1", "gpu2")] == [one, other]


# What a host's roles get from it.


def gpu_fleet(driver: dict[str, Any]) -> Fleet:
    made = made_fleet(driver)
    replicas = tuple(Replica(one.model, one.number, one.host, 4) for one in made.replicas)
    return Fleet(made.path, made.file, replicas, made.sources, {})


def test_the_role_gets_the_set_and_the_number_of_gpus() -> None:
    lock = with_drivers(make_driver(needs=("fabric", "subnet")))
    found = driver_settings(gpu_fleet({"branch": "580"}), lock, "gpu1")
    assert found is not None
    assert found.set == make_driver().set
    assert (found.manage, found.version, found.fabric, found.gpus) == ("yes", "580.95.05", True, 4)
    assert driver_settings(gpu_fleet({"branch": "580"}), lock, "gate1") is None
    assert driver_settings(gpu_fleet({"manage": "no"}), lock, "gpu1") is None


def test_an_adopted_driver_has_no_set_though_an_older_lock_still_has_one() -> None:
    found = driver_settings(gpu_fleet({"manage": "adopt"}), with_drivers(make_driver()), "gpu1")
    assert found is not None
    assert (found.manage, found.set, found.version) == ("adopt", None, None)


def test_a_toolkit_is_there_only_where_it_was_asked_for() -> None:
    toolkit = package("cuda-toolkit-12-8", "12.8.1-1")
    lock = with_drivers(make_driver(cuda=(toolkit,)))
    found = cuda_of(gpu_fleet({"branch": "580", "cuda": "12.8"}), lock, "gpu1")
    assert found is not None
    assert (found.version, found.set.packages) == ("12.8", (toolkit,))
    assert cuda_of(gpu_fleet({"branch": "580"}), lock, "gpu1") is None


def test_updates_exclude_every_package_of_the_set_and_what_the_fleet_file_excludes() -> None:
    baseline = Baseline.model_validate({"updates": {"exclude": ["postgresql-17"]}}).decided()
    settings = driver_settings(gpu_fleet({"branch": "580"}), with_drivers(make_driver()), "gpu1")
    excluded = updates_beside(settings, baseline).updates.exclude
    assert set(excluded) == {"postgresql-17", *(package.name for package in PACKAGES)}
    assert all(re.fullmatch(r"\S+", name) for name in excluded)
    assert updates_beside(None, baseline) == baseline
