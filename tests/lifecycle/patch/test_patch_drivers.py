"""Driver and kernel of the next lock in a patch run, over stand-ins for hosts: order, proof, way back, the lock."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from rackwright.errors import ProofError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import DriverLock, Lock
from rackwright.lifecycle.patch.next_drivers import with_drivers
from rackwright.lifecycle.reboot.procedure import complete, serve_as_they_run
from rackwright.lifecycle.rollout.change import Paused
from tests.fleet.fleets import make_fleet
from tests.lifecycle.patch.hosts import Bench, Dead, bench_of
from tests.lifecycle.patch.test_findings import COMING, NOW

HOSTS = ("gpu1", "gpu2")
BEFORE = Lock(
    fleet="acme", models={}, runtimes={}, ports={}, drivers={NOW.name: NOW.model_copy(update={"hosts": HOSTS})}
)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Both hosts that serve have the lock's driver."""
    made = bench_of(monkeypatch)
    made.locks = (BEFORE, with_drivers(made.fleet, BEFORE, dict.fromkeys(HOSTS, COMING)))
    for name in HOSTS:
        made.hosts[name].driver = made.hosts[name].loaded = NOW.set.name
    return made


def drivers(lock: Lock) -> Mapping[str, tuple[str, ...]]:
    return {one.version: one.hosts for one in lock.drivers.values()}


def events(bench: Bench, name: str, *wanted: str) -> list[str]:
    return [one for one in bench.hosts[name].events if one.split()[0] in wanted]


def test_the_driver_follows_the_packages_before_the_reboot_and_the_lock_follows_the_hosts(bench: Bench) -> None:
    assert complete(bench.opened(*HOSTS, reboots=True)) == HOSTS
    for name in HOSTS:
        assert events(bench, name, "install", "reboot", "commit") == [
            "install",
            f"install driver {COMING.version}",
            "reboot",
            "commit",
        ]
    assert [drivers(lock) for lock in bench.promoted] == [{COMING.version: HOSTS}]


def test_a_driver_that_is_not_loaded_is_reverted_and_the_lock_is_not_promoted(bench: Bench) -> None:
    bench.hosts["gpu1"].unloadable = COMING.set.name
    with pytest.raises(ProofError, match="no module runs"):
        complete(bench.opened(*HOSTS, reboots=True))
    assert events(bench, "gpu1", "install", "reboot", "revert")[2:] == [
        "reboot",
        "revert",
        f"install driver {NOW.version}",
        "reboot",
    ]
    assert bench.hosts["gpu2"].events == []
    assert (bench.promoted, bench.open) == ([], False)


def test_a_run_that_ends_after_the_first_host_leaves_a_lock_with_both_drivers(bench: Bench) -> None:
    bench.hosts["gpu2"].unloadable = COMING.set.name
    with pytest.raises(ProofError):
        complete(bench.opened(*HOSTS, reboots=True))
    assert [drivers(lock) for lock in bench.promoted] == [{COMING.version: ("gpu1",), NOW.version: ("gpu2",)}]


def test_a_driver_that_does_not_install_leaves_packages_and_driver_as_before_without_a_boot(bench: Bench) -> None:
    bench.hosts["gpu1"].fails = (f"install driver {COMING.version}",)
    with pytest.raises(RackwrightError, match="failed"):
        complete(bench.opened("gpu1", reboots=True))
    host = bench.hosts["gpu1"]
    assert (host.driver, host.installed, host.boots, bench.promoted) == (NOW.set.name, False, 0, [])


def test_an_aborted_run_promotes_what_is_installed(bench: Bench) -> None:
    bench.hosts["gpu1"].dies = "reboot"
    work = bench.opened(*HOSTS, reboots=True)
    with pytest.raises(Dead):
        complete(work)
    assert bench.promoted == []
    serve_as_they_run(bench.again(work), "not tonight")
    assert [drivers(lock) for lock in bench.promoted] == [{COMING.version: ("gpu1",), NOW.version: ("gpu2",)}]


def test_a_resumed_run_installs_and_boots_nothing_twice(bench: Bench) -> None:
    bench.hosts["gpu1"].dies = "commit"
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        complete(work)
    complete(bench.again(work))
    assert events(bench, "gpu1", "install", "reboot") == ["install", f"install driver {COMING.version}", "reboot"]


def test_a_host_that_crashed_before_its_driver_was_installed_still_gets_it(bench: Bench) -> None:
    host = bench.hosts["gpu1"]
    host.dies = "install"
    work = bench.opened("gpu1", reboots=True)
    with pytest.raises(Dead):
        complete(work)
    host.installed = True
    host.boots += 1
    complete(bench.again(work))
    assert (host.driver, host.loaded, host.boots) == (COMING.set.name, COMING.set.name, 2)


def test_a_run_without_drivers_promotes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = bench_of(monkeypatch)
    complete(bench.opened("gpu1"))
    assert bench.promoted == []


def test_a_window_must_have_time_to_build_the_modules_there_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 02:30, so an hour is left."""
    bench = bench_of(monkeypatch, window="sun 02:00-03:30")
    assert complete(bench.opened("gpu1")) == ("gpu1",)
    bench.locks = (BEFORE, with_drivers(bench.fleet, BEFORE, dict.fromkeys(HOSTS, COMING)))
    with pytest.raises(Paused, match="gate window"):
        complete(bench.opened("gpu2"))


# The lock.


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    hosts = {name: {"address": f"10.0.0.{at}"} for at, name in enumerate(("gate1", "gpu1", "gpu2", "gpu3"), 1)}
    return make_fleet(Path("acme.yml"), replicas={"gpu1": ["assistant@1"]}, hosts=hosts)


@pytest.mark.parametrize(
    ("sets", "after"),
    [
        ({}, {"580.1": HOSTS}),
        ({"gpu2": COMING}, {"580.1": ("gpu1",), "580.2": ("gpu2",)}),
        ({"gpu1": COMING, "gpu2": COMING}, {"580.2": HOSTS}),
        ({"gpu3": NOW}, {"580.1": (*HOSTS, "gpu3")}),
    ],
)
def test_a_host_has_one_set_and_a_set_without_hosts_is_left_out(
    fleet: Fleet, sets: dict[str, DriverLock], after: dict[str, tuple[str, ...]]
) -> None:
    assert drivers(with_drivers(fleet, BEFORE, sets)) == after
