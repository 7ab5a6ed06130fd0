"""How far a migration is: what comes next, and what no longer holds after a change of the plan or newer records."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable

import pytest

from rackwright.cli.render.migrate_report.standing_text import state_words
from rackwright.errors import FleetError, HostError, RackwrightError, UsageError
from rackwright.lifecycle.migrate import standing as standings
from rackwright.lifecycle.migrate.capture import CaptureResult, GatewayCapture
from rackwright.lifecycle.migrate.same_folder import Known
from rackwright.lifecycle.migrate.stale import FOLLOWS, KEYS, RESULTS
from rackwright.lifecycle.migrate.standing import Standing, all_standings, standing
from rackwright.migrate.asking.outcome import Asks, Outcome
from rackwright.migrate.asking.stopped import Stopped
from rackwright.migrate.assessment import Assessed, Moved, Used
from rackwright.migrate.features.mapping import Change, Mapped
from rackwright.migrate.features.summary import TrafficSummary
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_keys import key_digests
from rackwright.migrate.replayed_answer import Asked
from rackwright.state.migrations import Step
from rackwright.values.base import Stored
from tests.lifecycle.migrate.desks import PLAN, Desk

Desks = Callable[..., Desk]
COSTS = "costs: {capital: 1000, kilowatts: 1, kilowatt_hour: 0.2, staff: 10}\n"


class Found(Stored):
    format: str = "found/1"


def assessed(*waivers: str, status: str = "ok") -> Assessed:
    features = tuple(
        Used(name=name, means="x", requests=1, status=status, source="probed", waiver="no" if name in waivers else "")  # type: ignore[arg-type]
        for name in ("logprobs", "seed")
    )
    moved = Moved(model="gpt-4o-mini", target="assistant", runtime="vllm", context=9, features=features)
    return Assessed(probed=True, traffic=TrafficSummary(requests=20), moved=(moved,))


def replayed(*, stopped: Stopped | None = None, asked: int = 1, sample: int = 1) -> Outcome:
    asks: dict[Asked, Asks] = {one: Asks(answered=asked) for one in ("cloud", "again", "fleet")}
    ends = ("openai", "gpt-4o-mini → assistant")
    return Outcome(recorded=sample, sample=sample, asks=asks, currency="EUR", stopped=stopped, ends=ends)


def result_of(step: str) -> Stored:
    return assessed() if step == "assess" else replayed() if step == "replay" else Found()


def now(desk: Desk) -> Standing:
    return standing(desk.session.fleet, desk.store, "support")


def why(desk: Desk) -> dict[str, tuple[str, ...]]:
    return {one.entry.step: one.why for one in now(desk).stale}


def record(desk: Desk, line: str = '{"id": 1}') -> None:
    place = desk.open()
    place.folder.write("requests", [line])
    place.note("import", "1 request")


def done(desk: Desk, *steps: Step) -> None:
    for step in steps:
        desk.open().note(step, "done", result_of(step))


def test_each_step_names_the_next(desk: Desk) -> None:
    desk.write(PLAN + COSTS)
    assert now(desk).next == "rackwright migrate capture support, or rackwright migrate import support FILE"
    record(desk)
    for step in RESULTS:
        assert now(desk).next == f"rackwright migrate {step} support"
        done(desk, step)
    assert now(desk).next == "rackwright migrate report support --html support.html"
    assert now(desk).stale == ()


def test_without_costs_in_the_plan_nothing_waits_for_them(desk: Desk) -> None:
    record(desk)
    done(desk, "assess", "replay", "score", "capacity")
    assert now(desk).next == "rackwright migrate report support --html support.html"


def test_an_act_without_its_result_does_not_count(desk: Desk) -> None:
    record(desk)
    desk.open().note("assess", "stopped")
    assert now(desk).next == "rackwright migrate assess support"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("budget: 50", "budget: 60", {}),
        ("intent: The", "intent: Our", {}),
        ("EUR", "USD", {"cost": ("currency changed in the plan",)}),
        ("input: 0.15", "input: 0.2", {"cost": ("prices changed in the plan",)}),
        ("currency", "score: {margin: 3}\ncurrency", {"score": ("score.margin changed in the plan",)}),
        ("currency", "capacity: {spare: 2}\ncurrency", {"capacity": ("capacity.spare changed in the plan",)}),
        (
            "currency",
            "waivers: {logprobs: nobody reads them}\ncurrency",
            {"assess": ("waivers changed in the plan",)},
        ),
        (
            "staff: 10",
            "staff: 11, hosting: 5",
            {"cost": ("costs.hosting and costs.staff changed in the plan",)},
        ),
        (
            "replay:",
            '  redact: {ticket: "TCK-[0-9]{6}"}\nreplay:',
            {"import": ("records.redact changed in the plan",)},
        ),
    ],
)
def test_a_key_that_changes_midway_makes_stale_what_depends_on_it_and_nothing_else(
    desk: Desk, old: str, new: str, expected: dict[str, tuple[str, ...]]
) -> None:
    desk.write(PLAN + COSTS)
    record(desk)
    done(desk, *RESULTS)
    desk.edit(old, new)
    assert why(desk) == expected
    if expected and set(expected) <= set(RESULTS):
        (step,) = expected
        assert now(desk).next == f"rackwright migrate {step} support"
        # Doing it again with the new plan is all that it takes; what follows from it comes next.
        done(desk, step)  # type: ignore[arg-type]
        assert step not in why(desk)


def test_a_change_that_is_taken_back_makes_nothing_stale(desk: Desk) -> None:
    record(desk)
    done(desk, "assess")
    desk.edit("gpt-4o-mini: assistant", 'gpt-4o-mini:   "assistant"')
    assert why(desk) == {}


def test_newer_records_make_stale_what_was_made_from_older_ones(desk: Desk) -> None:
    record(desk)
    done(desk, *RESULTS)
    record(desk, '{"id": 2}')
    found = why(desk)
    assert set(found) == {"assess", "replay", "capacity", "cost"}
    assert all("import of 20" in reason[0] and "is newer (entry 8)" in reason[0] for reason in found.values())
    done(desk, "assess", "replay")
    assert set(why(desk)) == {"score", "capacity", "cost"}
    # A capture that only starts has no new requests.
    done(desk, "score", "capacity", "cost")
    desk.open().note("capture", "started")
    assert why(desk) == {}


def test_every_rule_is_about_a_key_and_an_act_that_exist() -> None:
    plan = Plan.model_validate(
        {
            "format": "migration-plan/1",
            "migration": "m",
            "intent": "why",
            "cloud": "openai",
            "models": {"a": "b"},
            "records": {"recipient": "age1" + "q" * 58, "identity": "file:key"},
            "replay": {"budget": 1},
            "currency": "EUR",
            "prices": {"a": {"input": 1, "output": 1}},
        }
    )
    there = key_digests(plan)
    for step, keys in KEYS.items():
        for key in keys:
            assert any(one == key or one.startswith(f"{key}.") for one in there), (step, key)
    steps = {"capture", "import", "erase", "export", *RESULTS}
    assert set(KEYS) | set(FOLLOWS) <= steps
    assert all(set(before) <= steps for before in FOLLOWS.values())


def test_files_that_are_missing_or_changed_are_named(desk: Desk) -> None:
    record(desk)
    record(desk, '{"id": 2}')
    (desk.records / "requests-000001.jsonl.age").unlink()
    (desk.records / "requests-000002.jsonl.age").write_bytes(b"x")
    found = now(desk)
    assert [(problem.where.rpartition("/")[2], problem.what) for problem in found.problems] == [
        ("requests-000001.jsonl.age", "is missing"),
        ("requests-000002.jsonl.age", "was changed"),
    ]
    assert found.next.startswith(f"restore {desk.records}/requests-000001.jsonl.age from a copy; without a copy, ")


def test_another_machine_hears_where_the_folder_and_the_plan_are(desk_of: Desks) -> None:
    anna, ben = desk_of("anna", "laptop"), desk_of("ben", "desk")
    record(anna)
    found = now(ben)
    assert found.folder
    assert found.folder.state is Known.ABSENT
    (problem,) = found.problems
    digest = anna.open().folder.sha256()
    assert (problem.where, problem.what) == (str(ben.records), "isn't on this machine")
    assert problem.should == (
        f"anna@laptop had it on laptop: copy it from there; the sha256 of its files.json is {digest}"
    )
    shutil.copytree(anna.records, ben.records)
    assert now(ben).problems == ()
    assert now(ben).next == "rackwright migrate assess support"
    ben.plan.unlink()
    found = now(ben)
    assert found.plan is None
    assert found.next == "copy site.migrate-support.yml from laptop"
    assert len(found.log.entries) == 2


def test_a_folder_with_files_of_an_act_that_was_not_noted_says_so(desk: Desk) -> None:
    record(desk)
    desk.open().folder.write("answers-cloud", ["{}"])
    found = now(desk).folder
    assert found
    assert (found.state, found.files, found.requests) == (Known.AHEAD, 2, 1)


@pytest.mark.parametrize("more", [False, True])
def test_after_a_restore_of_an_older_log_the_folder_goes_on_and_says_what_is_lost(desk: Desk, more: bool) -> None:
    record(desk)
    older = desk.store.dump().documents
    if more:
        record(desk, '{"id": 2}')
    done(desk, "assess")
    shutil.rmtree(f"{desk.hosts.connection('gate1').var}/migrations")
    for path, text in older.items():
        desk.store.put(path, text)
    for _ in range(2):
        found = now(desk)
        assert found.folder
        assert found.folder.state is Known.LOST
        assert "knows an entry that the log on the control hosts lacks" in found.problems[0].what
    assert found.next == "rackwright migrate assess support"
    done(desk, "assess")
    assert now(desk).problems == ()


def test_all_migrations_are_listed_with_their_problems(desk: Desk) -> None:
    assert [one.migration for one in all_standings(desk.session.fleet, desk.store)] == ["support"]
    record(desk)
    other = desk.plan.with_name("site.migrate-batch.yml")
    other.write_text("a: 1\n")
    batch, support = all_standings(desk.session.fleet, desk.store)
    assert (batch.migration, support.migration) == ("batch", "support")
    assert batch.problems
    assert batch.next == "rackwright migrate status batch"
    assert support.problems == ()
    # Its log is enough.
    other.unlink()
    desk.plan.unlink()
    (support,) = all_standings(desk.session.fleet, desk.store)
    assert "isn't on this machine" in support.problems[0].what
    desk.hosts.connection("gate1").gone = True
    with pytest.raises(HostError):
        all_standings(desk.session.fleet, desk.store)


def test_a_control_host_that_is_lost_while_they_are_read_is_an_error(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> None:
        raise HostError("unreachable", where="gate1")

    monkeypatch.setattr(standings, "read_log", lost)
    with pytest.raises(HostError):
        all_standings(desk.session.fleet, desk.store)


def test_a_broken_log_is_refused_and_listed(desk: Desk) -> None:
    record(desk)
    path = "migrations/support.log/000002.json"
    desk.store.put(path, str(desk.store.read(path)).replace("1 request", "9 requests"))
    for refused in (lambda: now(desk), desk.open):
        with pytest.raises(RackwrightError, match="entry 2 was changed"):
            refused()
    (one,) = all_standings(desk.session.fleet, desk.store)
    assert one.problems[0].what == "entry 2 was changed"


def test_without_plan_and_log_there_is_nothing(desk: Desk) -> None:
    desk.plan.unlink()
    with pytest.raises(UsageError, match="there is no migration plan"):
        now(desk)
    with pytest.raises(UsageError, match="is no name of a migration"):
        standing(desk.session.fleet, desk.store, "x/y")
    desk.write("a: 1\n")
    with pytest.raises(FleetError):
        now(desk)


def note(desk: Desk, step: Step, result: Stored | None) -> None:
    desk.open().note(step, "x", result)


def holds(desk: Desk, step: str) -> str:
    found = now(desk).progress
    assert found is not None
    return state_words(found.state(step))


def capture(*, running: bool = False, waiting: int = 0, fetched: int = 0) -> CaptureResult:
    gateway = GatewayCapture(
        running=running, until=1, ended="", recorded=1, bytes=1, waiting=waiting, dropped={}, personal={}
    )
    return CaptureResult(gateways={"gate1": gateway}, fetched_files=fetched, fetched_requests=fetched)


START = "rackwright migrate capture support, or rackwright migrate import support FILE"
FETCH = "rackwright migrate capture support --fetch"


def test_the_whole_way_from_a_new_plan_to_the_report(desk: Desk) -> None:
    desk.write(PLAN + COSTS)
    assert now(desk).next == START
    note(desk, "capture", capture(running=True))
    assert now(desk).next == FETCH
    # Ended before any request was recorded: nothing is there to fetch.
    note(desk, "capture", capture())
    assert now(desk).next == START
    note(desk, "capture", capture(waiting=2))
    assert now(desk).next == FETCH
    desk.open().folder.write("requests", ['{"id": 1}'])
    note(desk, "capture", capture(waiting=2, fetched=2))
    assert (now(desk).next, holds(desk, "assess")) == ("rackwright migrate assess support", "")
    note(desk, "assess", assessed(status="ignored"))
    assert holds(desk, "assess") == "up to date; 2 problems block the move"
    assert now(desk).next == (
        f"add waivers for logprobs and seed to {desk.plan}, or change the clients and record again; then rackwright "
        "migrate assess support"
    )
    desk.edit("currency: EUR", "waivers: {logprobs: unread, seed: unused}\ncurrency: EUR")
    assert now(desk).next == "rackwright migrate assess support"
    note(desk, "assess", assessed("logprobs", "seed", status="ignored"))
    assert (now(desk).next, holds(desk, "assess")) == ("rackwright migrate replay support", "up to date")
    note(desk, "replay", replayed(asked=0))
    assert holds(desk, "replay") == "not complete: it was interrupted"
    assert now(desk).next == "rackwright migrate replay support"
    note(desk, "replay", replayed(asked=0, stopped=Stopped(kind="key refused", side="cloud", detail="401")))
    assert now(desk).next == "rackwright migrate replay support"
    # With the same budget, it couldn't go on.
    note(desk, "replay", replayed(asked=0, stopped=Stopped(kind="budget")))
    assert holds(desk, "replay") == "not complete: the budget is used up"
    # There is nothing to score.
    assert now(desk).next == f"raise replay.budget in {desk.plan}, then rackwright migrate replay support"
    note(desk, "replay", replayed(sample=2, stopped=Stopped(kind="budget")))
    assert now(desk).next == "rackwright migrate score support"
    desk.edit("budget: 50", "budget: 60")
    assert now(desk).next == "rackwright migrate replay support"
    note(desk, "replay", replayed())
    assert (now(desk).next, holds(desk, "replay")) == ("rackwright migrate score support", "up to date")
    note(desk, "golden", Found())
    assert now(desk).next == "rackwright migrate score support"
    done(desk, "score")
    assert now(desk).next == "rackwright migrate capacity support"
    done(desk, "capacity")
    assert now(desk).next == "rackwright migrate cost support"
    done(desk, "cost")
    assert now(desk).next == "rackwright migrate report support --html support.html"
    desk.open().folder.remove("requests")
    note(desk, "erase", Found())
    assert now(desk).next == START


def test_a_replay_that_was_made_with_other_changes_to_requests_is_stale(desk: Desk) -> None:
    record(desk)
    done(desk, "assess", "replay")
    changed = Change(feature="n", status="rejected", kind="rewritten", requests=1, means="x", replay="rewritten")
    found = assessed()
    moved = found.moved[0].model_copy(update={"mapped": Mapped(changes=(changed,))})
    note(desk, "assess", found.model_copy(update={"moved": (moved,)}))
    assert why(desk) == {"replay": ("the newest assessment changes requests to the fleet differently",)}
    assert now(desk).next == "rackwright migrate replay support"


def test_a_golden_set_makes_only_the_score_stale(desk: Desk) -> None:
    record(desk)
    done(desk, "assess", "replay", "score")
    asked = {"messages": [{"role": "user", "content": "x"}], "check": {"contains": "x"}}
    (desk.folder / "golden.jsonl").write_text(
        "".join(f"{json.dumps({'id': f'p{one}', **asked})}\n" for one in range(30))
    )
    desk.edit("currency", "score: {golden: golden.jsonl}\ncurrency")
    assert why(desk) == {"score": ("score.golden changed in the plan",)}


def test_a_result_that_was_changed_is_a_problem_and_must_be_made_again(desk: Desk) -> None:
    record(desk)
    done(desk, "assess", "replay")
    (path,) = (one for one in desk.store.dump().documents if "support" in one and "assess" in one)
    desk.store.put(path, str(desk.store.read(path)).replace('"requests": 1', '"requests": 2', 1))
    found = now(desk)
    assert [one.what for one in found.problems] == ["the result of entry 3 was changed"]
    assert holds(desk, "assess") == "stale: its result can't be read"
    assert found.next == "rackwright migrate assess support"


def test_without_times_of_arrival_nothing_waits_for_a_capacity(desk: Desk) -> None:
    desk.write(PLAN + COSTS)
    record(desk)
    found = assessed()
    untimed = found.traffic.model_copy(update={"undated": 1})
    note(desk, "assess", found.model_copy(update={"traffic": untimed}))
    done(desk, "replay", "score")
    assert holds(desk, "capacity") == "needs requests with a time of arrival"
    assert now(desk).next == "rackwright migrate cost support --usage FILE"


def test_a_model_without_a_replica_comes_first(desk: Desk) -> None:
    text = desk.path.read_text().replace("[assistant, gpt-4o-mini]", "[assistant]")
    desk.path.write_text(text.replace("gateway:", "  chat: {cloud: openai, names: [gpt-4o-mini]}\ngateway:", 1))
    desk.edit("{gpt-4o-mini: assistant}", "{gpt-4o-mini: chat}")
    assert now(desk).next == START
    record(desk)
    assert now(desk).next == (
        f"give chat a source, a runtime, a place and a context in {desk.path}, then rackwright apply; until then: "
        "rackwright migrate assess support --offline"
    )
