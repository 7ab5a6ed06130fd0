"""The plan's fallback on its way to the gateways and back."""

from __future__ import annotations

import re
import shutil

import pytest

from rackwright.cli.render.migrate_report.cutover_text import preview_document, preview_lines
from rackwright.errors import HostError, ProofError, UsageError
from rackwright.gateway.fallback_counts import Fallback
from rackwright.lifecycle.migrate.cutover import blocks
from rackwright.lifecycle.migrate.cutover.fallback_only import change_fallback
from rackwright.lifecycle.migrate.cutover.procedure import cutover
from rackwright.lifecycle.migrate.cutover.ready import Preview
from rackwright.lifecycle.migrate.cutover.rollback import rollback
from rackwright.lifecycle.migrate.cutover.watch import lines_of
from rackwright.lifecycle.rollout.change import Paused
from rackwright.lifecycle.status.parts import Status
from rackwright.migrate.recorded_request import RecordedRequest
from rackwright.roles.gateway.access_log import Access, _json
from tests.lifecycle.migrate.cutover.test_ready import capacity, in_fleet, scored
from tests.lifecycle.migrate.cutover.world import Made, made
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.test_standing import assessed, replayed

# Answers of 1,000 tokens at 0.6 EUR per million.
PER_HOUR = 5000


