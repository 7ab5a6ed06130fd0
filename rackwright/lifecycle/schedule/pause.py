"""Pause schedules, and resume them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.schedule.look import named
from rackwright.lifecycle.session.lease import control_store
from rackwright.lifecycle.session.operator import operator_of
from rackwright.run import new_run_id
from rackwright.state.audit import Act, write_audit
from rackwright.state.formats import stamp, utc_now
from rackwright.state.schedule import Pause, pause_of, put_pause
from rackwright.values.text import enumerated


def pause(fleet: Fleet, name: str | None, last: date) -> tuple[Pause, ...]:
    """Pause one schedule or all, until the end of this day in the fleet's time zone; return the pauses.

    A run that has started goes on. Raise UsageError if that day is over or the fleet file has no such schedule.
    """
    now = utc_now()
    schedules = named(fleet, name)
    try:
        until = datetime.combine(last + timedelta(days=1), time(), schedules[0].zone).astimezone(UTC)
    except OverflowError:
        raise UsageError("is too far ahead", where=f"--until {last}") from None
    if until <= now:
        raise UsageError("is over", where=f"--until {last}", should="should be today or a later day")
    return _put(fleet, [one.name for one in schedules], now, until, f"paused until {stamp(until)}")


def resume(fleet: Fleet, name: str | None) -> tuple[Pause, ...]:
    """End the pause of one schedule or of all, and return what is left of it: nothing. Raise as `pause` does."""
    now = utc_now()
    return _put(fleet, [one.name for one in named(fleet, name)], now, now, "resumed")


def _put(fleet: Fleet, names: list[str], now: datetime, until: datetime, what: str) -> tuple[Pause, ...]:
    pauses = list[Pause]()
    with control_store(fleet) as (store, connection):
        who = operator_of(fleet, connection).who
        for name in names:
            before = pause_of(store, name)
            # What was due since the earlier pause began was skipped, not missed.
            since = before.since if before and before.has(now) else now
            pauses.append(Pause(schedule=name, since=since, until=until, who=who))
            put_pause(store, pauses[-1])
        act = Act(
            time=now,
            operator=who,
            run=new_run_id(),
            command="schedule",
            what=f"schedule of {enumerated(names)}: {what}",
            outcome="done",
        )
        write_audit(connection, act)
    return tuple(pauses)
