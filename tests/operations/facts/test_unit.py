from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rackwright.operations.facts.unit import OurUnitStates, Unit, UnitState, WrittenAt

_LOADED = ["LoadState=loaded", "ActiveState=activating", "UnitFileState=enabled", "NeedDaemonReload=yes"]


def test_a_unit_that_starts_runs() -> None:
    unit = UnitState().process(_LOADED)
    assert unit == Unit(load="loaded", active="activating", file="enabled", stale=True)
    assert unit.runs


@pytest.mark.parametrize("state", ["inactive", "failed", "deactivating"])
def test_what_stopped_or_stops_does_not_run(state: str) -> None:
    assert not UnitState().process(["LoadState=loaded", f"ActiveState={state}"]).runs


def test_a_unit_nobody_knows_is_not_found() -> None:
    absent = ["LoadState=not-found", "ActiveState=inactive", "UnitFileState=", "NeedDaemonReload=no"]
    assert UnitState().process(absent) == UnitState.default()


def test_times_are_seconds_since_1970() -> None:
    unit = UnitState().process(
        [
            *_LOADED,
            "InactiveExitTimestamp=Thu 1970-01-01 00:01:00.250000 UTC",
            "StateChangeTimestamp=n/a",
        ]
    )
    assert (unit.started, unit.changed) == (60.25, None)


def test_all_units_of_ours_are_told_apart() -> None:
    times = ["InactiveExitTimestamp=", "StateChangeTimestamp="]
    told = [*_LOADED, *times, "Id=rackwright-b.timer", "", "Id=rackwright-a@1.service", *times, *_LOADED]
    units = OurUnitStates().process(told)
    assert set(units) == {"rackwright-b.timer", "rackwright-a@1.service"}
    assert units["rackwright-b.timer"].active == "activating"


def test_files_are_told_with_the_time_they_were_written(tmp_path: Path) -> None:
    for name, seconds in (("old a", 60.25), ("future", 2**33)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (seconds, seconds))
    paths = tuple(str(tmp_path / name) for name in ("old a", "future", "absent"))
    done = subprocess.run(["sh", "-c", WrittenAt().command(paths)], capture_output=True, text=True, check=True)
    assert WrittenAt().process(done.stdout.splitlines()) == {paths[0]: 60.25}


def test_names_are_quoted() -> None:
    assert "'a b.service'" in UnitState().command("a b.service")


@pytest.mark.parametrize(
    ("result", "checked", "held_back"),
    [("no", "Thu 1970-01-01 00:01:00.250000 UTC", True), ("no", "n/a", False), ("yes", "n/a", False)],
)
def test_a_unit_is_held_back_only_if_its_conditions_were_looked_at(
    result: str, checked: str, held_back: bool
) -> None:
    unit = UnitState().process([*_LOADED, f"ConditionResult={result}", f"ConditionTimestamp={checked}"])
    assert unit.held_back is held_back
