"""Memory of well-known cards, for use without the card at hand."""

from __future__ import annotations

import re

MIB = 2**20

_CARDS = {
    "B200": 183_359,
    "GH200 96GB": 97_871,
    "H200": 143_771,
    "H100": 81_559,
    "H100 80GB": 81_559,
    "H100 NVL": 95_830,
    "A100 80GB": 81_920,
    "A100 40GB": 40_960,
    "RTX PRO 6000": 97_887,
    "RTX 6000 Ada": 49_140,
    "RTX A6000": 49_140,
    "L40S": 46_068,
    "L40": 46_068,
    "A40": 46_068,
    "L4": 23_034,
    "A10": 23_028,
    "RTX 5090": 32_607,
    "RTX 4090": 24_564,
    "RTX 3090": 24_576,
    "V100 32GB": 32_768,
    "V100 16GB": 16_384,
    "T4": 15_360,
}
"""Total MiB that nvidia-smi shows, with error correction if the card has it."""

NAMES = tuple(_CARDS)


def memory_of(written: str) -> int | None:
    """Given a card's name from people or nvidia-smi (`H100 80GB`, `NVIDIA L4`), return its bytes; None if unknown.

    If a card exists with two sizes and the name doesn't contain the size, it is unknown.
    """
    words = set(_words(written))
    fitting = [name for name in _CARDS if set(_words(name)) <= words]
    best = max(fitting, key=lambda name: len(_words(name)), default=None)
    return _CARDS[best] * MIB if best else None


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower())
