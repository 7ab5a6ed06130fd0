"""Whose turn it is among the files that a change doesn't touch."""

from __future__ import annotations

from collections.abc import Collection
from statistics import median

from tests.heavy.need.record import LIMIT, Record

UNKNOWN_SECONDS = 300.0


def share(record: Record, number: int, names: Collection[str], resting: Collection[str]) -> list[str]:
    """Of these files, some of which are resting, return the resting ones whose turn it is in this landing.

    Those that passed longest ago come first, up to a fifth of all files' seconds: so none rests for five landings.
    What already passed in this landing is part of it: CI runs the share that the author ran.
    """
    seconds = _seconds(record, names)
    ages = {name: _age(record, number, name) for name in resting}
    left = sum(seconds.values()) / LIMIT
    turn = []
    for name in sorted(resting, key=lambda name: (ages[name] > 0, -ages[name], name)):
        if ages[name] <= 0 or ages[name] >= LIMIT or left > 0:
            turn.append(name)
            left -= seconds[name]
    return turn


def _age(record: Record, number: int, name: str) -> int:
    """How many landings ago it passed; one that never did is due."""
    passed = record.passed.get(name)
    return number - passed.landing if passed else LIMIT


def _seconds(record: Record, names: Collection[str]) -> dict[str, float]:
    known = {name: record.passed[name].seconds for name in names if name in record.passed}
    usual = median([found for found in known.values() if found is not None] or [UNKNOWN_SECONDS])
    return {name: usual if known.get(name) is None else known[name] for name in names}
