"""What is due: from the schedule, what was tried, pauses and the lease. No hosts, no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rackwright.fleet.times.occasions import Occasion, schedules_of
from rackwright.lifecycle.schedule.due import MOST_MISSED, MOST_TRIES, STALE, Due, Known, due, following, missed
from rackwright.state.schedule import FirstSeen, Pause, Try
from tests.lifecycle.schedule.world import (
    DAY,
    DRILL,
    END,
    HOUR,
    MINUTE,
    PATCH_ONLY,
    SUNDAY,
    attempt,
    fleet,
    here,
    lease,
    process,
    schedule,
)

SECOND = timedelta(seconds=1)
WEEK = 7 * DAY
OCCASION = Occasion(SUNDAY, END)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fleet")


def known(*tries: Try, since: datetime = SUNDAY - DAY, pause: Pause | None = None, **said: Any) -> Known:
    seen = FirstSeen(schedule="patch", said="sun 02:00-05:00 (UTC)", since=since)
    return Known(seen, tries, pause, **said)


def found(folder: Path, now: datetime, about: Known, name: str = "patch", **me: Any) -> tuple[Due, ...]:
    return due(schedule(folder, name), about, now, here(**me))


def test_it_starts_when_the_window_opens_and_until_it_closes(folder: Path) -> None:
    assert found(folder, SUNDAY - SECOND, known()) == ()
    for now in (SUNDAY, SUNDAY + HOUR, END - SECOND):
        assert found(folder, now, known()) == (Due("start", OCCASION),)


def test_what_nobody_started_is_missed_once_and_never_caught_up(folder: Path) -> None:
    late = Due("missed", OCCASION, why="nobody started it in time")
    for now in (END, END + DAY, SUNDAY + WEEK - SECOND):
        assert found(folder, now, known()) == (late,)
    assert found(folder, END, known(attempt(state="missed"))) == ()
    # The next window starts all the same, after what was missed.
    assert [one.what for one in found(folder, SUNDAY + WEEK, known())] == ["missed", "start"]


def test_what_was_due_before_the_schedule_was_known_is_neither_missed_nor_started(folder: Path) -> None:
    for now in (SUNDAY + HOUR, END, END + DAY):
        assert found(folder, now, known(since=SUNDAY + MINUTE)) == ()
    assert found(folder, SUNDAY, known(since=SUNDAY)) == (Due("start", OCCASION),)


def test_a_year_of_missed_windows_is_bounded(folder: Path) -> None:
    late = found(folder, SUNDAY + 52 * WEEK - HOUR, known())
    assert {one.what for one in late} == {"missed"}
    assert (len(late), late[-1].occasion.start) == (MOST_MISSED, SUNDAY + 51 * WEEK)


@pytest.mark.parametrize("state", ["done", "failed", "missed", "skipped"])
def test_what_has_ended_is_not_started_again(folder: Path, state: str) -> None:
    assert found(folder, SUNDAY + HOUR, known(attempt(state=state))) == ()


def test_windows_open_again_after_more_than_a_year_without_one(tmp_path: Path) -> None:
    frozen = PATCH_ONLY.replace("02:00-05:00", "02:00-05:00, except: [2026-12-15/2028-01-31]")
    (patch,) = schedules_of(fleet(tmp_path, frozen))
    now = datetime(2028, 2, 6, 2, tzinfo=UTC)
    last = attempt(state="done")
    assert due(patch, known(last), now, here()) == (Due("start", Occasion(now, now + 3 * HOUR)),)
    assert due(patch, known(last), now + DAY, here())[0].what == "missed"


def test_a_drill_is_due_for_an_hour(folder: Path) -> None:
    occasion = Occasion(DRILL, DRILL + HOUR)
    assert found(folder, DRILL + HOUR - SECOND, known(), "drill") == (Due("start", occasion),)
    assert [one.what for one in found(folder, DRILL + HOUR, known(), "drill")] == ["missed"]


def test_a_clock_that_was_a_year_ahead_costs_no_window(folder: Path) -> None:
    """Its machine recorded windows as missed that hadn't come yet."""
    wrong = SUNDAY + 52 * WEEK
    ahead = [attempt(start=SUNDAY + week * WEEK, state="missed", claimed=wrong, alive=wrong) for week in range(1, 21)]
    first = attempt(state="done")
    about = known(first, *ahead)
    assert found(folder, SUNDAY + DAY, about) == ()
    assert missed(schedule(folder), about, SUNDAY + DAY) == ()
    soon = Occasion(SUNDAY + WEEK, END + WEEK)
    assert following(schedule(folder), about, SUNDAY + DAY, 30 * DAY) == soon
    # It starts under the next number, and after that it counts.
    assert found(folder, SUNDAY + WEEK, about) == (Due("start", soon, 2),)
    done = attempt(start=SUNDAY + WEEK, number=2, state="done")
    assert found(folder, SUNDAY + WEEK + HOUR, known(first, ahead[0], done, *ahead[1:])) == ()
    # What nobody starts then is missed.
    (late,) = found(folder, END + WEEK, about)
    assert (late.what, late.occasion, late.number) == ("missed", soon, 2)


