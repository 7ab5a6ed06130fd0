from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rackwright.fleet.sections.driver import Driver
from rackwright.hardware.gpus import Link, MemoryHealth
from rackwright.hardware.hardware import Hardware
from rackwright.hardware.pci import PciDevice
from rackwright.lifecycle.assess.assessment import Assessment, Severity, Verdict
from tests.lifecycle.assess.hosts import A10, K80, MACHINE, V100, assessed, bare, gpu, hardware, pci

BLOCKS, WARNS, ADVISES = Severity
SWITCH = PciDevice("0000:05:00.0", "0680", "10de", "22a3")


def found(seen: Hardware, **expected: Any) -> list[tuple[Severity, str, str | None]]:
    return [(one.severity, one.what, one.next) for one in assessed(seen, **expected).missing]


def said(seen: Hardware, **expected: Any) -> list[tuple[Severity, str]]:
    """Return the findings without those about the installed driver, which `hardware()` has."""
    return [one[:2] for one in found(seen, **expected) if "is installed already" not in one[1]]


def test_a_host_that_has_everything_lacks_nothing() -> None:
    whole = assessed(hardware(), gpus=2)
    assert [(one.severity, one.what) for one in whole.missing] == [(ADVISES, "driver 580.95.05 is installed already")]
    assert "driver: {manage: adopt}, replace or no" in str(whole.missing[0].next)
    assert whole.verdict is Verdict.READY


@pytest.mark.parametrize("seen", [hardware(rdma=()), hardware(links=(("eno1", 0),))])
def test_what_a_host_alone_needs_not_or_nobody_tells_is_not_missing(seen: Hardware) -> None:
    assert said(seen, gpus=2) == []


def test_a_gateway_needs_no_gpu() -> None:
    assert found(Hardware(system="debian 13", architecture="amd64"), gpus=0, debian_only=True) == []


@pytest.mark.parametrize(
    ("seen", "expected", "severity", "what"),
    [
        (hardware(architecture="arm64"), {}, BLOCKS, "its architecture is arm64"),
        (hardware(system="rocky 9"), {}, BLOCKS, "runs rocky 9; should be Debian 13 or Ubuntu 24.04"),
        (hardware(system="ubuntu 24.04"), {}, WARNS, "Ubuntu 24.04 should work"),
        (hardware(system="ubuntu 24.04"), {"debian_only": True}, BLOCKS, "runs ubuntu 24.04"),
        (hardware(2), {"gpus": 3}, BLOCKS, "2 GPUs, but its replicas need 3"),
        (hardware(0, report=None), {"gpus": 1}, BLOCKS, "0 GPUs, but its replicas need 1"),
        (hardware(0, report=None, loaded=None), {}, ADVISES, "no NVIDIA GPU"),
        (hardware(2, gpus=(gpu(0),)), {}, WARNS, "the driver doesn't answer for the GPU at 0000:11:00.0"),
        (hardware(gpus=(gpu(0), gpu(1, name="A10"))), {}, WARNS, "GPUs differ: "),
        (hardware(gpus=(gpu(0), gpu(1, mig=True))), {}, WARNS, "GPU 1: MIG is on"),
        (hardware(memory=100 * 10**9), {}, WARNS, "100.0 GB of memory, less than the GPUs' 160.0 GB"),
        (hardware(links=(("a", 100), ("b", 1000))), {}, WARNS, "its fastest link has 1 Gbit/s: 140 GB"),
        (hardware(rdma=()), {"one_of_several": True}, ADVISES, "no RDMA"),
    ],
)  # fmt: skip
def test_each_thing_that_is_missing_is_told_alone(
    seen: Hardware, expected: dict[str, Any], severity: Severity, what: str
) -> None:
    ((told, text),) = said(seen, **expected)
    assert (told, text[: len(what)]) == (severity, what)


@pytest.mark.parametrize(
    ("machine", "severity", "what"),
    [
        ({"systemd": False}, BLOCKS, "it doesn't run systemd"),
        ({"virtual": "podman", "container": True}, WARNS, "it is a container (podman)"),
        ({"synchronised": False}, ADVISES, "its clock isn't synchronized"),
        ({"ecc": False}, ADVISES, "its memory has no error correction"),
        ({"swap": 8 * 10**9}, ADVISES, "8.0 GB of swap"),
        ({"models_free": 10 * 10**9}, BLOCKS, "10.0 GB free at /srv/models; runtimes"),
        (
            {"models_free": 300 * 10**9},
            WARNS,
            "300.0 GB free at /srv/models; models that fill its GPUs need 340",
        ),
        ({"models_rotating": True}, WARNS, "/srv/models is on a rotating disk"),
        ({"supplies_failed": ("PS2: AC lost",)}, WARNS, "power supply PS2: AC lost"),
    ],
)
def test_each_thing_of_the_machine_is_told_alone(machine: dict[str, Any], severity: Severity, what: str) -> None:
    (told, _) = sorted(
        assessed(hardware(), replace(MACHINE, **machine)).missing, key=lambda one: "already" in one.what
    )
    assert (told.severity, told.what[: len(what)]) == (severity, what)


@pytest.mark.parametrize(
    ("managed", "next"),
    [
        (True, "rackwright apply: sets up chrony, which must reach NTP servers"),
        (False, "synchronize it as you do elsewhere: the fleet file has time_sync.manage: no"),
    ],
)
def test_no_advice_contradicts_the_fleet_file(managed: bool, next: str) -> None:
    found = assessed(hardware(), replace(MACHINE, synchronised=False), clock_managed=managed).missing
    assert [one.next for one in found if "clock" in one.what] == [next]


