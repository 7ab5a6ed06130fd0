"""The gates of the calendar: a window is open and no freeze is near, with time for the change and the way back."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.zone import zone_of
from rackwright.lifecycle.patch.gate_state import Gate, GateState
from rackwright.report.words import duration
from rackwright.values.windows import HORIZON, next_opening, open_until

_TWO_WEEKS = timedelta(days=14)
"""A window that isn't long enough within this time is so only in the night in which an hour is repeated."""


def window_gate(fleet: Fleet, host: str, now: datetime, seconds: float) -> Gate:
    """Return whether a window is open for long enough (seconds)."""
    windows, zone = fleet.file.patch.windows if fleet.file.patch else (), zone_of(fleet)
    if not windows:
        return Gate("window", GateState.OPEN, "at any time")
    names = ", ".join(map(str, windows))
    until = open_until(now, windows, (), zone)
    if until is None:
        return _closed("window", fleet, now, seconds, f"it is {_shown(now, zone)}, outside {names}")
    left = (until - now).total_seconds()
    if left < seconds:
        return _closed(
            "window", fleet, now, seconds, f"it closes at {_shown(until, zone)}, {_left(left, seconds, host)}"
        )
    return Gate("window", GateState.OPEN, f"open until {_shown(until, zone)}, in {duration(left)}")


def freeze_gate(fleet: Fleet, host: str, now: datetime, seconds: float) -> Gate:
    """Return whether no freeze is in force, nor begins within these seconds."""
    freezes, zone = fleet.file.patch.freezes if fleet.file.patch else (), zone_of(fleet)
    until = open_until(now, (), freezes, zone)
    if until is None:
        days = next(str(freeze) for freeze in freezes if freeze.has(now.astimezone(zone).date()))
        return _closed("freeze", fleet, now, seconds, f"patch.except has {days}")
    left = (until - now).total_seconds()
    if left < seconds:
        return _closed(
            "freeze", fleet, now, seconds, f"one begins at {_shown(until, zone)}, {_left(left, seconds, host)}"
        )
    return Gate("freeze", GateState.OPEN, f"none until {_shown(until, zone)}" if freezes else "none")


def _closed(name: str, fleet: Fleet, now: datetime, seconds: float, found: str) -> Gate:
    patch, zone, needed = fleet.file.patch, zone_of(fleet), timedelta(seconds=seconds)
    windows, freezes = (patch.windows, patch.freezes) if patch else ((), ())
    weekly = next_opening(now, windows, (), zone, needed)
    if weekly is None or weekly - now > _TWO_WEEKS:
        should = f"no window is {duration(seconds)} long"
        return Gate(name, GateState.CLOSED, found, should, "make a window longer: patch.window in the fleet file")
    opening = next_opening(now, windows, freezes, zone, needed)
    if opening is None:
        should = f"no window opens within {HORIZON.days} days"
        return Gate(name, GateState.CLOSED, found, should, "make the freeze shorter: patch.except in the fleet file")
    return Gate(name, GateState.CLOSED, found, next=f"run it again from {_shown(opening, zone)} on")


def _left(left: float, seconds: float, host: str) -> str:
    return f"in {duration(left)}; {host} needs {duration(seconds)}, the way back included"


def _shown(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
