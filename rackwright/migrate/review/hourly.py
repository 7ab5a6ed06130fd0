"""Clients' requests of each hour, as the gateways' access logs have them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

HOUR = 3600
"""Seconds."""


@dataclass(frozen=True)
class Hour:
    """The requests of one hour for one name, on one side, at one gateway."""

    number: int
    """Hours since 1970, UTC."""
    name: str
    """The provider's model."""
    side: str
    requests: int
    answered: int
    """With a status below 400."""
    counted: int
    """The answered ones whose tokens were counted; the next two are theirs."""
    prompt: int
    completion: int


@dataclass(frozen=True)
class Hours:
    """All hours of all gateways."""

    begins: float
    """From when on all logs are whole, Unix seconds."""
    ends: float
    rows: tuple[Hour, ...]

    def whole(self, since: float) -> range:
        """Return the numbers of the hours that begin at this time or later and are over."""
        first = -int(-max(since, self.begins) // HOUR)
        return range(first, max(first, int(self.ends // HOUR)))

    def within(self, numbers: range) -> tuple[Hour, ...]:
        return tuple(row for row in self.rows if row.number in numbers)


def in_words(hours: range) -> str:
    """Return how many hours there are, like "1 hour"."""
    return f"{len(hours):,} hour{'' if len(hours) == 1 else 's'}"


def busiest(rows: Iterable[Hour], names: Collection[str]) -> tuple[int, int]:
    """Return the hour in which the fleet had most requests for these names, and how many; (0, 0): it had none."""
    found: dict[int, int] = {}
    for row in rows:
        if row.side == "fleet" and row.name in names:
            found[row.number] = found.get(row.number, 0) + row.requests
    return max(found.items(), key=lambda item: (item[1], -item[0]), default=(0, 0))
