"""Which of the files that a change doesn't touch are next."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from statistics import median

from tests.heavy.need.record import LIMIT, Record

UNKNOWN_SECONDS = 300.0


def share(record: Record, number: int, names: Collection[str], resting: Collection[str]) -> list[str]:
    """Return those of the resting files that run in this landing; `names` are all files.

    The files that passed longest ago come first, up to a fifth of the time of all files, so no file rests for five
    landings. Among equals, the last landed commit decides the order, so that nobody chooses what CI repeats.
    """
    seconds = _seconds(record, names)
    ages = {name: _age(record, number, name) for name in resting}
    left = sum(seconds.values()) / LIMIT
    turn = []
    for name in sorted(resting, key=lambda name: (-ages[name], _lot(record, name))):
        if ages[name] >= LIMIT or left > 0:
            turn.append(name)
            left -= seconds[name]
    return turn


def _lot(record: Record, name: str) -> str:
    return sha256(f"{record.base} {name}".encode()).hexdigest()


def _age(record: Record, number: int, name: str) -> int:
    """Return how many landings ago it passed. A file that never passed is due."""
    passed = record.passed.get(name)
    return number - passed.landing if passed else LIMIT


def _seconds(record: Record, names: Collection[str]) -> dict[str, float]:
    known = {name: record.passed[name].seconds for name in names if name in record.passed}
    usual = median([found for found in known.values() if found is not None] or [UNKNOWN_SECONDS])
    return {name: usual if known.get(name) is None else known[name] for name in names}