@pytest.fixture
def at(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Made:
    in_fleet(desk, "    context: 2048\n", "    context: 2048\n    cloud: openai\n")
    in_fleet(desk, "[assistant, gpt-4o-mini]", "[gpt-4o-mini]")
    return made(desk, monkeypatch)


def allow(made: Made, cost: float = 3) -> None:
    """Write a fallback into the plan, and record requests that say what one costs."""
    made.desk.edit("cutover: {", f"cutover: {{fallback: {{cost_per_hour: {cost:g}}}, ")
    request = RecordedRequest(
        id="r1",
        path="/v1/chat/completions",
        model="gpt-4o-mini",
        body={},
        origin="jsonl",
        prompt_tokens=0,
        completion_tokens=1000,
    )
    place = made.desk.open()
    place.folder.remove("requests")
    place.folder.write("requests", [request.model_dump_json()])
    place.note("import", "1 request")


def shown(made: Made) -> Preview:
    return cutover(made.desk.open(), made.world, execute=False)


def measure(made: Made) -> None:
    results = {"assess": assessed(), "replay": replayed(), "score": scored(), "capacity": capacity(1, 10)}
    for step, result in results.items():
        made.desk.open().note(step, "done", result)  # type: ignore[arg-type]


def allowed_at(made: Made) -> list[int]:
    return [gateway.falls.get("gpt-4o-mini", 0) for gateway in made.world.gateways.values()]


def reach(made: Made, share: float) -> None:
    """Give the fleet this share, as the command does, and stop before its gate."""
    with pytest.raises(Paused):
        made.run(share, fallback=shown(made).fallback, stopping=lambda: True)


def test_the_gateways_get_what_the_plan_s_money_pays_for(at: Made) -> None:
    allow(at)
    measure(at)
    found = shown(at)
    assert (found.problems, found.fallback_differs) == ((), False)
    assert found.fallback
    assert found.fallback.per_hour == PER_HOUR
    assert (
        "fallback to the cloud: at most 5,000 requests an hour, for gpt-4o-mini: 3 EUR, at 0.0006 for a request "
        "(95th percentile of 1 recorded request)"
    ) in preview_lines(found, "support", executed=False)
    assert preview_document(found)["fallback"]["per_hour"] == PER_HOUR  # type: ignore[index,call-overload]
    reach(at, 5)
    assert allowed_at(at) == [PER_HOUR] * 2
    assert at.state.fallback == found.fallback
    assert not shown(at).fallback_differs


def test_a_machine_without_the_records_goes_on_with_what_was_computed(at: Made) -> None:
    allow(at)
    measure(at)
    reach(at, 5)
    shutil.rmtree(at.desk.open().folder.path)
    found = shown(at)
    assert found.fallback
    assert (found.fallback.per_hour, found.problems) == (PER_HOUR, ())
    # Other money has to be computed anew.
    at.desk.edit("cost_per_hour: 3", "cost_per_hour: 6")
    assert shown(at).problems
    with pytest.raises(ProofError):
        change_fallback(at.desk.open(), at.world)
    assert allowed_at(at) == [PER_HOUR] * 2


def test_it_changes_alone_and_ends_alone(at: Made) -> None:
    allow(at)
    measure(at)
    reach(at, 5)
    change = at.world.gateways["gate1"].change
    at.desk.edit("cost_per_hour: 3", "cost_per_hour: 6")
    lines = list(preview_lines(shown(at), "support", executed=False))
    assert "gate1 allows 5,000 an hour now" in lines
    assert "next, to change only that: rackwright migrate cutover support --execute --fallback-only" in lines
    change_fallback(at.desk.open(), at.world)
    assert allowed_at(at) == [2 * PER_HOUR] * 2
    at.desk.edit("fallback: {cost_per_hour: 6}, ", "")
    assert shown(at).fallback_differs
    assert not change_fallback(at.desk.open(), at.world).fallback_differs
    assert allowed_at(at) == [0, 0]
    assert at.state.fallback is None
    assert (at.state.phase, at.state.share, at.state.passed) == ("reached", 5, ())
    assert {(one.share, one.change) for one in at.world.gateways.values()} == {(5, change)}
    assert at.desk.open().entries()[-1].what == "no fallback to the cloud; the share stays"


def test_a_change_of_the_share_is_completed_first(at: Made) -> None:
    at.has(5)
    at.desk.open().note("cutover", "to 25 %", at.state.model_copy(update={"phase": "going", "share": 25}))
    with pytest.raises(UsageError, match="the share is on its way to 25 %"):
        change_fallback(at.desk.open(), at.world)
    assert {gateway.share for gateway in at.world.gateways.values()} == {5}


def test_the_lines_that_a_gate_reads_include_what_fell_back(at: Made) -> None:
    values = dict.fromkeys(Access.model_fields, "null") | {"name": '"gpt-4o-mini"', "conversation": "7"}
    for side in ("fleet", "cloud", "fallback"):
        line = _json({**values, "side": f'"{side}"'})
        assert re.search(lines_of(at.desk.open().plan), line)
    assert not re.search(lines_of(at.desk.open().plan), _json(values))


def test_a_rollback_ends_it_and_then_there_is_none_to_change(at: Made) -> None:
    allow(at)
    measure(at)
    reach(at, 5)
    rollback(at.session, "support", at.world)
    assert allowed_at(at) == [0, 0]
    assert at.state.fallback is None
    with pytest.raises(UsageError, match="no cutover is under way"):
        change_fallback(at.desk.open(), at.world)


def test_a_share_that_goes_back_keeps_it(at: Made) -> None:
    allow(at)
    measure(at)
    reach(at, 5)
    at.world.gateways["gate2"].sticks = True
    with pytest.raises(HostError, match="doesn't assign conversations by the new share"):
        at.run(25, fallback=shown(at).fallback)
    assert ({gateway.share for gateway in at.world.gateways.values()}, allowed_at(at)) == ({5}, [PER_HOUR] * 2)
    assert at.state.fallback


def test_money_that_pays_for_nothing_is_refused(at: Made) -> None:
    allow(at, 0.0001)
    measure(at)
    assert [f"{one.where}: {one.what}" for one in shown(at).problems] == [
        "support cutover.fallback: 0.0001 EUR an hour don't pay for one request of 0.0006"
    ]


def test_without_a_recorded_request_nobody_knows_what_one_costs(at: Made) -> None:
    allow(at)
    place = at.desk.open()
    place.folder.remove("requests")
    place.note("import", "none")
    assert "nobody knows what one costs" in [one.what for one in shown(at).problems][-1]


def test_a_fleet_whose_requests_fall_back_fails(at: Made) -> None:
    """Clients have their answers, but not from the fleet."""
    at.has(5)
    at.world.falls = 0.9
    with pytest.raises(ProofError, match="FAIL: most of the fleet's requests fail"):
        at.run(25)
    assert all(not gateway.change for gateway in at.world.gateways.values())


def test_requests_that_fell_back_keep_the_share_from_growing(at: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    fell = Fallback("support", 9, sent=1)
    found = Status(hosts=(), replicas=(), backups=(), lease=None, notes=(), warnings=(), fallbacks=(fell,))
    monkeypatch.setattr(blocks, "status", lambda _: found)
    assert list(blocks._alarms(at.desk.open())) == [fell.alarm]
