"""How far a migration is: what comes next, and what no longer holds after a change of the plan or newer records."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from rackwright.errors import FleetError, HostError, RackwrightError, UsageError
from rackwright.lifecycle.migrate import standing as standings
from rackwright.lifecycle.migrate.same_folder import Known
from rackwright.lifecycle.migrate.stale import FOLLOWS, KEYS, RESULTS
from rackwright.lifecycle.migrate.standing import Standing, all_standings, standing
from rackwright.migrate.plan.plan import Plan
from rackwright.migrate.plan.plan_keys import key_digests
from rackwright.state.migrations import Act
from rackwright.values.base import Stored
from tests.lifecycle.migrate.desks import PLAN, Desk

Desks = Callable[..., Desk]
COSTS = "costs: {capital: 1000, kilowatts: 1, kilowatt_hour: 0.2, staff: 10}\n"


class Found(Stored):
    format: str = "found/1"


def now(desk: Desk) -> Standing:
    return standing(desk.session.fleet, desk.store, "support")


def why(desk: Desk) -> dict[str, tuple[str, ...]]:
    return {one.entry.act: one.why for one in now(desk).stale}


def record(desk: Desk, line: str = '{"id": 1}') -> None:
    place = desk.open()
    place.folder.write("requests", [line])
    place.note("import", "1 request")


def done(desk: Desk, *acts: Act) -> None:
    for act in acts:
        desk.open().note(act, "done", Found())


def test_each_step_names_the_next(desk: Desk) -> None:
    desk.write(PLAN + COSTS)
    assert now(desk).next == "rackwright migrate capture support, or rackwright migrate import support"
    record(desk)
    for act in RESULTS:
        assert now(desk).next == f"rackwright migrate {act} support"
        done(desk, act)
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
        ("EUR", "USD", {"cost": ("the plan has another currency",)}),
        ("input: 0.15", "input: 0.2", {"cost": ("the plan has another prices",)}),
        ("currency", "score: {margin: 3}\ncurrency", {"score": ("the plan has another score.margin",)}),
        ("currency", "capacity: {spare: 2}\ncurrency", {"capacity": ("the plan has another capacity.spare",)}),
        (
            "currency",
            "waivers: {logprobs: nobody reads them}\ncurrency",
            {"assess": ("the plan has another waivers",)},
        ),
        (
            "staff: 10",
            "staff: 11, hosting: 5",
            {"cost": ("the plan has another costs.hosting and costs.staff",)},
        ),
        (
            "replay:",
            '  redact: {ticket: "TCK-[0-9]+"}\nreplay:',
            {"import": ("the plan has another records.redact",)},
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
        (act,) = expected
        assert now(desk).next == f"rackwright migrate {act} support"
        # Doing it again with the new plan is all that it takes; what follows from it comes next.
        done(desk, act)  # type: ignore[arg-type]
        assert act not in why(desk)


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
    for act, keys in KEYS.items():
        for key in keys:
            assert any(one == key or one.startswith(f"{key}.") for one in there), (act, key)
    acts = {"capture", "import", "erase", *RESULTS}
    assert set(KEYS) | set(FOLLOWS) <= acts
    assert all(set(before) <= acts for before in FOLLOWS.values())


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
    assert found.next.startswith("put the folder right: ")


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
