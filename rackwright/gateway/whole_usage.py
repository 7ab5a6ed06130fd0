"""One usage of all gateways, from the days that each of them has added up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil

from rackwright.errors import HostError
from rackwright.roles.usage.program.day import COLUMNS, EDGES, Day, Latency, Row, added
from rackwright.roles.usage.program.periods import date_of

BY = ("day", "key", "owner", "model")
"""What rows can be grouped by."""


@dataclass(frozen=True)
class Sums:
    """Requests by outcome, their tokens, and the time that they took."""

    completed: int = 0
    cancelled: int = 0
    interrupted: int = 0
    rejected: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompts that engines took from their caches."""
    completion_tokens: int = 0
    estimated: int = 0
    """Requests whose tokens are estimates."""
    milliseconds: int = 0

    @property
    def requests(self) -> int:
        return self.completed + self.cancelled + self.interrupted + self.rejected

    @property
    def seconds(self) -> float:
        return self.milliseconds / 1000


@dataclass(frozen=True)
class Histogram:
    """How many requests took how long: `counts[n]`, below `EDGES[n]` milliseconds; the last, longer."""

    counts: tuple[int, ...]

    def at_most(self, share: float) -> int | None:
        """Return below how many milliseconds this share of the requests took; None: there are none, or the slowest of
        them took longer than the last edge."""
        wanted, seen = ceil(sum(self.counts) * share), 0
        for edge, count in zip(EDGES, self.counts, strict=False):
            seen += count
            if wanted and seen >= wanted:
                return edge
        return None


@dataclass(frozen=True)
class Group:
    """What is shown together."""

    names: tuple[str, ...]
    """A value for each thing that is grouped by."""
    sums: Sums
    first_byte: Histogram | None
    """None: requests are also grouped by key or owner, for which no times are kept."""
    total: Histogram | None


@dataclass(frozen=True)
class Lost:
    """Requests of a gateway that aren't counted."""

    gateway: str
    day: date
    requests: int
    """As far as they are known."""
    gaps: tuple[tuple[int, int], ...]
    """After when, and before when, lines are missing, in Unix milliseconds."""


@dataclass(frozen=True)
class Usage:
    """The usage of all gateways."""

    days: Mapping[str, Sequence[Day]]
    """By gateway."""
    unasked: Mapping[str, HostError]
    """Gateways whose usage is missing, and why."""

    @property
    def lost(self) -> tuple[Lost, ...]:
        return tuple(
            Lost(gateway, date_of(day.day), day.lost, tuple(day.gaps))
            for gateway, days in sorted(self.days.items())
            for day in days
            if day.lost or day.gaps
        )

    @property
    def total(self) -> Sums:
        """The sums of everything."""
        groups = self.by(())
        return groups[0].sums if groups else Sums()

    def by(self, what: Sequence[str]) -> tuple[Group, ...]:
        """Return the sums, grouped by some of BY, in their order."""
        sums: dict[tuple[str, ...], list[int]] = {}
        for day, row, counts in self._rows():
            names = tuple(_name(day, row, one) for one in what)
            sums[names] = added(sums.get(names, [0] * len(COLUMNS)), counts)
        timed = self._times(what) if {*what} <= {"day", "model"} else {}
        return tuple(_group(names, counts, timed.get(names)) for names, counts in sorted(sums.items()))

    def _rows(self) -> Iterator[tuple[Day, Row, list[int]]]:
        for days in self.days.values():
            for day in days:
                for row, counts in day.rows.items():
                    yield day, row, counts

    def _times(self, what: Sequence[str]) -> dict[tuple[str, ...], Latency]:
        found: dict[tuple[str, ...], Latency] = {}
        for day in (day for days in self.days.values() for day in days):
            for model, latency in day.latency.items():
                names = tuple(_name(day, Row("", "", model), one) for one in what)
                known = found.get(names, Latency())
                first, total = added(known.first_byte, latency.first_byte), added(known.total, latency.total)
                found[names] = Latency(first, total)
        return found


def _name(day: Day, row: Row, what: str) -> str:
    return date_of(day.day).isoformat() if what == "day" else str(getattr(row, what))


def _group(names: tuple[str, ...], counts: list[int], latency: Latency | None) -> Group:
    if latency is None:
        return Group(names, Sums(*counts), None, None)
    return Group(names, Sums(*counts), Histogram(tuple(latency.first_byte)), Histogram(tuple(latency.total)))
