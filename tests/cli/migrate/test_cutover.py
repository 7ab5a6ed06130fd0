"""`migrate cutover`, `rollback`, `pause` and `resume`: what they ask and print, and their exit codes."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from rackwright.lifecycle.migrate.capture import CaptureResult
from rackwright.lifecycle.migrate.cutover import procedure
from tests.cli.command_line import Ran, rackwright
from tests.lifecycle.migrate.cutover.test_ready import capacity, in_fleet, measure
from tests.lifecycle.migrate.cutover.world import Made, made
from tests.lifecycle.migrate.desks import Desk


@pytest.fixture
def at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Gateways and clients are stand-ins."""
    in_fleet(desk, "    context: 2048\n", "    context: 2048\n    cloud: openai\n")
    in_fleet(desk, "[assistant, gpt-4o-mini]", "[gpt-4o-mini]")
    found = made(desk, monkeypatch)
    monkeypatch.setattr(
        "rackwright.lifecycle.session.session.open_session", lambda *_, **__: nullcontext(desk.session)
    )
    monkeypatch.setattr("rackwright.lifecycle.rollout.change.SystemClock", lambda: found.world)
    monkeypatch.setattr(procedure, "blocks_of", lambda _: found.blocked)
    monkeypatch.setattr(procedure, "fresh_score", lambda _place, _clock, state: found.score.begin(state))
    monkeypatch.setattr(procedure, "looked", lambda _: CaptureResult(gateways={}))
    return found


def ran(at: Made, *words: object, answers: str = "") -> Ran:
    command, *options = words
    return rackwright("-f", at.desk.path, "migrate", command, "support", *options, answers=answers)


def shares(at: Made) -> set[float]:
    return {one.share for one in at.world.gateways.values()}


def test_a_dry_run_shows_the_gateways_and_what_comes_and_changes_nothing(at: Made) -> None:
    measure(at.desk)
    done = ran(at, "cutover")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "the cloud answers all requests"
    assert [line.split()[:3] for line in lines[2:4]] == [["gate1", "0", "%"], ["gate2", "0", "%"]]
    assert "to come: 5 %, 25 %, 50 %, 100 %" in lines
    assert lines[-1] == "next: rackwright migrate cutover support --execute"
    document = ran(at, "cutover", "--json").document
    assert [step["share"] for step in document["steps"]] == [5, 25, 50, 100]
    assert document["state"]["phase"] == "back"
    assert shares(at) == {0}


def test_without_the_operators_yes_nothing_happens(at: Made) -> None:
    measure(at.desk)
    done = ran(at, "cutover", "--execute", answers="n\n")
    assert done.exit_code == 1
    assert "Give the fleet 5 % of new conversations, and go on by the plan?" in done.stdout + done.stderr
    assert shares(at) == {0}
    assert not [one for one in at.desk.open().entries() if one.step == "cutover"]


def test_it_grows_until_the_way_back_must_be_tried_and_then_to_the_whole(at: Made) -> None:
    measure(at.desk)
    at.desk.edit("share: [5, 25, 50, 100]", "share: [5, 100]")
    done = ran(at, "cutover", "--execute", answers="y\n")
    assert done.exit_code == 12
    assert "the way back was not tried in this migration" in done.stderr
    assert "5 %: PASS: " in done.stderr
    assert shares(at) == {5}
    status = ran(at, "status").stdout.splitlines()
    assert status[-1] == "next: rackwright migrate rollback support: the way back must be tried before 100 %"
    back = ran(at, "rollback")
    assert (back.exit_code, back.stdout.splitlines()) == (
        0,
        [
            "gate1: all requests go to the cloud",
            "gate2: all requests go to the cloud",
            "next: rackwright migrate cutover support, which shows how it can go on",
        ],
    )
    assert shares(at) == {0}
    whole = ran(at, "cutover", "--execute", "--from", "100", "--yes")
    assert whole.exit_code == 0, whole.stderr
    assert whole.stdout.splitlines()[0] == "the fleet gets 100 % of new conversations, and its gate has passed"
    assert shares(at) == {100}
    assert ran(at, "status").stdout.splitlines()[-1] == "next: rackwright migrate review support"


def test_a_fleet_that_fails_ends_with_the_reason_and_12(at: Made) -> None:
    measure(at.desk)
    at.world.fails = 0.5
    done = ran(at, "cutover", "--execute", "--yes", "--json")
    assert done.exit_code == 12
    (problem,) = done.error["problems"]
    assert problem["what"].startswith("at 5 %: FAIL: ")
    assert problem["should"] == "the cloud answers all requests again"
    assert problem["next"] == "rackwright migrate status support"
    assert shares(at) == {0}
    said = ran(at, "status").stdout
    assert "the cloud answers all requests again: " in said
    assert said.splitlines()[-1] == "next: rackwright migrate cutover support"


def test_a_share_that_isn_t_in_the_plan_is_refused_with_12(at: Made) -> None:
    done = ran(at, "cutover", "--execute", "--from", "30", "--yes")
    assert done.exit_code == 12
    assert "30 % isn't one of the plan's shares" in done.stderr
    assert shares(at) == {0}


def test_a_pause_keeps_the_share_and_resume_goes_on(at: Made) -> None:
    assert ran(at, "pause", "too early").exit_code == 2
    at.has(5)
    done = ran(at, "pause", "an incident")
    assert (done.exit_code, done.stdout.splitlines()) == (
        0,
        ["paused; the share stays", "next: rackwright migrate resume support"],
    )
    assert shares(at) == {5}
    refused = ran(at, "cutover", "--execute", "--yes")
    assert refused.exit_code == 12
    assert "anna@laptop paused it: an incident" in refused.stderr
    assert ran(at, "cutover", "--json").document["paused_by"] == "anna@laptop"
    assert ran(at, "status").stdout.splitlines()[-1] == "next: rackwright migrate resume support"
    at.desk.open().note("capacity", "done", capacity(1, 10))
    at.desk.edit("share: [5, 25, 50, 100]", "share: [5, 25, 100]")
    done = ran(at, "resume", answers="y\n")
    assert done.exit_code == 12
    assert shares(at) == {25}


def test_a_rollback_names_what_it_couldn_t_reach_and_exits_with_3(at: Made) -> None:
    at.has(5)
    at.world.gateways["gate2"].down = True
    done = ran(at, "rollback", "--json")
    assert done.exit_code == 3
    assert done.document == {"gateways": ["gate1"], "missed": {"gate2": "can't be reached"}, "not_noted": ""}
    assert "gate2: can't be reached" in ran(at, "rollback").stderr
    at.world.gateways["gate2"].down = False
    assert ran(at, "rollback").exit_code == 0
    assert shares(at) == {0}


def test_a_rollback_works_without_the_plan_and_without_the_control_hosts(at: Made) -> None:
    at.has(5)
    at.desk.plan.unlink()
    at.desk.hosts.shells["gate1"].gone = True
    done = ran(at, "rollback")
    assert done.exit_code == 0
    assert "the migration's log doesn't say so: gate1: unreachable" in done.stderr
    assert shares(at) == {0}


def test_a_panic_file_is_shown_and_refuses_every_share(at: Made) -> None:
    at.has(5)
    at.world.gateways["gate1"].panic = True
    done = ran(at, "cutover")
    assert done.exit_code == 0
    assert "gate1: has a panic file: all requests go to the cloud" in done.stdout
    assert "panic file" in next(line for line in done.stdout.splitlines() if line.startswith("gate1 "))
    assert "gate1: has a panic file" in ran(at, "cutover", "--execute", "--yes").stderr
