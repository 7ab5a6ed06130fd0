"""The journal: what a rollout is about to do, written before, and its outcome, written after."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from rackwright.state.formats import Moment, parse
from rackwright.values.base import Stored
from rackwright.values.text import Line

PROMOTE = "promote"
"""The phase in which the new lock replaces the old one; from then on the rollout can't be aborted."""


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
    """Id of the run that opened the rollout."""
    run: str
    operator: str
    event: Event
    subject: str = ""
    """A replica (HOST/MODEL@N) or a host."""
    phase: str = ""
    facts: tuple[Line, ...] = ()
    """What a procedure knew then and reads again, in forms of its own."""
    detail: str = ""
    """The last key of a line: what trims the journal knows by it whether the line is complete."""

    def line(self) -> str:
        return self.model_dump_json() + "\n"


def parse_journal(text: str, where: str) -> tuple[Entry, ...]:
    """Given the journal's text, return its entries. Raise RackwrightError if one has a newer format.

    An incomplete line, written during a crash, is left out: its writer got no confirmation, so it didn't act on it.
    """
    return tuple(parse(Entry, "journal", line, f"{where}: journal") for line in whole_lines(text))


def whole_lines(text: str) -> tuple[str, ...]:
    """Return the complete lines of a journal's text, without their ends."""
    # Not splitlines(): it also splits at characters that JSON strings may contain.
    return tuple(line for line in text.split("\n") if _whole(line))


def open_rollout(entries: Iterable[Entry]) -> Entry | None:
    """Return the entry that opened the rollout that is still open, or None."""
    opened: Entry | None = None
    for entry in entries:
        if entry.event is Event.OPENED:
            opened = entry
        elif entry.event is Event.CLOSED and opened and entry.rollout == opened.rollout:
            opened = None
    return opened


def promoting(entries: Iterable[Entry], rollout: str) -> bool:
    """Return whether this rollout had started to replace the old lock with the new one."""
    return any(entry.rollout == rollout and entry.phase == PROMOTE for entry in entries)


def seconds_away(entries: Iterable[Entry], model: str) -> int | None:
    """Return how many seconds a replica of the model was unavailable in its last change; None: there was none yet.

    This is the time from its act until it was proven and got traffic again, even if only a canary's share.
    """
    acted: dict[str, datetime] = {}
    away: int | None = None
    for entry in entries:
        if f"/{model}@" not in entry.subject:
            continue
        if entry.phase == "act":
            acted[entry.subject] = entry.time
        elif entry.phase == "drain":
            # An earlier act, if any, was never completed.
            acted.pop(entry.subject, None)
        elif entry.phase in ("undrain", "canary") and entry.subject in acted:
            away = round((entry.time - acted.pop(entry.subject)).total_seconds())
    return away


def _whole(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
