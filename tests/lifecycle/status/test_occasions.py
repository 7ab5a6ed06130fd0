"""Schedules in `status`: what comes next, and what needs a person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rackwright.fleet.times.occasions import schedules_of
from rackwright.lifecycle.status.occasions import Rechecks, ask_rechecks, ask_schedules, schedule_statuses
from rackwright.state.schedule import Pause, put_pause, see, update
from tests.lifecycle.schedule.world import DAY, DRILL, SUNDAY, Memory, attempt, fleet


def session(folder: Path, store: Memory) -> Any:
    made = fleet(folder)
    for one in schedules_of(made):
        see(cast(Any, store), one.name, one.said, SUNDAY - DAY)
    return SimpleNamespace(fleet=made, store=store)


def test_each_schedule_says_when_it_starts_next(tmp_path: Path) -> None:
    store, notes = Memory(), list[str]()
    asked = session(tmp_path, store)
    put_pause(cast(Any, store), Pause(schedule="drill", since=SUNDAY - DAY, until=DRILL + DAY, who="anna"))
    update(cast(Any, store), attempt())
    patch, drill = schedule_statuses(ask_schedules(asked, SUNDAY, notes))
    assert patch.text == "patch: runs on ctl1"
    assert drill.text == (
        "drill: first sun 04:00 (UTC); next 2027-01-03T04:00:00Z; paused until 2026-12-07T04:00:00Z"
    )
    update(cast(Any, store), attempt(state="done"))
    patch, _ = schedule_statuses(ask_schedules(asked, SUNDAY, notes))
    assert patch.text == "patch: sun 02:00-05:00 (UTC); next 2026-12-13T02:00:00Z"
    assert notes == []


def test_what_can_t_be_asked_is_noted_once(tmp_path: Path) -> None:
    store, notes = Memory(), list[str]()
    asked = session(tmp_path, store)
    store.silent = 1
    assert ask_schedules(asked, SUNDAY, notes) == ()
    assert notes == []
    store.documents["schedules/patch/x.json"] = "{}"
    assert ask_schedules(asked, datetime(2026, 12, 1, tzinfo=UTC), notes) == ()
    assert notes[0].startswith("schedules: is damaged")


def test_a_damaged_recheck_is_noted_and_silence_isnt(tmp_path: Path) -> None:
    store = Memory()
    asked = session(tmp_path, store)
    store.documents["migrations/rechecks/support.json"] = "{}"
    (note,) = ask_rechecks(asked, SUNDAY).notes
    assert note.startswith("migrations: is damaged")
    store.silent = 1
    assert ask_rechecks(asked, SUNDAY) == Rechecks()
