from __future__ import annotations

import pytest

from rackwright.hardware.generation import Generation, generation_of, modules_for, newest_branch, oldest_branch
from rackwright.hardware.pci import PciDevice


def gpu(device: str, name: str = "", vendor: str = "10de") -> PciDevice:
    return PciDevice("0000:17:00.0", "0302", vendor, device, name)


@pytest.mark.parametrize(
    ("device", "generation"),
    [
        ("102d", Generation.KEPLER),  # Tesla K80
        ("128b", Generation.KEPLER),  # GeForce GT 710
        ("13f2", Generation.MAXWELL),  # Tesla M60
        ("17fd", Generation.MAXWELL),  # Tesla M40
        ("15f8", Generation.PASCAL),  # Tesla P100
        ("1b38", Generation.PASCAL),  # Tesla P40
        ("1db4", Generation.VOLTA),  # Tesla V100
        ("1eb8", Generation.TURING),  # Tesla T4
        ("21c4", Generation.TURING),  # GeForce GTX 1660 SUPER
        ("20b2", Generation.AMPERE),  # A100
        ("2235", Generation.AMPERE),  # A40
        ("25b6", Generation.AMPERE),  # A2, A16
        ("26b9", Generation.ADA),  # L40S
        ("27b8", Generation.ADA),  # L4
        ("2330", Generation.HOPPER),  # H100 SXM
        ("2335", Generation.HOPPER),  # H200
        ("2342", Generation.GRACE_HOPPER),  # GH200
        ("2901", Generation.BLACKWELL),  # B200
        ("2941", Generation.BLACKWELL),  # GB200
        ("2bb5", Generation.BLACKWELL),  # RTX PRO 6000
        ("2e12", Generation.BLACKWELL),  # GB10
        ("3182", Generation.BLACKWELL),  # B300
        ("0040", Generation.UNKNOWN),
        ("4242", Generation.UNKNOWN),
    ],
)
def test_the_device_id_tells_the_generation(device: str, generation: Generation):
    assert generation_of(gpu(device)) is generation


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("NVIDIA Corporation GB202GL [RTX PRO 6000 Blackwell]", Generation.BLACKWELL),
        ("NVIDIA Corporation GB20B [GB10]", Generation.BLACKWELL),
        ("NVIDIA Corporation TU102GL [Quadro RTX 6000]", Generation.TURING),
        ("NVIDIA Corporation AD102 [GeForce RTX 4090]", Generation.ADA),
        ("NVIDIA Corporation GV100GL", Generation.VOLTA),
        ("NVIDIA Corporation Device", Generation.UNKNOWN),
    ],
)
def test_the_chips_name_helps_where_the_id_is_not_known(name: str, generation: Generation):
    assert generation_of(gpu("4242", name)) is generation


def test_another_makers_card_is_not_known():
    assert generation_of(gpu("2330", vendor="1002")) is Generation.UNKNOWN


@pytest.mark.parametrize(
    ("generation", "modules", "oldest", "newest"),
    [
        (Generation.KEPLER, {"proprietary"}, None, 470),
        (Generation.MAXWELL, {"proprietary"}, None, 580),
        (Generation.VOLTA, {"proprietary"}, 384, 580),
        (Generation.TURING, {"open", "proprietary"}, 410, None),
        (Generation.AMPERE, {"open", "proprietary"}, 450, None),
        (Generation.HOPPER, {"open", "proprietary"}, 525, None),
        (Generation.GRACE_HOPPER, {"open"}, 535, None),
        (Generation.BLACKWELL, {"open"}, 570, None),
        (Generation.RUBIN, {"open"}, None, None),
        (Generation.UNKNOWN, {"open", "proprietary"}, None, None),
    ],
)
def test_modules_and_branches(generation: Generation, modules: set[str], oldest: int | None, newest: int | None):
    assert modules_for(generation) == modules
    assert (oldest_branch(generation), newest_branch(generation)) == (oldest, newest)
