from __future__ import annotations

import pytest

from rackwright.hardware.cards import NAMES, memory_of, memory_of_size


@pytest.mark.parametrize(
    ("written", "mebibytes"),
    [
        ("H100 80GB", 81_559),
        ("h100-80gb", 81_559),
        ("H100", 81_559),
        ("NVIDIA H100 80GB HBM3", 81_559),
        ("NVIDIA H100 NVL", 95_830),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97_887),
        ("NVIDIA RTX 6000 Ada Generation", 49_140),
        ("NVIDIA A100-SXM4-80GB", 81_920),
        ("A100 80GB", 81_920),
        ("A100", None),
        ("L4", 23_034),
        ("L40S", 46_068),
        ("NVIDIA GeForce RTX 4090", 24_564),
        ("TPU", None),
        ("", None),
    ],
)
def test_cards_as_people_and_nvidia_smi_write_them(written: str, mebibytes: int | None):
    assert memory_of(written) == (mebibytes and mebibytes * 2**20)


def test_every_card_is_known_by_its_own_name():
    assert all(memory_of(name) for name in NAMES)


@pytest.mark.parametrize(
    ("written", "mebibytes"),
    [("24GB", 23_028), ("24 gb", 23_028), ("80G", 81_559), ("141GB", 143_771), ("24GiB", None), ("25GB", None)],
)
def test_a_size_as_cards_are_sold_is_the_least_memory_of_those_cards(written: str, mebibytes: int | None) -> None:
    assert memory_of_size(written) == (mebibytes and mebibytes * 2**20)
