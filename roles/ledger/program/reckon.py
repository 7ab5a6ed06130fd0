"""The residual: what was accepted, isn't running and isn't in the log.

HAProxy's tables and its log can't be read at the same instant. What ended while the tables were read may be in them
as running or not, so a residual has bounds; they are equal if nothing ended meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rackwright.roles.ledger.program.book import Book
from rackwright.roles.ledger.program.lines import ACCEPTED, parse_line
from rackwright.roles.ledger.program.rows import Row
from rackwright.roles.ledger.program.tables import Tables

MARGIN = 5
"""Milliseconds by which a request's end may differ between its worker, its line and the clock of this program."""
Bounds = dict[Row, tuple[int, int]]


@dataclass
class Meanwhile:
    """Outcomes that were read and may not have been known to the tables."""

    after: dict[Row, int] = field(default_factory=dict)
    """Ended after the tables were read."""
    during: dict[Row, int] = field(default_factory=dict)
    """Ended while they were read."""


def add_lines(book: Book, lines: Iterable[bytes], tables: Tables) -> Meanwhile:
    """Count the outcomes in these lines of the log, in memory that doesn't grow with their number."""
    meanwhile = Meanwhile()
    began, ended = tables.began - MARGIN, tables.ended + MARGIN
    for line in lines:
        if ACCEPTED not in line:
            continue
        parsed = parse_line(line)
        if parsed is None:
            book.dropped += 1
            continue
        row, outcome, end = parsed
        book.ended(row, outcome)
        book.read = max(book.read, end)
        if end >= began:
            kind = meanwhile.after if end > ended else meanwhile.during
            kind[row] = kind.get(row, 0) + 1
    return meanwhile


def add_tables(book: Book, tables: Tables) -> None:
    """Note what the tables have."""
    for (gateway, row), workers in tables.accepted.items():
        for pid, accepted in workers.items():
            book.count(gateway, row, pid, accepted)
    book.running = {row: number for row, number in tables.running.items() if number and row.hour >= book.first}
    book.dropped += tables.dropped


def bounds(book: Book, meanwhile: Meanwhile) -> Bounds:
    """Return each row's least and greatest residual, after `add_tables` and `add_lines`."""
    found = {}
    for row in book.rows():
        outcomes = sum(book.outcomes.get(row, ())) - meanwhile.after.get(row, 0)
        low = book.own(row) - book.running.get(row, 0) - outcomes
        found[row] = (low, low + meanwhile.during.get(row, 0))
    return found


def narrowed(earlier: Bounds, later: Bounds) -> Bounds:
    """Return the bounds by both readings. If they can't both be right, the later ones are."""
    found = {}
    for row, (low, high) in later.items():
        before = earlier.get(row, (low, high))
        both = max(low, before[0]), min(high, before[1])
        found[row] = both if both[0] <= both[1] else (low, high)
    return found
