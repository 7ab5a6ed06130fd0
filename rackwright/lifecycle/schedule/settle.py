"""Record and report what isn't carried out. What has reached no receiver is reported again by the next run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime

from rackwright.errors import RackwrightError
from rackwright.fleet.times.occasions import Occasion, Schedule
from rackwright.lifecycle.schedule.claiming import Ended, Place
from rackwright.lifecycle.schedule.due import STALE, Due, Known, What
from rackwright.lifecycle.schedule.missed import report_lost, report_missed
from rackwright.state.formats import utc_now
from rackwright.state.schedule import State, Try, update

_STATES: dict[What, State] = {"missed": "missed", "skipped": "skipped", "lost": "failed"}


def settled(place: Place, schedule: Schedule, known: Known, found: Sequence[Due]) -> Iterator[Ended]:
    """Record what is due but isn't carried out, and report it; yield what this machine recorded.

    The report comes before anything else that can fail: nothing that is recorded is found once more.
    """
    unheard = list(_unheard(known, utc_now()))
    recorded = list[tuple[Due, Try]]()
    try:
        for one in found:
            state = _STATES.get(one.what)
            if state and (claimed := place.claimed(schedule, one, state)):
                recorded.append((one, claimed))
    finally:
        _report(place, schedule, [*unheard, *(claimed for _, claimed in recorded if not claimed.reported)])
    for one, claimed in recorded:
        _break_left(place, one)
        yield Ended(schedule.name, claimed.start, claimed.state, claimed.summary)


def _unheard(known: Known, now: datetime) -> Iterator[Try]:
    """Yield what was recorded, but not reported, by a machine that isn't about to do so."""
    for one in known.tries:
        if not one.reported and now - one.claimed > STALE:
            yield one


def _report(place: Place, schedule: Schedule, unheard: Sequence[Try]) -> None:
    missed = [one for one in unheard if one.state == "missed"]
    occasions = [Occasion(one.start, one.end) for one in missed]
    if missed and report_missed(place.fleet, schedule, occasions, place.console):
        _note(place, missed)
    for one in unheard:
        if one.state == "failed" and report_lost(place.fleet, schedule, one.summary, place.console):
            _note(place, [one])


def _note(place: Place, reported: Sequence[Try]) -> None:
    # If this can't be stored, it is reported twice.
    with suppress(RackwrightError):
        for one in reported:
            update(place.store, one.model_copy(update={"reported": True}))


def _break_left(place: Place, one: Due) -> None:
    try:
        place.break_left(one.breaks)
    except RackwrightError as error:
        place.console.say(f"the lease of before the reboot isn't broken: {error.problems[0].what}")
