from __future__ import annotations

import pytest

from rackwright.operations.facts.unit import Unit, UnitState

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


def test_files_that_the_unit_has_not_seen_are_named() -> None:
    unit = UnitState().process([*_LOADED, "newer=/etc/a=b", "newer=/etc/c", "unread=/etc/c"])
    assert unit.newer == ("/etc/a=b", "/etc/c")
    assert unit.unread == ("/etc/c",)


def test_names_are_quoted() -> None:
    assert "'a b.service'" in UnitState().command("a b.service", ("/etc/$x",))
    assert "'/etc/$x'" in UnitState().command("a b.service", ("/etc/$x",))
