"""Memory of well-known cards, for use without the card at hand."""

from __future__ import annotations

import re

MIB = 2**20

_CARDS = {
    "B200": (180, 183_359),
    "GH200 96GB": (96, 97_871),
    "H200": (141, 143_771),
    "H100": (80, 81_559),
    "H100 80GB": (80, 81_559),
    "H100 NVL": (94, 95_830),
    "A100 80GB": (80, 81_920),
    "A100 40GB": (40, 40_960),
    "RTX PRO 6000": (96, 97_887),
    "RTX 6000 Ada": (48, 49_140),
    "RTX A6000": (48, 49_140),
    "L40S": (48, 46_068),
    "L40": (48, 46_068),
    "A40": (48, 46_068),
    "L4": (24, 23_034),
    "A10": (24, 23_028),
    "RTX 5090": (32, 32_607),
    "RTX 4090": (24, 24_564),
    "RTX 3090": (24, 24_576),
    "V100 32GB": (32, 32_768),
    "V100 16GB": (16, 16_384),
    "T4": (16, 15_360),
}
"""Name → the gigabytes it is sold with, and the total MiB that nvidia-smi shows (with ECC, if the card has it)."""

NAMES = tuple(_CARDS)


def memory_of(written: str) -> int | None:
    """Given a card's name from people or nvidia-smi (`H100 80GB`, `NVIDIA L4`), return its bytes; None if unknown.

    If a card exists with two sizes and the name doesn't contain the size, it is unknown.
    """
    words = set(_words(written))
    fitting = [name for name in _CARDS if set(_words(name)) <= words]
    best = max(fitting, key=lambda name: len(_words(name)), default=None)
    return _CARDS[best][1] * MIB if best else None


def memory_of_size(written: str) -> int | None:
    """Given the size of a card as it is sold (`24GB`), return the bytes of the card with the least memory of those
    sold with it; None if it isn't the size of a known card."""
    match = re.fullmatch(r"([0-9]{1,4}) ?gb?", written.strip().lower())
    return min((mib * MIB for sold, mib in _CARDS.values() if match and sold == int(match[1])), default=None)


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower())
