from __future__ import annotations

from collections import Counter

import pytest

from rackwright.hardware.pci import PciDevice, address, merged, parse_lspci, parse_sys_pci
from tests.hardware.outputs import output

SYS = """\
0000:00:1f.0 0x060100 0x8086 0x1b81 -1
0000:17:00.0 0x030200 0x10de 0x2330 1
0000:18:00.0 0x020700 0x15b3 0x1021 -1
0000:05:00.0 0x068000 0x10de 0x22a3 0
0000:06:00.0 0x068000 0x8086 0x1234 0
10000:e1:00.0 0x020000 0x8086 0x15ff 0
"""


def test_display_controllers_switches_and_network_cards_are_kept():
    devices = parse_lspci(output("h100-lspci.txt"))
    assert Counter(device.kind for device in devices) == {"0302": 8, "0680": 4, "0300": 1, "0207": 1, "0200": 1}
    assert devices[3] == PciDevice("0000:07:00.0", "0680", "10de", "22a3", "NVIDIA Corporation GH100 [H100 NVSwitch]")


def test_a_card_that_the_list_of_names_does_not_know():
    device = parse_lspci("0001:c1:00.0 3D controller [0302]: NVIDIA Corporation Device [10de:2bb5] (rev a1)")[0]
    assert device == PciDevice("0001:c1:00.0", "0302", "10de", "2bb5", "NVIDIA Corporation Device")


def test_sys_says_the_same_and_the_node():
    devices = parse_sys_pci(SYS)
    assert [(device.address, device.kind, device.numa) for device in devices] == [
        ("0000:17:00.0", "0302", 1),
        ("0000:18:00.0", "0207", None),
        ("0000:05:00.0", "0680", 0),
        ("10000:e1:00.0", "0200", 0),
    ]


def test_merged_has_each_device_once_with_name_and_node():
    line = "0000:17:00.0 3D controller [0302]: NVIDIA Corporation GH100 [10de:2330] (rev a1)\n"
    other = "0000:65:00.0 3D controller [0302]: NVIDIA Corporation GH100 [10de:2330] (rev a1)\n"
    devices = {device.address: device for device in merged(parse_lspci(line + other), parse_sys_pci(SYS))}
    assert len(devices) == 5
    assert (devices["0000:17:00.0"].name, devices["0000:17:00.0"].numa) == ("NVIDIA Corporation GH100", 1)
    assert devices["0000:65:00.0"].numa is None
    assert [*devices][-1] == "10000:e1:00.0"


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        ("00000000:17:00.0", "0000:17:00.0"),
        ("0000:3B:00", "0000:3b:00.0"),
        ("00010000:e1:00.0", "10000:e1:00.0"),
        ("N/A", "n/a"),
    ],
)
def test_addresses_are_written_as_lspci_does(text: str, is_: str):
    assert address(text) == is_
