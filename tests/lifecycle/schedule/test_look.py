"""What people see of schedules, and pauses."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.times.occasions import schedules_of
from rackwright.lifecycle.schedule import look, pause
from rackwright.lifecycle.schedule.look import Looked, looked, warnings_of
from rackwright.lifecycle.schedule.pause import pause as pause_until
from rackwright.lifecycle.schedule.pause import resume
from rackwright.state.audit import Act
from rackwright.state.schedule import Try, see, update
from tests.lifecycle.schedule.world import DAY, END, HOUR, SUNDAY, TEXT, Clock, Memory, attempt, fleet, store_of

BERLIN = TEXT + "timezone: Europe/Berlin\n"


class Seen(SimpleNamespace):
    store: Memory
    clock: Clock
    acts: list[Act]
    fleet: Fleet

    def put(self, *tries: Try) -> None:
        for one in tries:
            update(cast(Any, self.store), one)

    def patch(self) -> Looked:
        return looked(self.fleet)[0]


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    made = Seen(store=Memory(), clock=Clock(SUNDAY - HOUR), acts=[], fleet=fleet(tmp_path))
    for module in (look, pause):
        monkeypatch.setattr(module, "control_store", lambda _: store_of(made.store))
        monkeypatch.setattr(module, "utc_now", made.clock)
    monkeypatch.setattr(pause, "operator_of", lambda *_: SimpleNamespace(who="anna@desk"))
    monkeypatch.setattr(pause, "write_audit", lambda _, act: made.acts.append(act))
    for one in schedules_of(made.fleet):
        see(cast(Any, made.store), one.name, one.said, SUNDAY - DAY)
    return made


def test_a_schedule_shows_what_comes_and_what_was(seen: Seen) -> None:
    assert [one.schedule.name for one in looked(seen.fleet)] == ["patch", "drill"]
    found = seen.patch()
    assert (found.next and found.next.start, found.running, found.last) == (SUNDAY, None, ())
    seen.put(attempt(), attempt(number=2, state="done"), attempt(start=SUNDAY + 7 * DAY))
    seen.clock.now = SUNDAY + 7 * DAY
    found = seen.patch()
    assert found.running == attempt(start=SUNDAY + 7 * DAY)
    assert [(one.start, one.number) for one in found.last] == [(SUNDAY, 2), (SUNDAY + 7 * DAY, 1)]
    assert list(warnings_of(found)) == []


def test_looking_changes_nothing(seen: Seen) -> None:
    before = dict(seen.store.documents)
    seen.clock.now = END + DAY
    assert seen.patch().missed
    assert seen.store.documents == before


def test_what_was_missed_warns_until_a_run_works(seen: Seen) -> None:
    seen.clock.now = END
    (warning,) = warnings_of(seen.patch())
    when = "nothing started it at Sun 2026-12-06 02:00 UTC"
    assert warning == f"patch run was missed: {when}; next: rackwright schedule list"
    seen.put(attempt(state="missed"))
    assert list(warnings_of(seen.patch())) == [warning]
    seen.put(attempt(start=SUNDAY + 7 * DAY, state="done"))
    assert list(warnings_of(seen.patch())) == []


def test_what_a_clock_that_was_ahead_recorded_is_not_shown(seen: Seen) -> None:
    later = SUNDAY + 300 * DAY
    seen.put(attempt(state="missed", claimed=later, alive=later))
    found = seen.patch()
    assert (found.last, found.missed, found.next and found.next.start) == ((), (), SUNDAY)


def test_a_failure_warns_until_a_run_ends_well(seen: Seen) -> None:
    seen.put(attempt(state="failed", summary="gpu1: not proven"))
    assert list(warnings_of(seen.patch())) == [
        "the last scheduled patch run failed: gpu1: not proven; next: rackwright schedule list"
    ]
    seen.put(attempt(start=SUNDAY + DAY, asked=True, state="done"))
    assert list(warnings_of(seen.patch())) == []


def test_a_schedule_that_is_not_applied_yet_has_missed_nothing(seen: Seen, tmp_path: Path) -> None:
    seen.clock.now = END + DAY
    other = fleet(tmp_path / "other", TEXT.replace("sun 02:00-05:00", "mon 02:00-05:00"))
    found = looked(other)[0]
    assert (found.missed, found.next and found.next.start) == ((), SUNDAY + 8 * DAY)


def test_a_pause_lasts_until_the_end_of_its_last_day_in_the_fleet_s_time_zone(seen: Seen, tmp_path: Path) -> None:
    berlin = fleet(tmp_path / "berlin", BERLIN)
    (one,) = pause_until(berlin, "patch", date(2026, 12, 6))
    assert (one.since, one.until) == (SUNDAY - HOUR, datetime(2026, 12, 6, 23, tzinfo=UTC))
    assert [(act.operator, act.what) for act in seen.acts] == [
        ("anna@desk", "schedule of patch: paused until 2026-12-06T23:00:00Z")
    ]
    patch, drill = looked(seen.fleet)
    assert (patch.paused_until, drill.paused_until) == (one.until, None)
    assert patch.next
    assert patch.next.start == SUNDAY + 7 * DAY


def test_without_a_name_all_are_paused_and_resumed(seen: Seen) -> None:
    assert [one.schedule for one in pause_until(seen.fleet, None, date(2026, 12, 6))] == ["patch", "drill"]
    seen.clock.now += HOUR / 2
    assert [one.until for one in resume(seen.fleet, None)] == [seen.clock.now] * 2
    assert [one.paused_until for one in looked(seen.fleet)] == [None, None]


def test_what_was_due_in_a_longer_pause_was_skipped_all_along(seen: Seen) -> None:
    pause_until(seen.fleet, "patch", date(2026, 12, 6))
    seen.clock.now = END
    pause_until(seen.fleet, "patch", date(2026, 12, 20))
    assert not seen.patch().missed
    resume(seen.fleet, "patch")
    seen.clock.now = END + DAY
    assert not seen.patch().missed


@pytest.mark.parametrize(("day", "why"), [(date(2026, 12, 5), "is over"), (date.max, "is too far ahead")])
def test_a_day_that_is_over_is_refused(seen: Seen, day: date, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        pause_until(seen.fleet, "patch", day)
    assert seen.acts == []


def test_a_fleet_without_schedules_says_what_is_needed(seen: Seen, tmp_path: Path) -> None:
    plain = fleet(tmp_path / "plain", TEXT.replace("  at: first sun 04:00\n", ""))
    with pytest.raises(UsageError, match=r"has no schedule for drill; needs unattended\.on and drill\.at"):
        resume(plain, "drill")