def test_a_run_of_a_time_to_come_does_not_end_the_schedule_until_then(folder: Path) -> None:
    done = attempt(start=SUNDAY + 30 * WEEK, state="done")
    assert found(folder, SUNDAY, known(done)) == (Due("start", OCCASION),)


def paused(since: datetime, until: datetime) -> Pause:
    return Pause(schedule="patch", since=since, until=until, who="anna")


def test_a_pause_skips_what_is_due_within_it(folder: Path) -> None:
    skipped = (Due("skipped", OCCASION, why="the schedule was paused"),)
    over = known(pause=paused(SUNDAY - DAY, SUNDAY + MINUTE))
    # Also if the tool was off all the time.
    for now in (SUNDAY, SUNDAY + HOUR, END, END + DAY):
        assert found(folder, now, over) == skipped
    assert found(folder, SUNDAY + HOUR, known(pause=paused(SUNDAY + MINUTE, END))) == skipped
    assert found(folder, SUNDAY + HOUR, known(pause=paused(SUNDAY - DAY, SUNDAY))) == (Due("start", OCCASION),)


def test_a_run_that_works_is_left_alone(folder: Path) -> None:
    now = SUNDAY + HOUR
    assert found(folder, now, known(attempt("ctl2", alive=now - STALE))) == ()
    assert found(folder, now, known(attempt(alive=SUNDAY)), gone=False) == ()
    # Even if the window has closed: the run itself knows when to stop.
    assert found(folder, END + HOUR, known(attempt("ctl2", alive=END + HOUR))) == ()


def test_a_run_whose_machine_is_gone_is_resumed(folder: Path) -> None:
    now = SUNDAY + HOUR
    why = "the run on ctl2 since 2026-12-06T02:00:00Z was lost"
    silent = known(attempt("ctl2", alive=now - STALE - SECOND))
    assert found(folder, now, silent) == (Due("resume", OCCASION, 2, why),)
    # Its own machine knows at once.
    killed = known(attempt(alive=now))
    assert [one.what for one in found(folder, now, killed, gone=True)] == ["resume"]


def test_a_lease_that_may_be_its_own_is_awaited(folder: Path) -> None:
    now = SUNDAY + HOUR
    silent = attempt("ctl2", alive=now - STALE - SECOND)
    assert found(folder, now, known(silent, lease=lease(now, machine="ctl2"))) == ()
    assert [one.what for one in found(folder, now, known(silent, lease=lease(now, seconds=0)))] == ["resume"]


def test_after_its_own_reboot_the_lease_of_before_is_broken(folder: Path) -> None:
    now, last = SUNDAY + HOUR, attempt(alive=SUNDAY + 50 * MINUTE)
    before = lease(now, since=SUNDAY + MINUTE, seconds=1800)
    (one,) = found(folder, now, known(last, lease=before), boot="b2")
    assert (one.what, one.number, one.breaks) == ("resume", 2, before)
    # The session of the lease knows the key, the one of the schedule may not.
    keyed = lease(now, since=SUNDAY + MINUTE, seconds=1800, who="rw_tool@ctl1 (nightly, SHA256:abc)")
    assert found(folder, now, known(last, lease=keyed), boot="b2")[0].breaks == keyed
    others = (
        lease(now, since=SUNDAY + 55 * MINUTE),  # Taken after the reboot.
        lease(now, since=SUNDAY + MINUTE, machine="ctl2"),
        lease(now, since=SUNDAY + MINUTE, who="anna@ctl1"),
    )
    for other in others:
        assert found(folder, now, known(last, lease=other), boot="b2") == ()
    # It hasn't rebooted: another process may have the lease.
    assert found(folder, now, known(last, lease=before), gone=True) == ()
    # Another machine can't know whether it rebooted.
    assert found(folder, now, known(last, lease=before), machine="ctl2", boot="b9") == ()


@pytest.mark.parametrize(("theirs", "mine"), [("m2", "m1"), ("", "m1"), ("", "")])
def test_a_machine_of_the_same_name_is_not_this_one_after_a_reboot(folder: Path, theirs: str, mine: str) -> None:
    now, last = SUNDAY + HOUR, attempt(alive=SUNDAY + HOUR, process=process(machine_id=theirs))
    at_work = lease(now, since=SUNDAY + MINUTE)
    for about in (known(last, lease=at_work), known(last)):
        assert found(folder, now, about, boot="b2", machine_id=mine) == ()
    # Once it is silent, its lease is still awaited.
    silent = now + STALE + SECOND
    assert found(folder, silent, known(last, lease=at_work), boot="b2", machine_id=mine) == ()
    assert [one.what for one in found(folder, silent, known(last), boot="b2", machine_id=mine)] == ["resume"]