@pytest.mark.parametrize(
    ("health", "severity", "what"),
    [
        (MemoryHealth(ecc=True, failed=True), BLOCKS, "GPU 0: it could not retire bad memory"),
        (MemoryHealth(ecc=False), ADVISES, "GPU 0: could correct memory errors, but ECC is off"),
        (MemoryHealth(), ADVISES, "GPU 0: a consumer card"),
    ],
)
def test_each_thing_of_a_cards_memory_is_told(health: MemoryHealth, severity: Severity, what: str) -> None:
    ((told, text),) = said(hardware(1, gpus=(gpu(0, health=health),)))
    assert (told, text[: len(what)]) == (severity, what)


def test_a_card_in_a_narrow_slot_and_one_that_is_half_plugged_in_are_told() -> None:
    narrow = gpu(0, link=Link(1, 4), link_max=Link(5, 4))
    half = gpu(1, link=Link(1, 8))
    assert said(hardware(gpus=(narrow, half))) == [
        (WARNS, "GPU 1: PCI Express has 8 of 16 lanes"),
        (ADVISES, "GPU 0: has fewer than 8 lanes"),
    ]


def test_a_limit_below_what_the_card_was_delivered_with_is_told() -> None:
    capped = gpu(0, power=replace(gpu(0).power, limit=500.0))
    assert said(hardware(1, gpus=(capped,))) == [(WARNS, "GPU 0: its power limit is 500 W, the default is 700 W")]


@pytest.mark.parametrize(
    ("device", "modules"), [("2330", "open"), ("2901", "open"), (A10, "open"), (V100, "proprietary")]
)
def test_the_driver_that_would_be_installed_follows_from_the_generation(device: str, modules: str) -> None:
    ((severity, what, do),) = found(bare(device=device))
    assert (severity, what) == (WARNS, "no driver yet")
    assert f'driver: {{branch: "580", modules: {modules}}}' in str(do)


@pytest.mark.parametrize(
    ("driver", "there", "none"),
    [
        (Driver(branch="580"), [], "rackwright lock, then rackwright apply --reboot: installs branch 580"),
        (
            Driver(branch="580.9"),
            ["driver 580.95.05 is installed, but the fleet file asks for branch 580.9"],
            "lock, then",
        ),
        (
            Driver(branch="570"),
            ["driver 580.95.05 is installed, but the fleet file asks for branch 570"],
            "lock, then",
        ),
        (
            Driver(manage="replace", branch="570"),
            [],
            "rackwright lock, then rackwright apply --reboot: installs branch 570",
        ),
        (Driver(manage="adopt"), [], "install one manually: the fleet file has driver.manage: adopt"),
        (Driver(manage="no"), [], "install one manually: the fleet file has driver.manage: no"),
    ],
)
def test_what_the_fleet_file_says_of_the_driver_is_not_asked_again(
    driver: Driver, there: list[str], none: str
) -> None:
    assert [what for _, what, _ in found(hardware(), driver=driver)] == there
    ((_, what, do),) = found(bare(), driver=driver)
    assert what == "no driver yet"
    assert none in str(do)


def test_gpus_that_no_driver_serves_or_not_together_block() -> None:
    assert any(severity is BLOCKS and "Kepler" in what for severity, what in said(bare(device=K80)))
    mixed = bare(pci=(pci(0, V100), pci(1, "2901")))
    assert any(severity is BLOCKS and "no driver supports both" in what for severity, what in said(mixed))


def test_what_stands_in_a_drivers_way_is_told() -> None:
    told = {what: severity for severity, what in said(bare(nouveau=True, secure_boot=True))}
    assert [severity for what, severity in told.items() if "nouveau" in what] == [WARNS]
    assert [severity for what, severity in told.items() if "Secure Boot" in what] == [WARNS]


def test_switches_want_a_fabric_manager_that_runs() -> None:
    switched = bare(pci=(pci(0), SWITCH))
    assert any("1 NVSwitch, but Fabric Manager doesn't run" in what for _, what in said(switched))
    joined = hardware(1, gpus=(gpu(0, fabric="Completed"),), pci=(pci(0), SWITCH))
    assert not any("NVSwitch" in what for _, what in said(joined))
    assert any("NVSwitch" in what for _, what in said(hardware(1, pci=(pci(0), SWITCH))))


def test_a_driver_that_does_not_answer_is_told_with_what_it_says() -> None:
    ((severity, what),) = said(bare(loaded="550.1", smi_error="Driver/library version mismatch"))
    assert severity is WARNS
    assert what.endswith("Driver/library version mismatch")


def test_dgx_os_is_no_other_system_and_its_driver_is_asked_about() -> None:
    told = found(hardware(dgx=True, system="ubuntu 22.04"))
    assert [(severity, what) for severity, what, _ in told] == [
        (WARNS, "DGX OS's own driver 580.95.05 is installed already")
    ]


def test_the_worst_comes_first_in_a_host_and_among_hosts() -> None:
    bad = assessed(hardware(architecture="arm64", memory=1), host="bad")
    assert [one.severity for one in bad.missing] == [BLOCKS, WARNS, ADVISES]
    good, middling = assessed(hardware(), host="good"), assessed(bare(), host="middling")
    assert [host.host for host in Assessment.of((good, middling, bad)).hosts] == ["bad", "middling", "good"]
