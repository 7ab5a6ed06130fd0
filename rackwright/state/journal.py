"""The journal: what a rollout means to do, written before, and what came of it, written after."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from rackwright.state.formats import Moment, parse
from rackwright.values.base import Stored

PROMOTE = "promote"
"""The phase in which what every replica runs becomes the lock: from then on there is no way back."""


class Event(StrEnum):
    OPENED = "opened"
    INTENT = "intent"
    OUTCOME = "outcome"
    CLOSED = "closed"


class Entry(Stored):
    """One line of the journal."""

    format: str = "journal/1"
    time: Moment
    rollout: str
    """Id of the run that opened it."""
    run: str
    operator: str
    event: Event
    subject: str = ""
    """A replica (HOST/MODEL@N) or a host."""
    phase: str = ""
    detail: str = ""

    def line(self) -> str:
        return self.model_dump_json() + "\n"


def parse_journal(text: str, where: str) -> tuple[Entry, ...]:
    """Given the journal's text, return its entries. Raise RackwrightError if one is of a newer format.

    A line that a crash tore is left out: its writer never heard that it was written, so it never acted on it.
    """
    # Only a newline ends a line: splitlines() knows more ends, which stand within a JSON string as they are.
    return tuple(parse(Entry, "journal", line, f"{where}: journal") for line in text.split("\n") if _whole(line))


def open_rollout(entries: Iterable[Entry]) -> Entry | None:
    """Return the entry that opened a rollout which none has closed, or None."""
    opened: Entry | None = None
    for entry in entries:
        if entry.event is Event.OPENED:
            opened = entry
        elif entry.event is Event.CLOSED and opened and entry.rollout == opened.rollout:
            opened = None
    return opened


def promoting(entries: Iterable[Entry], rollout: str) -> bool:
    """Return whether the new lock of this rollout had begun to take the old one's place."""
    return any(entry.rollout == rollout and entry.phase == PROMOTE for entry in entries)


def seconds_away(entries: Iterable[Entry], model: str) -> int | None:
    """Return how long a replica of the model was away when one was changed last, in seconds; None: never yet.

    From its act until it was proven: that is when gateways send to it again, if only a part of the traffic.
    """
    acted: dict[str, datetime] = {}
    away: int | None = None
    for entry in entries:
        if f"/{model}@" not in entry.subject:
            continue
        if entry.phase == "act":
            acted[entry.subject] = entry.time
        elif entry.phase == "drain":
            # Its act before, if any, never came to an end.
            acted.pop(entry.subject, None)
        elif entry.phase in ("undrain", "canary") and entry.subject in acted:
            away = round((entry.time - acted.pop(entry.subject)).total_seconds())
    return away


def _whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
