"""`schedule` at the command line, over a stand-in for the control hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.cli.schedule.pause import SCHEDULES
from rackwright.errors import RackwrightError
from rackwright.fleet.times.occasions import NAMES
from rackwright.lifecycle.schedule import claiming, look, pause, procedure, settle, turn
from rackwright.lifecycle.schedule.patch_job import PatchJob
from rackwright.lifecycle.schedule.turn import Result
from rackwright.lifecycle.tool import unable
from rackwright.state.operator import Operator
from rackwright.state.schedule import see, update
from tests.cli.command_line import rackwright
from tests.lifecycle.schedule.world import DAY, END, HOUR, PATCH_ONLY, SUNDAY, WHO, Clock, Memory, attempt, store_of


class Desk:
    def __init__(self, path: Path) -> None:
        self.path, self.store, self.clock = path, Memory(), Clock(SUNDAY)

    def __call__(self, *words: str, text: str = PATCH_ONLY) -> Any:
        self.path.write_text(text)
        return rackwright("-f", self.path, "schedule", *words)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = Desk(tmp_path / "fleet.yml")
    for module in (claiming, look, pause, procedure, settle, turn):
        monkeypatch.setattr(module, "utc_now", made.clock)
    monkeypatch.setattr(procedure, "refuse_wrong_clock", lambda _: None)
    for module in (look, pause, procedure):
        monkeypatch.setattr(module, "control_store", lambda _: store_of(made.store))
    for module in (claiming, pause):
        monkeypatch.setattr(module, "operator_of", lambda *_: Operator(WHO, "ctl1"))
    monkeypatch.setattr(pause, "write_audit", lambda *_: None)
    monkeypatch.setattr(PatchJob, "__call__", lambda *_: Result("patched: gpu1", ("gpu1",)))
    see(cast(Any, made.store), "patch", "sun 02:00-05:00 (UTC)", SUNDAY - DAY)
    return made


def test_what_is_due_runs_and_no_one_is_asked(desk: Desk) -> None:
    ran = desk("run")
    assert (ran.exit_code, ran.stdout) == (0, "patch at 2026-12-06T02:00:00Z: done: patched: gpu1\n")
    assert desk("run").stdout == "nothing is due\n"
    assert desk("run", "--json").document == {"ended": []}


def test_a_missed_window_is_told_and_is_no_failure_of_this_run(desk: Desk) -> None:
    desk.clock.now = END
    ran = desk("run", "--json")
    assert ran.exit_code == 0
    assert ran.document["ended"] == [
        {
            "schedule": "patch",
            "start": "2026-12-06T02:00:00Z",
            "state": "missed",
            "summary": "nobody started it in time",
        }
    ]


def test_a_run_that_was_lost_for_good_exits_with_12(desk: Desk) -> None:
    update(cast(Any, desk.store), attempt("ctl2"))
    desk.clock.now = END
    assert desk("run").exit_code == 12


def test_an_error_of_a_run_is_shown_with_its_exit_code(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Result:
        raise RackwrightError("a gate is closed", where="gpu1", next="wait")

    monkeypatch.setattr(PatchJob, "__call__", fails)
    ran = desk("run", "patch")
    assert (ran.exit_code, ran.stderr.splitlines()) == (1, ["error: gpu1: a gate is closed", "  next: wait"])


def test_what_fails_before_a_run_has_started_is_reported_unless_a_person_asked_for_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(unable, "in_tool_mode", lambda: True)
    monkeypatch.setattr(unable, "_report", lambda error, *_: seen.append(type(error).__name__))
    assert desk("run", "patch", text="fleet: 1").exit_code == 10
    assert seen == []
    assert desk("run", text="fleet: 1").exit_code == 10
    desk.store.silent = 1
    assert desk("run").exit_code == 3
    assert seen == ["FleetError", "HostError"]


def test_the_list_shows_what_comes_and_what_ran(desk: Desk) -> None:
    update(
        cast(Any, desk.store), attempt(state="done", number=2, summary="patched: gpu1", ended=SUNDAY + HOUR, run="r1")
    )
    desk.clock.now = END
    assert desk("list").stdout.splitlines() == [
        "SCHEDULE  WHEN                   NEXT                      STATE",
        "patch     sun 02:00-05:00 (UTC)  Sun 2026-12-13 02:00 UTC  waiting",
        "",
        "RAN    AT                        STATE         ON    SUMMARY",
        "patch  Sun 2026-12-06 02:00 UTC  done (try 2)  ctl1  patched: gpu1",
    ]
    (document,) = desk("list", "--json").document["schedules"]
    (ran,) = document.pop("runs")
    assert document == {
        "name": "patch",
        "when": "sun 02:00-05:00 (UTC)",
        "next": "2026-12-13T02:00:00Z",
        "paused_until": None,
        "running_on": None,
        "missed": [],
        "warnings": [],
    }
    assert (ran["start"], ran["ended"], ran["tries"], ran["run"], ran["machine"]) == (
        "2026-12-06T02:00:00Z",
        "2026-12-06T03:00:00Z",
        2,
        "r1",
        "ctl1",
    )


def test_the_list_names_what_was_missed(desk: Desk) -> None:
    desk.clock.now = END
    when = "nothing started it at Sun 2026-12-06 02:00 UTC"
    assert desk("list").stdout.splitlines()[-1] == (
        f"warning: patch run was missed: {when}; next: rackwright schedule list"
    )


def test_a_fleet_without_schedules_says_what_is_needed(desk: Desk) -> None:
    ran = desk("list", text=PATCH_ONLY.replace("window: sun 02:00-05:00", ""))
    assert ran.stdout == "nothing runs on a schedule; that needs unattended.on, and patch.window or drill.at\n"
    assert desk("run", "drill").exit_code == 2


def test_a_pause_and_its_end(desk: Desk) -> None:
    desk.clock.now = SUNDAY - HOUR
    ran = desk("pause", "--until", "2026-12-06")
    assert ran.stdout == "patch: paused until the end of 2026-12-06\n"
    assert "paused until Mon 2026-12-07 00:00 UTC" in desk("list").stdout
    desk.clock.now = SUNDAY
    assert "skipped: the schedule was paused" in desk("run").stdout
    assert desk("resume", "patch").stdout == "patch: resumed\n"
    document = desk("pause", "patch", "--until", "2026-12-07", "--json").document
    assert document == {"pauses": [{"schedule": "patch", "until": "2026-12-08T00:00:00Z"}]}


@pytest.mark.parametrize("words", [("pause", "patch"), ("pause", "--until", "soon"), ("run", "backup")])
def test_what_can_t_be_meant_is_refused(desk: Desk, words: tuple[str, ...]) -> None:
    assert desk(*words).exit_code == 2


def test_every_schedule_can_be_named() -> None:
    assert SCHEDULES == NAMES
