"""Tries, pauses and when a schedule was first seen, in each of the stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rackwright.errors import RackwrightError
from rackwright.state import schedule as schedules
from rackwright.state.contents import Contents
from rackwright.state.schedule import (
    Pause,
    Process,
    Try,
    claim,
    first_seen,
    pause_of,
    put_pause,
    see,
    tries_of,
    update,
)
from rackwright.state.store import ControlStore
from tests.state.test_store import ANNA

NIGHT = datetime(2026, 12, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def attempt(machine: str = "ctl1", **said: Any) -> Try:
    first = {
        "schedule": "patch",
        "start": NIGHT,
        "end": NIGHT + 3 * HOUR,
        "state": "running",
        "who": "nightly",
        "process": Process(machine=machine, boot="b1", user=0, pid=7, started="70"),
        "claimed": NIGHT,
        "alive": NIGHT,
    }
    return Try(**first | said)


@pytest.mark.parametrize(
    ("theirs", "same"), [(("ctl1", "a"), True), (("ctl2", "a"), False), (("ctl1", "b"), False), (("ctl1", ""), False)]
)
def test_a_machine_is_the_one_with_the_same_name_and_id(theirs: tuple[str, str], same: bool) -> None:
    """A clone may have the ID of another machine, and two machines may have one name."""
    mine, other = (
        Process(machine=name, machine_id=number, boot="b1", user=0, pid=7, started="70")
        for name, number in (("ctl1", "a"), theirs)
    )
    assert other.on_machine_of(mine) is mine.on_machine_of(other) is same
    assert not other.model_copy(update={"machine_id": ""}).on_machine_of(other.model_copy(update={"machine_id": ""}))


def test_the_first_to_claim_a_try_has_it(store: ControlStore) -> None:
    assert claim(store, attempt())
    assert claim(store, attempt())  # The same one, if its first answer was lost.
    assert not claim(store, attempt("ctl2"))
    assert claim(store, attempt("ctl2", number=2))
    assert [one.process.machine for one in tries_of(store, "patch")] == ["ctl1", "ctl2"]
    assert tries_of(store, "drill") == ()


def test_what_becomes_of_a_try_is_kept_and_the_order_is_that_of_time(store: ControlStore) -> None:
    later = attempt(start=NIGHT + 24 * HOUR, end=NIGHT + 25 * HOUR)
    for one in (later, attempt(number=10), attempt(number=2)):
        claim(store, one)
    done = attempt(number=2, state="done", summary="patched: gpu1", ended=NIGHT + HOUR, run="r1")
    update(store, done)
    assert tries_of(store, "patch") == (done, attempt(number=10), later)


def test_only_the_last_ones_are_kept(store: ControlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "KEPT", 2)
    for days in range(4):
        one = attempt(start=NIGHT + days * 24 * HOUR)
        claim(store, one)
        update(store, one)
    assert [one.start for one in tries_of(store, "patch")] == [NIGHT + 48 * HOUR, NIGHT + 72 * HOUR]


def test_a_pause_covers_its_first_moment_and_not_its_last(store: ControlStore) -> None:
    assert pause_of(store, "patch") is None
    pause = Pause(schedule="patch", since=NIGHT, until=NIGHT + HOUR, who="anna")
    put_pause(store, pause)
    assert pause_of(store, "patch") == pause
    assert pause_of(store, "drill") is None
    assert [pause.has(NIGHT + HOUR * number) for number in (-1, 0, 1)] == [False, True, False]
    put_pause(store, pause.model_copy(update={"until": NIGHT}))
    assert pause_of(store, "patch") == pause.model_copy(update={"until": NIGHT})


def test_a_schedule_is_known_since_it_was_first_seen_with_these_times(store: ControlStore) -> None:
    assert first_seen(store, "patch") is None
    first = see(store, "patch", "sun 02:00-05:00 (UTC)", NIGHT)
    assert see(store, "patch", "sun 02:00-05:00 (UTC)", NIGHT + HOUR) == first == first_seen(store, "patch")
    other = see(store, "patch", "sat 02:00-05:00 (UTC)", NIGHT + HOUR)
    assert (other.since, first_seen(store, "patch")) == (NIGHT + HOUR, other)


def test_they_move_with_the_control_host(store: ControlStore) -> None:
    claim(store, attempt())
    see(store, "patch", "sun", NIGHT)
    put_pause(store, Pause(schedule="patch", since=NIGHT, until=NIGHT, who="anna"))
    found = store.dump()
    assert {
        "schedules/patch/20261206T010000Z-01.json",
        "schedules/seen/patch.json",
        "schedules/pauses/patch.json",
    } == {*found.documents}
    store.load(store.acquire(ANNA), Contents(documents=found.documents))
    assert tries_of(store, "patch") == (attempt(),)


def test_a_damaged_one_is_named(store: ControlStore) -> None:
    store.put("schedules/patch/x.json", "{}")
    with pytest.raises(RackwrightError, match=r"schedules/patch/x.json.*is damaged.*schedule-try/1"):
        tries_of(store, "patch")
