from __future__ import annotations

from dataclasses import replace

from rackwright.hardware.hardware import Hardware
from rackwright.lifecycle.gpus.status import driver_of, gpu_statuses, host_warnings
from tests.hardware.outputs import hardware


def test_each_card_is_one_line():
    assert [str(gpu) for gpu in gpu_statuses("gpu1", hardware("blackwell"))] == [
        "NVIDIA RTX PRO 6000 Blackwell Server Edition, 95.6 GiB (0.0 used), 33 °C, 31 of 600 W, ok"
    ] * 2


def test_what_is_found_stands_with_its_own_card():
    cards = {gpu.index: gpu for gpu in gpu_statuses("gpu1", hardware("h100"))}
    assert str(cards[5]) == (
        "NVIDIA H100 80GB HBM3, 79.6 GiB (12.3 used), 88 °C, 402 of 700 W, it is slowed down (88 °C): it is too hot"
    )
    assert [len(card.findings) for card in cards.values()] == [1, 0, 5, 0, 1, 1, 1, 0]
    assert cards[1].findings == ()


def test_a_card_that_tells_little_has_a_short_line():
    report = hardware("v100").report
    assert report is not None
    card = report.gpus[0]
    power, health = replace(card.power, limit=None), replace(card.health, uncorrected=0, pending=False)
    little = replace(card, temperature=None, power=power, health=health)
    (shown,) = gpu_statuses("gpu1", Hardware(report=replace(report, gpus=(little,))))
    assert str(shown) == "Tesla V100-PCIE-16GB, 15.8 GiB (0.0 used), 25 W, ok"


def test_the_driver_in_words():
    assert driver_of(hardware("h100", facts="loaded 550.163.01\n")) == "550.163.01, CUDA 12.4, proprietary module"
    assert driver_of(hardware("h100")) == "550.163.01, CUDA 12.4"
    assert driver_of(Hardware()) is None


def test_what_is_no_cards_is_the_hosts_warning_with_what_to_do():
    assert list(host_warnings("gpu1", hardware("h100"))) == []
    (warning,) = host_warnings("gpu1", hardware("mismatch"))
    assert warning.startswith("gpu1: libraries and loaded module (580.82.07) differ: a reboot is pending")
    assert warning.endswith("; next: drain the host and reboot it")
    warned = replace(hardware("blackwell"), smi_warnings=("infoROM is corrupted",))
    assert list(host_warnings("gpu1", warned)) == ["gpu1: nvidia-smi warns: infoROM is corrupted"]
