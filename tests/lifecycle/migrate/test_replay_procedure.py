"""`migrate replay` with its log on control hosts: agreed to first, noted, continued on another machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from rackwright.cli.render.migrate_report.replay_text import stopped_error
from rackwright.errors import FleetError, RackwrightError
from rackwright.lifecycle.migrate.replay import replay as replay_module
from rackwright.lifecycle.migrate.replay.gateway_lanes import Hours
from rackwright.lifecycle.migrate.replay.procedure import replay
from rackwright.lifecycle.migrate.score.procedure import score
from rackwright.lifecycle.migrate.stale import stale
from rackwright.lifecycle.migrate.standing import standing
from rackwright.migrate.asking.outcome import Asks, Outcome
from rackwright.migrate.asking.spent import Spent
from rackwright.migrate.asking.stopped import Kind, Stopped
from rackwright.migrate.assessment import Assessed, Moved
from rackwright.migrate.features.mapping import mapping
from rackwright.migrate.features.summary import ModelTraffic, TrafficSummary
from rackwright.values.windows import parse_window
from tests.lifecycle.migrate.desk_ends import Agreeing, DeskEnds, desk_with_ends
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.ends import Ends, request
from tests.stand_in_cloud import Fault, StandInCloud


@pytest.fixture
def made(desk: Desk, ends: Ends, monkeypatch: pytest.MonkeyPatch) -> DeskEnds:
    return desk_with_ends(desk, ends, monkeypatch)


def test_it_asks_first_and_notes_each_part(made: DeskEnds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "IN_FILE", 3)
    made.record(*(request(number) for number in range(5)))
    console = Agreeing()
    done = replay(made.desk.open(console))
    assert console.asked == ["Ask openai and the fleet?"]
    assert console.said[:3] == [
        "sample: 5 of 5 recorded requests; for 5 of them, an answer is missing",
        "the cloud openai: 10 requests, probably 0.00 USD, at most 0.00 USD".replace("USD", "EUR"),
        "budget: 0.00 of 50.00 EUR are spent",
    ]
    assert done.outcome.done
    assert done.outcome.stopped is None
    place = made.desk.open()
    assert [entry.step for entry in place.entries()] == ["init", "replay", "replay", "replay"]
    assert place.entries()[-1].what.startswith(
        "5 requests; asked: 5 cloud, 5 again, 5 fleet; 0.00 of 50.00 EUR spent"
    )
    noted = place.result("replay", Outcome)
    assert noted is not None
    assert noted.model_dump() == done.outcome.model_dump()
    assert "Question" not in noted.model_dump_json()


def test_refused_means_that_nothing_is_asked(made: DeskEnds) -> None:
    made.record(request(1))
    with pytest.raises(RackwrightError, match="not confirmed"):
        replay(made.desk.open(Agreeing(agrees=False)))
    assert not made.ends.cloud.received
    assert not made.desk.open().entries()


def test_another_machine_with_the_folder_goes_on(
    made: DeskEnds, desk_of: Callable[..., Desk], ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.record(*(request(number) for number in range(6)))
    ends.cloud.faults.append(Fault("status", status=403, times=-1))
    place = made.desk.open(Agreeing())
    error = stopped_error(replay(place).outcome, place.plan)
    assert error
    assert error.exit_code == 1
    assert error.problems[0].next == "rackwright check, then rackwright migrate replay support"
    ends.cloud.faults.clear()
    other = desk_with_ends(desk_of("ben", "desktop"), ends, monkeypatch)
    shutil.copytree(made.desk.records, other.desk.records)
    done = replay(other.desk.open(Agreeing()))
    assert done.outcome.done
    before = len(ends.cloud.received)
    console = Agreeing()
    assert replay(other.desk.open(console)).outcome.done
    assert console.said == ["every request of the sample was asked already"]
    assert len(ends.cloud.received) == before


def test_the_end_of_the_budget_is_an_error_that_says_what_to_do(made: DeskEnds) -> None:
    made.desk.edit("budget: 50", "budget: 0.000001")
    made.record(request(1))
    place = made.desk.open(Agreeing())
    outcome = replay(place).outcome
    assert str(stopped_error(outcome, place.plan)) == (
        "support: the replay stopped: the budget is used up; replay.budget of the plan covers no further request\n"
        "  next: raise replay.budget in the plan, then rackwright migrate replay support"
    )
    some = stopped_error(outcome.model_copy(update={"asks": {"cloud": Asks(answered=1)}}), place.plan)
    assert some
    assert some.problems[0].next == "rackwright migrate score support"
    assert not made.ends.cloud.received


def test_a_killed_replay_counts_its_reserve(made: DeskEnds) -> None:
    made.record(request(1))
    place = made.desk.open()
    place.note("replay", "x", Outcome(recorded=1, sample=1, currency="EUR", spent=1.0, reserved=2.0))
    console = Agreeing()
    done = replay(made.desk.open(console))
    assert done.outcome.spent == pytest.approx(3.0, abs=0.01)
    interrupted = next(one for one in console.said if one.startswith("an earlier replay was interrupted: "))
    assert "2.00 EUR count as spent, the most that its unanswered requests may have cost" in interrupted


def test_what_an_end_cannot_answer_is_refused_before_anything(made: DeskEnds) -> None:
    made.record(request(1))
    text = made.desk.path.read_text()
    made.desk.path.write_text(text.replace("chat: {cloud: openai, names: [gpt-4o-mini]}", ""))
    with pytest.raises(FleetError, match="the gateways pass no gpt-4o-mini to the cloud openai"):
        replay(made.desk.open(Agreeing()))
    made.desk.path.write_text(text)
    made.desk.edit("{gpt-4o-mini: assistant}", "{gpt-4o-mini: chat}")
    with pytest.raises(FleetError, match="chat has no replica yet"):
        replay(made.desk.open(Agreeing()))
    assert not made.ends.cloud.received


def test_hours_by_the_fleets_time_zone() -> None:
    from zoneinfo import ZoneInfo

    said: list[str] = []
    now = [datetime(2026, 12, 1, 18, 0, tzinfo=UTC)]
    hours = Hours((parse_window("daily 20:00-06:00"),), ZoneInfo("Europe/Berlin"), said.append, lambda: now[0])
    closed_until = hours.waiter()
    assert closed_until() == 3600
    assert closed_until() == 3600
    assert said == ["outside replay.hours: waiting until Tue 2026-12-01 20:00 CET"]
    now[0] += timedelta(hours=1)
    assert closed_until() == 0
    assert Hours((), UTC, said.append).waiter()() == 0


def test_another_currency_is_refused(made: DeskEnds) -> None:
    made.record(request(1))
    replay(made.desk.open(Agreeing()))
    made.desk.edit("EUR", "USD")
    made.record(request(2))
    for fleet_again in (False, True):
        with pytest.raises(RackwrightError, match="should stay EUR"):
            replay(made.desk.open(Agreeing()), fleet_again=fleet_again)
    assert sum(one.lines for _, one in made.desk.open().folder.of("answers-fleet")) == 1


def refusing_n(*, waivers: bool = False) -> Assessed:
    """An assessment that says that the fleet refuses `n`, and `logprobs`, which clients may be able to do without."""
    traffic = ModelTraffic(requests=3, features={"n": 3, "logprobs": 3})
    waived = {"logprobs": "nobody reads them"} if waivers else {}
    mapped = mapping(traffic, {"n": "rejected", "logprobs": "rejected"}, waivers=waived)
    moved = Moved(model="gpt-4o-mini", target="assistant", runtime="vllm", context=9, mapped=mapped)
    return Assessed(probed=True, traffic=TrafficSummary(requests=3), moved=(moved,))


def sent(end: StandInCloud) -> list[set[str]]:
    bodies = [json.loads(one.body) for one in end.completions()]
    end.received.clear()
    return [set(body) & {"n", "logprobs", "messages"} for body in bodies]


def test_the_fleet_is_asked_as_the_map_says_and_again_if_it_changes(made: DeskEnds) -> None:
    made.record(*(request(number, n=2, logprobs=True) for number in range(3)))
    made.desk.open().note("assess", "x", refusing_n())
    assert replay(made.desk.open(Agreeing())).outcome.done
    assert sent(made.ends.cloud) == [{"n", "logprobs", "messages"}] * 6
    assert sent(made.ends.fleet) == [{"logprobs", "messages"}] * 3
    made.desk.open().note("assess", "x", refusing_n(waivers=True))
    done = replay(made.desk.open(Agreeing())).outcome
    assert done.done
    assert done.ends == ("openai", "gpt-4o-mini → assistant, without logprobs, n")
    # What the cloud has answered is still paid for, and still good.
    assert sent(made.ends.cloud) == []
    assert sent(made.ends.fleet) == [{"messages"}] * 3
    scored = score(made.desk.open())
    assert (scored.requests, scored.left_out) == (3, {})


def test_with_nothing_left_to_ask_a_stale_replay_holds_again(made: DeskEnds) -> None:
    made.record(*(request(number) for number in range(3)))
    made.desk.open().note("import", "3 requests")
    replay(made.desk.open(Agreeing()))
    made.desk.edit("{budget: 50}", "{budget: 50, sample: 2}")
    place = made.desk.open()
    assert [one.entry.step for one in stale(place.log, place.plan)] == ["replay"]
    entries = len(place.entries())
    assert replay(made.desk.open(Agreeing())).outcome.sample == 2
    place = made.desk.open()
    assert stale(place.log, place.plan) == ()
    assert len(place.entries()) == entries + 1


def test_what_scores_have_cost_is_no_longer_there_for_a_replay(made: DeskEnds) -> None:
    made.record(request(1))
    made.desk.open().note("golden", "x", Spent(currency="EUR", spent=30.0, reserved=20.0))
    console = Agreeing()
    done = replay(made.desk.open(console))
    assert console.said[2] == "budget: 50.00 of 50.00 EUR are spent"
    assert done.outcome.stopped == Stopped(kind="budget")
    assert done.outcome.spent == 0
    assert not made.ends.cloud.received


def test_newer_records_that_the_sample_does_not_need_leave_it_valid_after_a_replay(made: DeskEnds) -> None:
    made.desk.edit("{budget: 50}", "{budget: 50, sample: 2}")
    made.record(request(1), request(2))
    made.desk.open().note("import", "2 requests")
    replay(made.desk.open(Agreeing()))
    made.record(request(3))
    made.desk.open().note("import", "1 request")
    place = made.desk.open()
    assert [one.entry.step for one in stale(place.log, place.plan)] == ["replay"]
    asked = len(made.ends.cloud.received)
    replay(made.desk.open(Agreeing()))
    place = made.desk.open()
    assert stale(place.log, place.plan) == ()
    assert len(made.ends.cloud.received) == asked
    # Once more, and nothing is new.
    entries = len(place.entries())
    replay(made.desk.open(Agreeing()))
    assert len(made.desk.open().entries()) == entries


def test_a_fleet_that_was_changed_is_asked_everything_again_and_the_cloud_is_not(made: DeskEnds) -> None:
    """After a FAIL the fleet gets another model or other settings; what the cloud answered is paid."""
    made.record(*(request(number) for number in range(5)))
    before = replay(made.desk.open(Agreeing())).outcome
    asked = len(made.ends.cloud.completions()), len(made.ends.fleet.completions())
    with pytest.raises(RackwrightError, match="not confirmed"):
        replay(made.desk.open(Agreeing(agrees=False)), fleet_again=True)
    assert sum(one.lines for _, one in made.desk.open().folder.of("answers-fleet")) == 5
    console = Agreeing()
    found = replay(made.desk.open(console), fleet_again=True).outcome
    assert console.asked[0] == "Remove 5 answers of the fleet, and ask for them again?"
    assert (len(made.ends.cloud.completions()), len(made.ends.fleet.completions())) == (asked[0], asked[1] + 5)
    assert (found.done, found.spent) == (True, pytest.approx(before.spent))
    assert sum(one.lines for _, one in made.desk.open().folder.of("answers-fleet")) == 5
    assert "5 answers of the fleet removed, to ask it again" in [one.what for one in made.desk.open().entries()]


def test_after_an_update_of_its_model_the_same_command_asks_the_fleet_again(made: DeskEnds) -> None:
    desk = made.desk
    desk.lock("1")
    made.record(*(request(number) for number in range(3)))
    assert replay(desk.open(Agreeing())).outcome.done
    asked = len(made.ends.cloud.completions()), len(made.ends.fleet.completions())
    now = standing(desk.session.fleet, desk.store, "support")
    assert now.stale_result("replay") is None
    desk.lock("2")
    now = standing(desk.session.fleet, desk.store, "support")
    old = now.stale_result("replay")
    assert old
    assert old.why == ("the lock has another version of assistant",)
    operator = Agreeing()
    with pytest.raises(RackwrightError, match="the lock has another version of assistant since the replay") as caught:
        score(desk.open(operator))
    assert caught.value.problems[0].next == "rackwright migrate replay support"
    done = replay(desk.open(operator)).outcome
    assert done.done
    assert (len(made.ends.cloud.completions()), len(made.ends.fleet.completions())) == (asked[0], asked[1] + 3)
    assert standing(desk.session.fleet, desk.store, "support").stale_result("replay") is None
    assert score(desk.open(operator)).requests == 3
    # Back to the version before: its answers are there, and the log says that they count again.
    desk.lock("1")
    assert standing(desk.session.fleet, desk.store, "support").stale_result("replay")
    assert replay(desk.open(operator)).outcome.done
    assert len(made.ends.fleet.completions()) == asked[1] + 3
    assert standing(desk.session.fleet, desk.store, "support").stale_result("replay") is None


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        ("cloud's key refused", "check clouds.openai.key, then rackwright check, then "),
        ("no model", "rackwright apply, then "),
        ("unanswered", "rackwright status, then "),
        ("interrupted", ""),
        ("long wait", ""),
    ],
)
def test_why_a_replay_stopped_decides_what_comes_first(made: DeskEnds, kind: Kind, first: str) -> None:
    outcome = Outcome(recorded=1, sample=1, currency="EUR", stopped=Stopped(kind=kind, side="cloud"))
    error = stopped_error(outcome, made.desk.open().plan)
    assert error
    assert error.problems[0].next == f"{first}rackwright migrate replay support"
