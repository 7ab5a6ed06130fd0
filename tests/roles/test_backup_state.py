from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from rackwright.roles.backup.settings import Repository
from rackwright.roles.backup.state import DAY, BackupState, FoundRepository, age, ages, parse

DISK = Repository(name="disk", url="/srv/backup/gate1")
NOW = int(datetime(2026, 11, 25, 8, 26, 40, tzinfo=UTC).timestamp())
STATE = {
    "format": "backup/1",
    "repository": "abc",
    "since": "2026-11-01T08:26:40Z",
    "snapshot": "f00",
    "snapshot_at": "2026-11-25T05:26:40Z",
    "files": "12",
    "bytes": "3400",
    "check_at": "2026-11-23T08:26:40Z",
    "part": "2",
}


def timer(unit: str, active: str = "active", sub: str = "waiting", file: str = "enabled") -> str:
    return f"Id={unit}.timer\nActiveState={active}\nSubState={sub}\nUnitFileState={file}\nResult=success\n"


def service(unit: str, active: str = "inactive", result: str = "success") -> str:
    return f"Id={unit}.service\nActiveState={active}\nSubState=dead\nUnitFileState=static\nResult={result}\n"


def found(*units: str, now: int = NOW, restic: str = "restic 0.18.0", **changes: str | None) -> BackupState:
    stored = json.dumps({key: value for key, value in {**STATE, **changes}.items() if value is not None})
    shown = units or (timer(DISK.run_unit), timer(DISK.check_unit), service(DISK.run_unit), service(DISK.check_unit))
    return parse(f"{restic}\nnow {now}\nstate disk {stored}\n" + "\n".join(shown))


def test_what_went_well_is_no_alarm() -> None:
    state = found().of(DISK)
    assert state.alarms == ()
    assert (state.snapshot, state.files, state.bytes, state.part) == ("f00", 12, 3400, 2)
    assert ages(state.snapshot_age, state.check_age) == "snapshot 3 h old, check 2 d old"


@pytest.mark.parametrize(
    ("later", "alarms"),
    [
        (33 * 3600 - 1, ()),
        (33 * 3600 + 1, ("the last good snapshot is 36 h old",)),
        (9 * DAY, ("the last good snapshot is 9 d old", "no good check for 11 d")),
    ],
)
def test_an_age_over_one_and_a_half_intervals_is_an_alarm(later: int, alarms: tuple[str, ...]) -> None:
    assert found(now=NOW + later).of(DISK).alarms == alarms


def test_what_is_dated_in_the_time_to_come_is_an_alarm() -> None:
    """If the clock was set back, a backup that has failed since would seem fine until the clock has caught up."""
    said = "is dated 21 h in the future: this host's clock was set back"
    assert found(now=NOW - DAY).of(DISK).alarms == (f"the last good snapshot {said}",)
    assert found(now=NOW - 3 * DAY).of(DISK).alarms[1].startswith("the last good check is dated ")
    assert found(now=NOW - 3 * 3600 - 1800).of(DISK).alarms == ()


def test_no_check_is_an_alarm_once_one_should_have_been() -> None:
    assert found(check_at=None).of(DISK).alarms == ("no good check for 24 d",)
    assert found(check_at=None, since="2026-11-20T00:00:00Z").of(DISK).alarms == ()


@pytest.mark.parametrize(
    "dead",
    [
        timer(DISK.run_unit, active="inactive", sub="dead"),
        timer(DISK.run_unit, sub="elapsed"),
        timer(DISK.run_unit, active="failed", sub="failed"),
        timer(DISK.run_unit, file="disabled"),
        "",
    ],
)
def test_a_timer_that_does_not_wait_for_its_time_is_dead(dead: str) -> None:
    assert found(dead, timer(DISK.check_unit)).of(DISK).alarms == ("rackwright-backup@disk.timer is dead",)


def test_failures_are_told_with_why() -> None:
    state = found(run_failed="wrong password", check_failed="damaged").of(DISK)
    assert state.alarms == ("the last snapshot failed: wrong password", "the last check failed: damaged")


def test_a_repository_that_was_refused_is_told_apart_from_other_failures() -> None:
    refused = found(run_failed="x", repository=None, found="abc", history="2", newest="2026-11-25T05:26:40Z").of(DISK)
    assert (refused.id, refused.found) == (None, FoundRepository("abc", 2, "2026-11-25T05:26:40Z"))
    replaced = found(run_failed="x", found="def").of(DISK)
    assert (replaced.id, replaced.found) == ("abc", FoundRepository("def"))
    assert found(run_failed="x").of(DISK).found is None


def test_a_run_that_was_killed_before_it_could_say_why_is_an_alarm_but_not_one_under_way() -> None:
    timers = (timer(DISK.run_unit), timer(DISK.check_unit))
    killed = found(*timers, service(DISK.run_unit, "failed", "timeout")).of(DISK)
    assert killed.alarms == ("the last snapshot ended by timeout",)
    running = found(*timers, service(DISK.run_unit, "activating", "timeout")).of(DISK)
    assert running.alarms == ()
    assert running.running


def test_a_repository_that_was_never_reached_or_a_state_that_cannot_be_read_is_an_alarm() -> None:
    never = parse("now 1\n").of(DISK)
    assert never.alarms == (
        "no good snapshot yet",
        f"{DISK.run_unit}.timer is dead",
        f"{DISK.check_unit}.timer is dead",
    )
    assert "its state file can't be read" in parse("now 1\nstate disk {half\n").of(DISK).alarms[1]
    assert "its state file has another format" in found(format="backup/2").of(DISK).alarms[1]


def test_restic_is_known_by_its_version() -> None:
    assert not found().restic_is_old
    assert found(restic="restic 0.16.4").restic_is_old
    assert not parse("now 1\n").restic_is_old


@pytest.mark.parametrize(("seconds", "text"), [(59, "0 min"), (7199, "119 min"), (7200, "2 h"), (2 * DAY, "2 d")])
def test_ages_are_told_in_words(seconds: int, text: str) -> None:
    assert age(seconds) == text
