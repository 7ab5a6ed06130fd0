from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rackwright.hardware.gpus import Gpu, Link, MemoryHealth, Power
from rackwright.hardware.nvidia_smi import LONGEST, parse_nvidia_smi, with_instances
from tests.hardware.outputs import output

MACHINES = ("h100", "a100-mig", "v100", "blackwell")


def gpus(machine: str) -> tuple[Gpu, ...]:
    return parse_nvidia_smi(output(f"{machine}.xml")).gpus


def one(body: str) -> Gpu:
    text = f'<nvidia_smi_log><gpu id="00000000:17:00.0">{body}</gpu></nvidia_smi_log>'
    return parse_nvidia_smi(text).gpus[0]


@pytest.mark.parametrize(
    ("machine", "driver", "cuda", "count"),
    [
        ("h100", "550.163.01", "12.4", 8),
        ("a100-mig", "535.183.06", "12.2", 2),
        ("v100", "418.226.00", "10.1", 1),
        ("blackwell", "580.95.05", "13.0", 2),
    ],
)
def test_driver_cuda_and_cards_are_read_in_every_layout(machine: str, driver: str, cuda: str, count: int):
    report = parse_nvidia_smi(output(f"{machine}.xml"))
    assert (report.driver, report.cuda, len(report.gpus)) == (driver, cuda, count)


def test_a_healthy_card_of_an_nvswitch_machine():
    assert gpus("h100")[1] == Gpu(
        index=1,
        name="NVIDIA H100 80GB HBM3",
        uuid="GPU-00000001-7a15-4c1e-9d02-5be0c1a2f001",
        pci="0000:3b:00.0",
        memory=81559 * 2**20,
        memory_used=12595 * 2**20,
        health=MemoryHealth(ecc=True, uncorrected=0, uncorrected_ever=0, retired_pages=0),
        link=Link(5, 16),
        link_max=Link(5, 16),
        power=Power(draw=72.41, limit=700.0, default=700.0),
        temperature=31,
        throttled=(),
        mig=False,
        mig_devices=(),
        fabric="Completed",
        fabric_status="Success",
    )


def test_cards_that_are_not_healthy():
    _, _, remapped, _, narrow, hot, limited, _ = gpus("h100")
    assert remapped.health == MemoryHealth(ecc=True, uncorrected=1, uncorrected_ever=3, retired_pages=1, pending=True)
    assert remapped.recovery == "Drain and Reset"
    assert (narrow.link, narrow.link_max) == (Link(5, 8), Link(5, 16))
    assert (hot.throttled, hot.temperature) == (("hw_slowdown", "hw_thermal_slowdown"), 88)
    assert (limited.power.limit, limited.power.default) == (500.0, 700.0)


def test_pages_retired_before_ampere_and_both_names_of_the_pending_one():
    health = gpus("v100")[0].health
    assert health == MemoryHealth(ecc=True, uncorrected=1, uncorrected_ever=2, retired_pages=4, pending=True)
    for name in ("pending_retirement", "pending_blacklist", "pending_page_blacklist"):
        assert one(f"<retired_pages><{name}>Yes</{name}></retired_pages>").health.pending


def test_what_the_newest_layout_renamed():
    card = gpus("blackwell")[0]
    assert card.power == Power(draw=31.24, limit=600.0, default=600.0)
    assert (card.throttled, card.fabric, card.recovery, card.mig) == ((), None, None, False)
    health = one("<ecc_errors><unrepairable_memory>Yes</unrepairable_memory></ecc_errors>").health
    assert health.failed
    assert one("<ecc_errors><channel_repair_pending>Yes</channel_repair_pending></ecc_errors>").health.pending


def test_uncorrected_errors_of_all_kinds_are_added_up():
    kinds = ("dram_uncorrectable", "sram_uncorrectable", "sram_uncorrectable_parity", "sram_uncorrectable_secded")
    counted = "".join(f"<{kind}>{10**place}</{kind}>" for place, kind in enumerate(kinds))
    assert one(f"<ecc_errors><volatile>{counted}</volatile></ecc_errors>").health.uncorrected == 1111


def test_instances_get_their_uuids_from_the_list():
    report = with_instances(parse_nvidia_smi(output("a100-mig.xml")), output("a100-mig-list.txt"))
    assert [gpu.mig for gpu in report.gpus] == [True, False]
    assert [len(gpu.mig_devices) for gpu in report.gpus] == [2, 0]
    assert report.gpus[0].mig_devices[1] == "MIG-e2904b6f-37c8-5d15-a0f2-84b6c95d7e02"


def test_throttling_has_two_names():
    for kind in ("throttle", "event"):
        name = f"clocks_{kind}_reason_sw_thermal_slowdown"
        reasons = f"<clocks_{kind}_reasons><{name}>Active</{name}></clocks_{kind}_reasons>"
        assert one(reasons).throttled == ("sw_thermal_slowdown",)


@pytest.mark.parametrize(
    "untold", ["N/A", "[N/A]", "", "None", "Not Supported", "Requested functionality has been deprecated", "ERR!"]
)
def test_what_is_not_told_is_none_and_never_zero(untold: str):
    card = one(
        f"<mig_mode><current_mig>{untold}</current_mig></mig_mode><fabric><state>{untold}</state></fabric>"
        f"<ecc_errors><volatile><dram_uncorrectable>{untold}</dram_uncorrectable></volatile></ecc_errors>"
        f"<temperature><gpu_temp>{untold}</gpu_temp></temperature>"
        f"<gpu_power_readings><power_draw>{untold}</power_draw></gpu_power_readings>"
    )
    assert (card.mig, card.fabric, card.health.uncorrected, card.temperature) == (None, None, None, None)
    assert (card.power.draw, card.link, card.pci) == (None, None, "0000:17:00.0")


def test_a_warning_behind_the_report_does_not_spoil_it():
    text = output("v100.xml") + "WARNING: infoROM is corrupted at gpu 0000:3B:00.0\n"
    assert len(parse_nvidia_smi(text).gpus) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "incomplete or invalid XML"),
        ("Failed to initialize NVML", "incomplete or invalid XML"),
        ("<html></html>", "<html>, not <nvidia_smi_log>"),
        ("<nvidia_smi_log>\ud800</nvidia_smi_log>", "incomplete or invalid XML"),
        ('<!DOCTYPE a [<!ENTITY b "bb">]><nvidia_smi_log>&b;</nvidia_smi_log>', "an XML entity"),
        ("<a>" * (LONGEST // 3 + 1), "more than"),
    ],
)
def test_what_is_no_report_is_refused_in_words(text: str, says: str):
    with pytest.raises(ValueError, match=says):
        parse_nvidia_smi(text)


@given(machine=st.sampled_from(MACHINES), data=st.data())
def test_a_damaged_report_is_read_or_refused_but_breaks_nothing(machine: str, data: st.DataObject):
    text = output(f"{machine}.xml")
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 400)))
    damage = data.draw(st.text(max_size=20) | st.sampled_from(["", text[:begin], "9" * 5000, "</gpu>", "-1 MiB"]))
    refused = ""
    try:
        parse_nvidia_smi(text[:begin] + damage + text[end:])
    except ValueError as error:
        refused = str(error)
    assert refused == "" or refused.startswith("nvidia-smi printed")
