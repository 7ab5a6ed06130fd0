from __future__ import annotations

import hashlib

import pytest

from rackwright.operations.facts.path_state import Found, PathState
from rackwright.operations.facts.unit import OurUnitStates, SystemUnitStates, Unit, UnitState, WrittenAt
from rackwright.operations.filesystem.file import checked_file
from rackwright.operations.unit import adopted, running, stopped, systemd_unit
from tests.fakes import Played, play, systemctl

_TEXT = "[Service]\n"
_FILES = ("/etc/a", "/etc/b")
_WRITTEN = Found("regular file", 0o644, "root", "root", hashlib.sha256(_TEXT.encode()).hexdigest(), _TEXT.encode())


def unit(
    state: Unit, found: Found | None = _WRITTEN, *, enabled: bool | None = True, verify: bool = False
) -> list[str]:
    def role() -> None:
        systemd_unit(name="Unit", unit="rackwright-a@1.service", content=_TEXT, enabled=enabled, verify=verify)

    return play(role, facts={OurUnitStates: {"rackwright-a@1.service": state}, PathState: found}).commands


def test_a_new_unit_is_written_read_and_enabled() -> None:
    commands = unit(Unit(), None, verify=True)
    assert "systemd-analyze verify" in commands[1]
    assert "rackwright-a@1.service.rackwright-new:rackwright-a@1.service" in commands[1]
    assert commands[2:] == ["systemctl daemon-reload", "systemctl --quiet enable -- rackwright-a@1.service"]


def test_a_unit_as_it_should_be_is_left() -> None:
    assert unit(Unit("loaded", "active", "enabled")) == []
    assert unit(Unit("loaded", "active", "disabled"), enabled=None) == []
    assert unit(Unit("loaded", "active", "static"), enabled=False) == []


def test_a_file_that_systemd_has_not_read_yet_is_read() -> None:
    assert unit(Unit("loaded", "active", "enabled", stale=True)) == ["systemctl daemon-reload"]


def test_a_unit_that_should_not_start_at_boot_is_disabled() -> None:
    disabled = ["systemctl --quiet disable -- rackwright-a@1.service"]
    assert unit(Unit("loaded", "active", "enabled"), enabled=False) == disabled


def run(state: Unit, **more: object) -> Played:
    def role() -> None:
        changed = checked_file(name="Changed", path="/etc/changed", content="new")
        same = checked_file(name="Same", path="/etc/same", content=_TEXT)
        given = {key: {"changed": [changed], "same": [same]}.get(str(value), value) for key, value in more.items()}
        running(name="Run", unit="a.service", **given)  # type: ignore[arg-type]

    facts = {UnitState: state, PathState: _WRITTEN, WrittenAt: dict.fromkeys(_FILES, 100.0)}
    played = play(role, facts=facts)
    return Played(
        [command for command in played.commands if "systemctl" in command], played.operations, played.changed
    )


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_a_unit_that_does_not_run_is_started_and_not_restarted(state: str) -> None:
    assert run(Unit("loaded", state), restart_if="changed").commands == [systemctl("start", "a.service")]


@pytest.mark.parametrize("state", ["active", "activating", "reloading"])
def test_a_unit_that_runs_or_starts_is_left(state: str) -> None:
    assert run(Unit("loaded", state), restart_if="same", reload_if="same").commands == []


def test_what_changed_in_this_run_restarts_or_reloads() -> None:
    assert run(Unit("loaded", "active"), restart_if="changed").commands == [systemctl("restart", "a.service")]
    assert run(Unit("loaded", "active"), reload_if="changed").commands == [systemctl("reload", "a.service")]
    both = run(Unit("loaded", "active"), restart_if="changed", reload_if="changed")
    assert both.commands == [systemctl("restart", "a.service")]


def test_what_still_starts_or_fails_again_and_again_is_restarted_in_place_of_a_reload() -> None:
    assert run(Unit("loaded", "activating"), reload_if="changed").commands == [systemctl("restart", "a.service")]
    assert run(Unit("loaded", "activating"), reload_if="same").commands == []


def test_what_an_earlier_run_wrote_and_never_told_restarts_or_reloads() -> None:
    before, after = 99.0, 101.0
    files = {"restart_files": ("/etc/a",), "reload_files": ("/etc/b",)}
    assert run(Unit("loaded", "active", started=before, changed=before), **files).commands == [
        systemctl("restart", "a.service")
    ]
    assert run(Unit("loaded", "active", started=after, changed=before), **files).commands == [
        systemctl("reload", "a.service")
    ]
    assert run(Unit("loaded", "active", started=after, changed=after), **files).commands == []


@pytest.mark.parametrize(
    ("state", "commands"),
    [
        (Unit("loaded", "active", "disabled"), ["systemctl --quiet disable --now -- a.service"]),
        (Unit("loaded", "inactive", "enabled"), ["systemctl --quiet disable --now -- a.service"]),
        (Unit(), []),
    ],
)
def test_a_stopped_unit_stays_stopped(state: Unit, commands: list[str]) -> None:
    def role() -> None:
        stopped(name="Stop", unit="a.service")

    assert play(role, facts={UnitState: state}).commands == commands


def adopt(state: Unit) -> Played:
    def role() -> None:
        adopted(name="Adopt", unit="auditd.service", restart_files=_FILES)

    return play(role, facts={SystemUnitStates: {"auditd.service": state}, WrittenAt: dict.fromkeys(_FILES, 100.0)})


@pytest.mark.parametrize(
    ("state", "commands"),
    [
        (Unit("loaded", "active", "enabled", started=200.0), []),
        (Unit("loaded", "active", "enabled", started=50.0), [systemctl("restart", "auditd.service")]),
        (Unit("loaded", "inactive", "enabled"), [systemctl("start", "auditd.service")]),
        (
            Unit("loaded", "inactive", "disabled"),
            ["systemctl --quiet enable -- auditd.service", systemctl("start", "auditd.service")],
        ),
    ],
)
def test_a_unit_of_the_distribution_runs_now_and_at_boot(state: Unit, commands: list[str]) -> None:
    played = adopt(state)
    assert played.commands == commands
    assert played.notes == {}


@pytest.mark.parametrize(
    ("state", "note"),
    [
        (Unit("masked", "inactive", "masked"), "auditd.service is masked"),
        (
            Unit("loaded", "inactive", "enabled", held_back=True),
            "auditd.service can't run here: its own conditions aren't met (systemctl status auditd.service)",
        ),
    ],
)
def test_a_unit_that_is_masked_or_whose_conditions_are_not_met_is_named_and_left(state: Unit, note: str) -> None:
    played = adopt(state)
    assert played.commands == []
    assert played.notes == {"Adopt": note}
