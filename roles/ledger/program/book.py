"""What the program keeps from one run to the next, ledger/1: what was accepted, the outcomes, and the daily sums."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from operator import itemgetter

from rackwright.operations.log_program import document
from rackwright.roles.ledger.program.rows import (
    DAYS_KEPT,
    GATEWAY,
    LAST_HOUR,
    MOST_ROWS,
    Day,
    Row,
    first_hour,
    is_row,
    moved,
)

FORMAT = "ledger/1"
_MOST_LOST = 16
Outcomes = list[int]
"""Completed, cancelled, interrupted, rejected."""


@dataclass
class Book:
    """A gateway's ledger. Times are Unix milliseconds."""

    gateway: str
    since: int
    """The first hour that it counts."""
    taken: int = 0
    """When HAProxy's tables were read last; 0: never."""
    cursor: str = ""
    """The journal's last line that was read; "": none."""
    last: str = ""
    """SHA-256 of that line."""
    read: int = 0
    """When the request of the last line that was counted ended."""
    lost: list[tuple[int, int]] = field(default_factory=list)
    """Where the journal had removed lines before they were read: after when, and before when."""
    dropped: int = 0
    """Lines and entries that weren't counted because no gateway writes such ones, or because there are too many."""
    accepted: dict[tuple[str, Row], dict[int, int]] = field(default_factory=dict)
    """Gateway and row → worker's process id → how many it had accepted; of other gateways, copies. The fleet's have
    those of `fallback` in them, as HAProxy counts them."""
    outcomes: dict[Row, Outcomes] = field(default_factory=dict)
    running: dict[Row, int] = field(default_factory=dict)
    residuals: dict[Row, tuple[int, int]] = field(default_factory=dict)
    """Row → the least and the most that is accepted and neither running nor in the log. (0, 0) is left out."""
    days: dict[Day, list[int]] = field(default_factory=dict)
    """Day → accepted, as in `accepted`, and the four outcomes; of other gateways, only what they had accepted."""

    @property
    def first(self) -> int:
        """The first hour that isn't part of daily sums."""
        return max(self.since, first_hour(self.taken))

    def count(self, gateway: str, row: Row, pid: int, accepted: int) -> None:
        """Note what a worker had accepted, unless more is known."""
        if row.hour < self.first:
            return
        workers = self.accepted.get((gateway, row))
        if workers is None:
            if len(self.accepted) >= MOST_ROWS:
                self.dropped += 1
                return
            workers = self.accepted[gateway, row] = {}
        workers[pid] = max(accepted, workers.get(pid, 0))

    def ended(self, row: Row, outcome: int) -> None:
        """Count a request's outcome."""
        if row.hour < self.first:
            if row.hour >= self.since:
                self._day(self.gateway, row)[1 + outcome] += 1
            return
        outcomes = self.outcomes.get(row)
        if outcomes is None:
            if len(self.outcomes) >= MOST_ROWS:
                self.dropped += 1
                return
            outcomes = self.outcomes[row] = [0, 0, 0, 0]
        outcomes[outcome] += 1

    def note_lost(self, after: int, before: int) -> None:
        self.lost = [*self.lost, (after, before)][-_MOST_LOST:]

    def fold(self, now: int) -> None:
        """Make daily sums of the hours that have ended long ago, and forget days that are too old."""
        # Not the latest time: a clock that was far ahead for a moment would end the ledger.
        self.taken = now
        for (gateway, row), workers in list(self.accepted.items()):
            if row.hour < self.first:
                self._day(gateway, row)[0] += sum(workers.values())
                del self.accepted[gateway, row]
        for row, outcomes in list(self.outcomes.items()):
            if row.hour < self.first:
                sums = self._day(self.gateway, row)
                sums[1:] = [one + more for one, more in zip(sums[1:], outcomes, strict=True)]
                del self.outcomes[row]
        self.running = {row: number for row, number in self.running.items() if row.hour >= self.first}
        self.residuals = {row: found for row, found in self.residuals.items() if row.hour >= self.first}
        oldest = self.taken // 86_400_000 - DAYS_KEPT
        kept = sorted((day for day in self.days if day.day > oldest), key=itemgetter(1))[-MOST_ROWS:]
        self.days = {day: self.days[day] for day in kept}

    def own(self, row: Row) -> int:
        """Return how many of this row this gateway has accepted, each request in one row only."""
        other = moved(row)
        return self._counted(row) - (self._counted(other) if other else 0)

    def _counted(self, row: Row) -> int:
        return sum(self.accepted.get((self.gateway, row), {}).values())

    def rows(self) -> set[Row]:
        """Return every row of this gateway that is kept as an hour."""
        return {row for gateway, row in self.accepted if gateway == self.gateway} | self.outcomes.keys()

    def text(self) -> str:
        """Return the document."""
        return json.dumps(
            {
                "format": FORMAT,
                "gateway": self.gateway,
                "since": self.since,
                "taken": self.taken,
                "cursor": self.cursor,
                "last": self.last,
                "read": self.read,
                "lost": self.lost,
                "dropped": self.dropped,
                "accepted": [[of, *row, sorted(count.items())] for (of, row), count in sorted(self.accepted.items())],
                "outcomes": [[*row, *counts] for row, counts in sorted(self.outcomes.items())],
                "running": [[*row, number] for row, number in sorted(self.running.items())],
                "residuals": [[*row, *bounds] for row, bounds in sorted(self.residuals.items())],
                "days": [[*day, *sums] for day, sums in sorted(self.days.items())],
            },
            separators=(",", ":"),
        )

    def _day(self, gateway: str, row: Row) -> list[int]:
        return self.days.setdefault(Day(gateway, row.hour // 24, row.key, row.side), [0, 0, 0, 0, 0])


def parse_book(text: str) -> Book:
    """Parse a ledger's document. Raise ValueError if it isn't one, or is of a newer rackwright."""
    try:
        said = json.loads(text)
        if said["format"] != FORMAT:
            raise ValueError(f"it is {json.dumps(said['format'])[:60]}, and this rackwright reads {FORMAT}")
        return _book(said)
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"not a document of {FORMAT}") from None


def _book(said: dict[str, object]) -> Book:
    found = Book(_gateway(said["gateway"]), document.number(said["since"]))
    found.taken, found.read, found.dropped = (
        _time(said["taken"]),
        _time(said["read"]),
        document.number(said["dropped"]),
    )
    found.cursor, found.last = document.text(said["cursor"]), document.text(said["last"])
    found.lost = [(_time(after), _time(before)) for after, before in document.rows(said["lost"])]
    for gateway, hour, key, side, workers in document.rows(said["accepted"]):
        counts = {document.number(pid): document.number(count) for pid, count in document.rows(workers)}
        found.accepted[_gateway(gateway), _row(hour, key, side)] = counts
    for hour, key, side, *ended in document.rows(said["outcomes"]):
        found.outcomes[_row(hour, key, side)] = document.numbers(ended, 4)
    for hour, key, side, number in document.rows(said["running"]):
        found.running[_row(hour, key, side)] = document.number(number)
    for hour, key, side, *bounds in document.rows(said["residuals"]):
        low, high = bounds
        found.residuals[_row(hour, key, side)] = (document.whole(low), document.whole(high))
    for gateway, day, key, side, *sums in document.rows(said["days"]):
        begins = _row(document.number(day) * 24, key, side)
        found.days[Day(_gateway(gateway), begins.hour // 24, begins.key, begins.side)] = document.numbers(sums, 5)
    return found


def _row(hour: object, key: object, side: object) -> Row:
    if not is_row(hour, key, side):
        raise ValueError(f"not an hour, key and side: {str((hour, key, side))[:100]}")
    return Row(hour, key, side)  # type: ignore[arg-type]


def _gateway(value: object) -> str:
    if not isinstance(value, str) or not GATEWAY.fullmatch(value):
        raise ValueError(f"not a gateway: {str(value)[:100]}")
    return value


def _time(value: object) -> int:
    if not 0 <= document.whole(value) < LAST_HOUR * 3_600_000:
        raise ValueError(f"not a time: {value}")
    return document.whole(value)
