from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.hardware.findings import RESET, Severity, findings, no_driver
from rackwright.hardware.gpus import Gpu, Link
from rackwright.hardware.hardware import Hardware
from rackwright.hardware.pci import parse_lspci
from rackwright.hardware.xid import Xid
from tests.hardware.outputs import hardware, output


def said(found: Hardware) -> list[str]:
    return [str(finding) for finding in findings(found)]


def changed(found: Hardware, index: int, **changes: object) -> Hardware:
    assert found.report is not None
    gpus = list(found.report.gpus)
    gpus[index] = replace(gpus[index], **changes)
    return replace(found, report=replace(found.report, gpus=tuple(gpus)))


def first(found: Hardware) -> Gpu:
    assert found.report is not None
    return found.report.gpus[0]


def test_a_healthy_machine_has_none():
    assert findings(hardware("blackwell")) == ()
    assert no_driver(hardware("blackwell")) is None


def test_each_thing_that_is_wrong_is_said_once():
    assert said(hardware("h100")) == [
        "GPU 2: bad memory will be retired at the next reset",
        "GPU 2: 1 memory error could not be corrected since the driver was loaded",
        "GPU 2: the driver asks for: Drain and Reset",
        "GPU 4: PCI Express has 8 of 16 lanes",
        "GPU 5: it is slowed down (88 °C): it is too hot",
        "GPU 6: its power limit is 500 W, the default is 700 W",
        "GPU 2: Xid 94 since boot: memory error; only the affected program was stopped",
        "GPU 2: Xid 63 since boot: a row or page of memory will be retired at the next reset",
        "GPU 0: Xid 31 since boot: a program used memory that isn't its own",
    ]


def test_an_applications_fault_is_a_note_and_hardware_a_warning():
    severity = {finding.what[:6]: finding.severity for finding in findings(hardware("h100")) if "Xid" in finding.what}
    assert severity == {"Xid 94": Severity.WARNING, "Xid 63": Severity.WARNING, "Xid 31": Severity.NOTE}


def test_an_idle_cards_slow_link_is_none():
    idle = changed(hardware("blackwell"), 0, link=Link(1, 16), link_max=Link(5, 16))
    assert findings(idle) == ()


@pytest.mark.parametrize("reason", ["sw_power_cap", "sync_boost"])
def test_what_a_busy_card_reaches_is_none(reason: str):
    assert findings(changed(hardware("blackwell"), 0, throttled=(reason,))) == ()


def test_a_row_that_could_not_be_taken_out_asks_for_a_new_card():
    failed = replace(first(hardware("blackwell")).health, failed=True)
    (finding,) = findings(changed(hardware("blackwell"), 0, health=failed))
    assert (finding.gpu, finding.what, finding.next) == (
        0,
        "it could not retire bad memory",
        "have the GPU replaced",
    )


def test_mig_is_named_and_left():
    assert said(hardware("a100-mig")) == [
        "GPU 0: MIG is on, 2 instances: rackwright leaves it on, and no replica can use this GPU"
    ]


@pytest.mark.parametrize(
    ("state", "status", "says"),
    [
        ("Completed", "Success", None),
        (None, None, None),
        ("In Progress", None, "it has not joined the NVSwitch fabric: In Progress"),
        ("Completed", "Insufficient Resources", "it could not join the NVSwitch fabric: Insufficient Resources"),
    ],
)
def test_the_fabric(state: str | None, status: str | None, says: str | None):
    found = said(changed(hardware("blackwell"), 1, fabric=state, fabric_status=status))
    assert found == ([f"GPU 1: {says}"] if says else [])


def test_a_card_that_the_driver_lost_and_cards_that_differ():
    machine = hardware("blackwell")
    lost = parse_lspci("0000:a1:00.0 3D controller [0302]: NVIDIA Corporation Device [10de:2bb5] (rev a1)")
    machine = changed(replace(machine, pci=(*machine.pci, *lost)), 1, name="NVIDIA L40S", memory=46068 * 2**20)
    assert said(machine) == [
        "the driver doesn't answer for the GPU at 0000:a1:00.0",
        "GPUs differ: 1 of NVIDIA RTX PRO 6000 Blackwell Server Edition, 95.6 GiB; 1 of NVIDIA L40S, 45.0 GiB",
    ]


def test_xids_are_counted_and_a_lost_cards_address_is_named():
    xids = (Xid(79, "0000:a1:00.0", ""), Xid(79, "0000:a1:00.0", ""), Xid(48, "0000:c1:00.0", ""))
    assert said(replace(hardware("blackwell"), xids=xids)) == [
        "Xid 79 since boot, 2 times at 0000:a1:00.0: the GPU has fallen off the bus",
        "GPU 0: Xid 48 since boot: memory error that could not be corrected",
    ]


def test_where_the_driver_is_at_fault_its_last_words_are_shown():
    text = "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"
    xids = (Xid(154, "0000:c1:00.0", "other"), *[Xid(154, "0000:c1:00.0", text)] * 19)
    (said_of_it,) = said(replace(hardware("blackwell"), xids=xids))
    assert said_of_it == f"GPU 0: Xid 154 since boot, 20 times or more: the driver requests an action ({text})"


def test_what_nvidia_smi_warns_of():
    assert said(replace(hardware("blackwell"), smi_warnings=("infoROM is corrupted",))) == [
        "nvidia-smi warns: infoROM is corrupted"
    ]


CARDS = parse_lspci(output("blackwell-lspci.txt"))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Hardware(), None),
        (Hardware(pci=CARDS), "no driver is installed"),
        (Hardware(pci=CARDS, nouveau=True), "nouveau is loaded instead of NVIDIA's driver"),
        (Hardware(pci=CARDS, loaded="580.95.05"), "module 580.95.05 is loaded, nvidia-smi isn't installed"),
        (Hardware(pci=CARDS, smi_error="No devices were found"), "nvidia-smi says: No devices were found"),
        (Hardware(smi_error="command failed"), "nvidia-smi says: command failed"),
        (
            hardware("mismatch"),
            "libraries and loaded module (580.82.07) differ: a reboot is pending; nvidia-smi says: Failed to "
            "initialize NVML: Driver/library version mismatch NVML library version: 580.95",
        ),
    ],
)
def test_why_no_driver_serves_the_cards(found: Hardware, says: str | None):
    problem = no_driver(found)
    assert (problem.what if problem else None) == says


def test_a_reset_is_never_done_by_us_but_named():
    assert findings(hardware("v100"))[0].next == RESET
