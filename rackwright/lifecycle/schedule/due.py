"""What is due now, decided from the schedule and what the control hosts know of it. Pure.

Timers only wake the tool: a timer that elapses late, twice or never can't start anything twice or at another time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from rackwright.fleet.times.occasions import Occasion, Schedule
from rackwright.state.formats import stamp
from rackwright.state.lease import Lease
from rackwright.state.schedule import FirstSeen, Pause, Process, Try
from rackwright.values.windows import HORIZON

MOST_TRIES = 5
"""How often an occasion is tried, if the machine that works on it is lost again and again."""
STALE = timedelta(minutes=3)
"""A try whose machine has said nothing for this long has lost it."""
AHEAD = timedelta(minutes=3)
"""A record from further in the future is of a machine whose clock was wrong."""
MOST_MISSED = 20
"""How many missed occasions are recorded, the last ones: the tool may have been off for a year."""
_LATEST = HORIZON - timedelta(days=14)
"""How long ago what is recorded as missed may be. Occasions are looked for from there on, and only so far ahead."""
_SECOND = timedelta(seconds=1)

What = Literal["start", "resume", "missed", "skipped", "lost"]


@dataclass(frozen=True)
class Known:
    """What the control hosts know of a schedule."""

    seen: FirstSeen
    tries: tuple[Try, ...] = ()
    """In the order of occasions and numbers."""
    pause: Pause | None = None
    lease: Lease | None = None

    @property
    def latest(self) -> tuple[Try, ...]:
        """The last try at each occasion."""
        return tuple(list(tries)[-1] for _, tries in groupby(self.tries, key=lambda one: one.start))

    def next_number(self, occasion: Occasion) -> int:
        return max((one.number for one in self.tries if one.start == occasion.start), default=0) + 1

    def credible(self, now: datetime) -> Known:
        """Return it without what a machine whose clock was ahead recorded as missed: that is still to come."""
        tries = tuple(one for one in self.tries if one.state != "missed" or one.claimed <= now + AHEAD)
        return replace(self, tries=tries)

    def paused(self, moment: datetime) -> bool:
        return self.pause is not None and self.pause.has(moment)


@dataclass(frozen=True)
class Here:
    """This process, and what it knows about others on its machine."""

    process: Process
    gone: Callable[[Process], bool | None]
    """Whether a process has ended; None: nothing here shows it."""


@dataclass(frozen=True)
class Due:
    what: What
    occasion: Occasion
    number: int = 1
    """The number of the try that this is."""
    why: str = ""
    breaks: Lease | None = None
    """The lease of this machine before it rebooted: nobody works under it."""
    asked: bool = False
    """Whether a person asked for it outside the schedule's times."""


def due(schedule: Schedule, known: Known, now: datetime, here: Here) -> tuple[Due, ...]:
    """Return what is due, the oldest first, after what was lost. At most one of it is a start."""
    unfinished = (one for last in known.latest for one in _unfinished(known, last, now, here))
    return (*unfinished, *_new(schedule, known, now))


def missed(schedule: Schedule, known: Known, now: datetime) -> tuple[Occasion, ...]:
    """Return the occasions that nobody started in time, recorded or not, the oldest first."""
    recorded = (Occasion(one.start, one.end) for one in known.credible(now).latest if one.state == "missed")
    return (*recorded, *(one.occasion for one in _new(schedule, known, now) if one.what == "missed"))


def following(schedule: Schedule, known: Known, now: datetime, ahead: timedelta) -> Occasion | None:
    """Return the next occasion that will start, or the present one if it hasn't; None: there is none."""
    started = {one.start for one in known.credible(now).tries}
    for one in schedule.between(now, now + ahead):
        if one.start not in started and one.start >= known.seen.since and not known.paused(max(one.start, now)):
            return one
    return None


def _new(schedule: Schedule, known: Known, now: datetime) -> tuple[Due, ...]:
    """Return what is due about occasions that nobody has tried."""
    handled = (one.start for one in known.credible(now).tries if not one.asked and one.start <= now)
    since = max((known.seen.since - _SECOND, now - _LATEST, *handled))
    # `between` includes what began before: that was handled, or wasn't known yet.
    begun = (one for one in schedule.between(since, now + _SECOND) if since < one.start <= now)
    found = [_of_new(one, known, now) for one in begun]
    late = [one for one in found if one.what == "missed"][-MOST_MISSED:]
    return tuple(one for one in found if one.what != "missed" or one in late)


def _of_new(occasion: Occasion, known: Known, now: datetime) -> Due:
    number = known.next_number(occasion)
    if known.paused(occasion.start) or (now < occasion.end and known.paused(now)):
        return Due("skipped", occasion, number, "the schedule was paused")
    if now < occasion.end:
        return Due("start", occasion, number)
    return Due("missed", occasion, number, "nobody started it in time")


def _unfinished(known: Known, last: Try, now: datetime, here: Here) -> Iterator[Due]:
    """Yield what is due about an occasion whose last try hasn't ended."""
    if last.state != "running" or not lost(last, now, here):
        return
    left = left_over(known.lease, last, here)
    if known.lease and known.lease.live and not left:
        return
    what, why = _next_step(last, now)
    if what == "lost" or not known.paused(now):
        occasion = Occasion(last.start, last.end)
        yield Due(what, occasion, last.number + 1, f"{_whose(last)} was lost{why}", left, last.asked)


def _next_step(last: Try, now: datetime) -> tuple[What, str]:
    """Return what is due about an occasion whose last try was lost, and why it isn't resumed."""
    if now >= last.end:
        return "lost", ", and it was too late to resume"
    if last.number >= MOST_TRIES:
        return "lost", f", as in {last.number - 1} tries before"
    return "resume", ""


def lost(one: Try, now: datetime, here: Here) -> bool:
    """Return whether the process of a try has ended without saying so."""
    gone = here.gone(one.process)
    return now - one.alive > STALE if gone is None else gone


def left_over(lease: Lease | None, one: Try, here: Here) -> Lease | None:
    """Return the lease if this try took it, and this machine has rebooted since; else None.

    A run that reboots the only control host has its lease for half an hour.
    """
    if lease is None or not one.process.on_machine_of(here.process):
        return None
    rebooted = "" not in (one.process.boot, here.process.boot) and one.process.boot != here.process.boot
    same = lease.owner.machine == here.process.machine and _user(lease.owner.who) == _user(one.who)
    return lease if rebooted and same and lease.since <= one.alive else None


def ours(tries: Sequence[Try]) -> Mapping[str, frozenset[str]]:
    """Return the runs that the schedule opened: each one's id and hosts."""
    return {one.run: frozenset(one.hosts) for one in tries if one.run}


def _user(who: str) -> str:
    """Return user@machine: whether the key is known, too, depends on the command."""
    return who.partition(" ")[0]


def _whose(one: Try) -> str:
    return f"the run on {one.process.machine} since {stamp(one.claimed)}"