def test_it_is_not_resumed_without_end_nor_after_the_window(folder: Path) -> None:
    tries = [attempt("ctl2", number=number, alive=SUNDAY) for number in range(1, MOST_TRIES + 1)]
    (late,) = found(folder, END, known(tries[0]))
    assert (late.what, late.number) == ("lost", 2)
    assert late.why.endswith("was lost, and it was too late to resume")
    assert [one.what for one in found(folder, SUNDAY + HOUR, known(*tries[:-1]))] == ["resume"]
    (again,) = found(folder, SUNDAY + HOUR, known(*tries))
    assert (again.what, again.number) == ("lost", MOST_TRIES + 1)
    ended = attempt(number=2, state="failed")
    assert found(folder, END, known(tries[0], ended)) == ()


def test_a_pause_also_stops_a_resumption(folder: Path) -> None:
    now = SUNDAY + HOUR
    pause = paused(SUNDAY + 10 * MINUTE, SUNDAY + 2 * HOUR)
    assert found(folder, now, known(attempt("ctl2"), pause=pause)) == ()
    assert [one.what for one in found(folder, SUNDAY + 2 * HOUR, known(attempt("ctl2"), pause=pause))] == ["resume"]


def test_what_a_person_asked_for_does_not_count_as_the_window(folder: Path) -> None:
    by_hand = attempt(start=SUNDAY + DAY, state="done", asked=True)
    assert [one.what for one in found(folder, SUNDAY + 2 * DAY, known(by_hand))] == ["missed"]


@pytest.mark.parametrize("now", [SUNDAY + DAY + HOUR, SUNDAY + 2 * DAY])
def test_what_a_person_asked_for_stays_that_when_it_is_lost(folder: Path, now: datetime) -> None:
    """Otherwise the resumed try would count as the window of that time, and those before it would never be missed."""
    lost = attempt("ctl2", start=SUNDAY + DAY, asked=True)
    one = found(folder, now, known(lost, since=SUNDAY + MINUTE))[0]
    assert (one.occasion.start, one.number, one.asked) == (SUNDAY + DAY, 2, True)


def test_status_knows_what_was_missed_before_anyone_recorded_it(folder: Path) -> None:
    wanted = (OCCASION,)
    assert missed(schedule(folder), known(), END) == wanted
    assert missed(schedule(folder), known(attempt(state="missed")), END) == wanted
    assert missed(schedule(folder), known(attempt(state="done")), END) == ()


def test_what_follows_is_the_next_that_will_start(folder: Path) -> None:
    plan, next_week = schedule(folder), Occasion(SUNDAY + WEEK, END + WEEK)
    assert following(plan, known(), SUNDAY - DAY, 30 * DAY) == OCCASION
    assert following(plan, known(), SUNDAY + HOUR, 30 * DAY) == OCCASION
    assert following(plan, known(attempt()), SUNDAY + HOUR, 30 * DAY) == next_week
    assert following(plan, known(pause=paused(SUNDAY - DAY, END)), SUNDAY - HOUR, 30 * DAY) == next_week
    assert following(plan, known(), END, DAY) is None
    # It opened before it was known.
    assert following(plan, known(since=SUNDAY + MINUTE), SUNDAY + HOUR, 30 * DAY) == next_week


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(1, 200), st.sampled_from(["ctl1", "ctl2"]), st.booleans()), max_size=25),
    st.integers(0, 120),
)
def test_however_timers_elapse_each_window_is_handled_once(
    folder: Path, looks: list[tuple[int, str, bool]], offset: int
) -> None:
    """Whoever looks, however late: no window is left out, and none is worked on twice unless a machine was lost."""
    plan, now, tries = schedule(folder), SUNDAY - HOUR, list[Try]()
    seen = now
    for wait, machine, survives in looks:
        now += timedelta(minutes=wait * 10 + offset)
        for one in due(plan, known(*tries, since=seen), now, here(machine)):
            state = {"missed": "missed", "lost": "failed", "skipped": "skipped"}.get(one.what)
            ended = state or ("done" if survives else "running")
            start, number = one.occasion.start, one.number
            tries.append(
                attempt(
                    start=start,
                    end=one.occasion.end,
                    number=number,
                    state=ended,
                    alive=now,
                    claimed=now,
                    process=process(machine),
                )
            )
            if state is None:
                assert one.occasion.start <= now < one.occasion.end
        tries.sort(key=lambda one: (one.start, one.number))
    assert len({(one.start, one.number) for one in tries}) == len(tries)
    starts = {one.start for one in tries}
    begun = [one.start for one in plan.between(seen, now + SECOND) if one.start <= now] if looks else []
    assert starts == set(begun)
    for start in starts:
        at = [one for one in tries if one.start == start]
        assert all(one.state == "running" for one in at[:-1])
        assert len(at) <= MOST_TRIES + 1
