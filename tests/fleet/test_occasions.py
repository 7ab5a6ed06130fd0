"""Which schedules a fleet file makes, and when they are due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rackwright.errors import FleetError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.load import load_fleet
from rackwright.fleet.times.occasions import Occasion, calendar_of, schedules_of
from tests.fleet.test_unattended import WHOLE
from tests.lifecycle.drill.drills import BACKUP, SCRATCH

BOTH = (
    WHOLE
    + "timezone: Europe/Berlin\n"
    + "patch: {window: [sun 02:00-05:00, daily 23:00-24:00], except: [2026-12-15/2027-01-06]}\n"
    + BACKUP
    + SCRATCH
    + "  at: first sun 04:00\n"
    + "  scenario: gateway\n"
)
HOUR = timedelta(hours=1)


def fleet(folder: Path, text: str = BOTH) -> Fleet:
    (folder / "fleet.yml").write_text(text)
    return load_fleet(folder / "fleet.yml")


def test_patching_and_drills_have_schedules(tmp_path: Path) -> None:
    patch, drill = schedules_of(fleet(tmp_path))
    assert (patch.name, patch.command, patch.said) == (
        "patch",
        "patch run",
        "sun 02:00-05:00, daily 23:00-24:00; except 2026-12-15/2027-01-06 (Europe/Berlin)",
    )
    assert (drill.name, drill.command, drill.said) == ("drill", "drill run", "first sun 04:00 (Europe/Berlin)")


def test_a_patch_is_due_while_a_window_is_open_and_no_freeze_is_in_force(tmp_path: Path) -> None:
    patch, _ = schedules_of(fleet(tmp_path))
    sunday = datetime(2026, 12, 13, 1, tzinfo=UTC)
    night = sunday + 21 * HOUR
    found = list(patch.between(sunday, sunday + timedelta(days=20)))
    # Monday's hour is the last before the freeze.
    assert found == [
        Occasion(sunday, sunday + 3 * HOUR),
        Occasion(night, night + HOUR),
        Occasion(night + 24 * HOUR, night + 25 * HOUR),
    ]


def test_a_drill_is_due_for_an_hour(tmp_path: Path) -> None:
    _, drill = schedules_of(fleet(tmp_path))
    start = datetime(2026, 12, 6, 3, tzinfo=UTC)
    wanted = [Occasion(start, start + HOUR)]
    for since in (start - HOUR, start, start + HOUR - timedelta(seconds=1)):
        assert list(drill.between(since, start + timedelta(seconds=1))) == wanted
    assert not list(drill.between(start + HOUR, start + 2 * HOUR))
    assert not list(drill.between(start - HOUR, start))


@pytest.mark.parametrize(
    ("removed", "left"),
    [
        ("unattended: {on: [ctl1], person: nightly, key: 'file:nightly'}\n", []),
        ("  at: first sun 04:00\n", ["patch"]),
        ("window: [sun 02:00-05:00, daily 23:00-24:00], ", ["drill"]),
    ],
)
def test_what_has_no_time_or_no_host_has_no_schedule(tmp_path: Path, removed: str, left: list[str]) -> None:
    assert removed in BOTH
    assert [one.name for one in schedules_of(fleet(tmp_path, BOTH.replace(removed, "")))] == left


def test_the_timer_elapses_at_each_start(tmp_path: Path) -> None:
    assert calendar_of(fleet(tmp_path).file) == (
        "Sun *-*-* 02:00:00 Europe/Berlin",
        "*-*-* 23:00:00 Europe/Berlin",
        "Sun *-*-01..07 04:00:00 Europe/Berlin",
    )
    assert calendar_of(fleet(tmp_path, WHOLE).file) == ()


def test_a_drill_s_time_and_scenario_are_checked(tmp_path: Path) -> None:
    wrong = BOTH.replace("first sun 04:00", "first sunday 04:00").replace("scenario: gateway", "scenario: flood")
    with pytest.raises(FleetError) as raised:
        fleet(tmp_path, wrong)
    assert "drill.at: unknown day 'sunday'; did you mean 'sun'?" in str(raised.value)
    assert "drill.scenario: should be" in str(raised.value)
