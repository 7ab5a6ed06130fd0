"""One look: HAProxy's tables, then the log, then the ledger's document."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rackwright.operations.log_program import document
from rackwright.operations.log_program.journal import Journal, Place
from rackwright.roles.ledger.program.book import Book, parse_book
from rackwright.roles.ledger.program.lines import ACCEPTED, parse_line
from rackwright.roles.ledger.program.reckon import Bounds, add_lines, add_tables, bounds, narrowed
from rackwright.roles.ledger.program.rows import HOURS_KEPT
from rackwright.roles.ledger.program.tables import Tables, parse_tables

TRIES = 5
_LARGEST_TABLES = 256 * 2**20


@dataclass
class Sources:
    """Where the ledger's figures come from."""

    tables: Callable[[], Tables]
    journal: Journal
    pause: Callable[[], None] = lambda: time.sleep(0.2)


def run(gateway: str, tables: str, tag: str, state: str) -> int:
    """Bring the gateway's document up to date: `tables` is the script that asks HAProxy, `tag` the log's.

    Return 0; if that isn't possible, say why, change nothing, and return 1.
    """
    os.umask(0o077)
    try:
        sources = Sources(lambda: ask_tables(tables), Journal(tag))
        path = Path(state)
        book = load(path, gateway, int(time.time() * 1000))
        look(book, sources)
        document.save(path, book.text())
        return 0
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"the ledger is not up to date: {error}", file=sys.stderr)
        return 1


def load(path: Path, gateway: str, now: int) -> Book:
    """Return the gateway's ledger; a new one if there is none. Raise ValueError if it can't be read."""
    text = document.load(path)
    if text is None:
        return Book(gateway, now // 3_600_000 - HOURS_KEPT + 1)
    try:
        book = parse_book(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if book.gateway != gateway:
        raise ValueError(f"{path} is of gateway {book.gateway}, and this is {gateway}")
    return book


def look(book: Book, sources: Sources) -> None:
    """Bring the book up to date. What is in doubt is looked at again, a few times."""
    known = dict(book.residuals)
    found: Bounds = {}
    for number in range(TRIES):
        if number:
            sources.pause()
        found = narrowed(found, _look_once(book, sources))
        if not any(one not in ((0, 0), known.get(row)) for row, one in found.items()):
            break
    book.residuals = {row: one for row, one in found.items() if one != (0, 0)}


def _look_once(book: Book, sources: Sources) -> Bounds:
    tables = sources.tables()
    book.fold(tables.ended)
    add_tables(book, tables)
    sources.journal.sync()
    place = Place(book.cursor, book.last)
    lost: list[int] = []
    lines = sources.journal.lines(place, book.since, lambda: lost.append(book.read))
    meanwhile = add_lines(book, _noting_lost(book, lines, lost), tables)
    if lost:
        book.note_lost(lost[0], tables.ended)
    book.cursor, book.last = place.cursor, place.last
    return bounds(book, meanwhile)


def _noting_lost(book: Book, lines: Iterable[bytes], lost: list[int]) -> Iterator[bytes]:
    """Yield the lines. If earlier ones are lost, note it when the first one tells until when."""
    for line in lines:
        if lost and ACCEPTED in line and (parsed := parse_line(line)):
            book.note_lost(lost.pop(), parsed[2])
        yield line


def ask_tables(script: str) -> Tables:
    """Return what HAProxy's workers have counted. Raise OSError or ValueError if they don't say it."""
    done = subprocess.run([script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=120)
    if done.returncode:
        raise OSError("HAProxy can't be asked")
    if len(done.stdout) > _LARGEST_TABLES:
        raise ValueError("HAProxy's tables are too large")
    return parse_tables(done.stdout.decode("ascii", "replace"))
