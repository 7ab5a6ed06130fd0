"""One ledger of all gateways, from the documents that each of them keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from rackwright.errors import HostError
from rackwright.roles.ledger.program.book import Book
from rackwright.roles.ledger.program.rows import Day, Row, moved

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Sums:
    """What was accepted, and what became of it."""

    accepted: int = 0
    completed: int = 0
    cancelled: int = 0
    interrupted: int = 0
    rejected: int = 0
    running: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Residual:
    """What was accepted, isn't running and isn't in the log; if below 0, what is in the log and wasn't accepted."""

    low: int
    high: int
    """Greater than `low` while requests end too often to tell."""

    @property
    def found(self) -> bool:
        """Whether it can't be 0."""
        return self.low > 0 or self.high < 0

    @property
    def settled(self) -> bool:
        return self.low == self.high


@dataclass(frozen=True)
class Line:
    """One key, side and hour at one gateway; or one day, if it is long ago."""

    gateway: str
    begins: datetime
    lasts: timedelta
    key: str
    side: str
    sums: Sums
    residual: Residual | None
    """None: not known, because the gateway can't be asked; then only `accepted` is known, from copies."""


@dataclass(frozen=True)
class Lost:
    """Lines of a gateway's log were removed before they were counted."""

    gateway: str
    after: datetime
    before: datetime


@dataclass(frozen=True)
class Ledger:
    lines: tuple[Line, ...]
    lost: tuple[Lost, ...] = ()
    unasked: Mapping[str, HostError] = field(default_factory=dict)
    """Gateways that couldn't be asked, and why."""

    def since(self, when: datetime) -> Ledger:
        """Return the ledger from the hour, or day, of this time on."""
        lines = tuple(line for line in self.lines if line.begins + line.lasts > when)
        return Ledger(lines, tuple(one for one in self.lost if one.before > when), self.unasked)

    @property
    def residuals(self) -> tuple[Line, ...]:
        """The lines whose residual can't be 0."""
        return tuple(line for line in self.lines if line.residual and line.residual.found)

    @property
    def unsettled(self) -> tuple[Line, ...]:
        """The lines whose residual may be 0, or isn't known."""
        open_ones = (line for line in self.lines if line.residual is None or not line.residual.settled)
        return tuple(line for line in open_ones if line.residual is None or not line.residual.found)

    def residual(self, key: str, side: str) -> Residual | None:
        """Return the residual over all gateways and hours; None if one of them isn't known."""
        found = [line.residual for line in self.lines if (line.key, line.side) == (key, side)]
        known = [one for one in found if one]
        if len(known) < len(found):
            return None
        return Residual(sum(one.low for one in known), sum(one.high for one in known))

    @property
    def totals(self) -> dict[tuple[str, str], Sums]:
        """Key and side → the sums over all gateways and hours."""
        found: dict[tuple[str, str], Sums] = {}
        for line in self.lines:
            found[line.key, line.side] = found.get((line.key, line.side), Sums()) + line.sums
        return dict(sorted(found.items()))


def whole(own: Mapping[str, Book | HostError], earlier: Iterable[Book]) -> Ledger:
    """Merge the documents: each gateway's own, and earlier ones with copies of what other gateways had accepted.

    Whatever an earlier document has as a copy, the gateway itself must have by now, or it has lost it.
    """
    books = {name: book for name, book in own.items() if isinstance(book, Book)}
    before = tuple(earlier)
    first = max((book.first for book in (*books.values(), *before)), default=0)
    lines = [line for name in own for line in _lines(name, books.get(name), before, first)]
    lost = [Lost(name, _time(after), _time(end)) for name, book in sorted(books.items()) for after, end in book.lost]
    unasked = {name: book for name, book in own.items() if isinstance(book, HostError)}
    order = sorted(lines, key=lambda line: (line.begins, line.gateway, line.key, line.side))
    return Ledger(tuple(order), tuple(lost), unasked)


def _lines(name: str, own: Book | None, earlier: tuple[Book, ...], first: int) -> Iterator[Line]:
    books = (*((own,) if own else ()), *earlier)
    for row in {row for book in books for of, row in book.accepted if of == name} | (own.rows() if own else set()):
        if row.hour >= first:
            yield _of_hour(name, row, own, books)
    days = {day for book in books for day in _days(name, book, first)}
    for day in days:
        yield _of_day(day, own, books, first)


def _of_hour(name: str, row: Row, own: Book | None, books: tuple[Book, ...]) -> Line:
    other = moved(row)
    accepted = _accepted(name, row, books) - (_accepted(name, other, books) if other else 0)
    begins = _time(row.hour * 3_600_000)
    if own is None:
        return Line(name, begins, _HOUR, row.key, row.side, Sums(accepted), None)
    more = accepted - own.own(row)
    low, high = own.residuals.get(row, (0, 0))
    sums = _sums(accepted, own.outcomes.get(row), own.running.get(row, 0))
    return Line(name, begins, _HOUR, row.key, row.side, sums, Residual(low + more, high + more))


def _accepted(name: str, row: Row, books: tuple[Book, ...]) -> int:
    """Return how many HAProxy has counted, by all of these books."""
    workers: dict[int, int] = {}
    for book in books:
        for pid, count in book.accepted.get((name, row), {}).items():
            workers[pid] = max(count, workers.get(pid, 0))
    return sum(workers.values())


def _of_day(day: Day, own: Book | None, books: tuple[Book, ...], first: int) -> Line:
    other = moved(day)
    accepted = _on_day(day, books, first) - (_on_day(other, books, first) if other else 0)
    begins = _time(day.day * 86_400_000)
    if own is None:
        return Line(day.gateway, begins, _DAY, day.key, day.side, Sums(accepted), None)
    mine = _days(day.gateway, own, first).get(day, Sums())
    sums = Sums(accepted, mine.completed, mine.cancelled, mine.interrupted, mine.rejected, mine.running)
    left = accepted - mine.completed - mine.cancelled - mine.interrupted - mine.rejected - mine.running
    return Line(day.gateway, begins, _DAY, day.key, day.side, sums, Residual(left, left))


def _on_day(day: Day, books: tuple[Book, ...], first: int) -> int:
    return max(_days(day.gateway, book, first).get(day, Sums()).accepted for book in books)


def _days(name: str, book: Book, first: int) -> dict[Day, Sums]:
    """Return the book's sums of the gateway's days before the first hour that all books have as hours."""
    found = {day: Sums(*sums) for day, sums in book.days.items() if day.gateway == name}
    for of, row in {(of, row) for of, row in book.accepted} | {(book.gateway, row) for row in book.outcomes}:
        if of == name and row.hour < first:
            day = Day(name, row.hour // 24, row.key, row.side)
            accepted = sum(book.accepted.get((name, row), {}).values())
            mine = book.gateway == name
            outcomes = book.outcomes.get(row) if mine else None
            running = book.running.get(row, 0) if mine else 0
            found[day] = found.get(day, Sums()) + _sums(accepted, outcomes, running)
    return found


def _sums(accepted: int, outcomes: Sequence[int] | None, running: int) -> Sums:
    completed, cancelled, interrupted, rejected = outcomes or (0, 0, 0, 0)
    return Sums(accepted, completed, cancelled, interrupted, rejected, running)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
