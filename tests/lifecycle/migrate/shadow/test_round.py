"""A shadow round fetches what clients ask at present, asks both ends again, and scores the answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from rackwright.errors import LeasedError, RackwrightError
from rackwright.lifecycle.migrate import capture, erase
from rackwright.lifecycle.migrate.cutover.standing import cutting_of
from rackwright.lifecycle.migrate.same_folder import Known, known
from rackwright.lifecycle.migrate.shadow import procedure, round, shadow_folder
from rackwright.lifecycle.migrate.shadow.procedure import shadow
from rackwright.lifecycle.migrate.shadow.shadow_folder import records_since
from rackwright.lifecycle.migrate.spending import spending
from rackwright.lifecycle.migrate.stale import stale
from rackwright.migrate.asking.outcome import Outcome
from rackwright.migrate.cutover.state import CutoverState
from rackwright.migrate.shadow_result import Shadowed
from rackwright.verdict import Word
from tests.lifecycle.migrate.desk_ends import Agreeing, DeskEnds, desk_with_ends
from tests.lifecycle.migrate.desks import Desk
from tests.lifecycle.migrate.ends import Ends, request
from tests.lifecycle.migrate.stand_in_captures import StandInCaptures, StandInGateway

STEP = 1_790_000_000


@pytest.fixture
def captures(monkeypatch: pytest.MonkeyPatch) -> StandInCaptures:
    found = StandInCaptures({"gate1": StandInGateway(), "gate2": StandInGateway()})
    for module in (capture, shadow_folder, erase):
        monkeypatch.setattr(module, "captures_of", lambda *_: found)
    return found


@pytest.fixture
def made(desk: Desk, ends: Ends, captures: StandInCaptures, monkeypatch: pytest.MonkeyPatch) -> DeskEnds:
    monkeypatch.setattr(round, "require_client_here", lambda _: None)
    found = desk_with_ends(desk, ends, monkeypatch)
    desk.edit("currency: EUR", "score: {least: 20, margin: 20}\ncurrency: EUR")
    return found


def ask(captures: StandInCaptures, *numbers: int, at: float = STEP + 10, gateway: str = "gate1") -> None:
    """Have clients ask at a gateway."""
    lines = (request(number).model_copy(update={"arrived": at}).model_dump_json() for number in numbers)
    captures.gateways[gateway].record(*lines)


def cut_over(desk: Desk, phase: str = "reached", share: float = 5, change: str = "c1", since: int = STEP) -> None:
    state = CutoverState.model_validate(
        {"phase": phase, "share": share, "change": change, "since": {"gate1": since - 3, "gate2": since}}
    )
    desk.open().note("cutover", phase, state)


def test_what_clients_asked_since_the_step_is_scored(made: DeskEnds, captures: StandInCaptures) -> None:
    cut_over(made.desk)
    ask(captures, *range(30))
    ask(captures, *range(30, 40), gateway="gate2")
    ask(captures, 90, 91, at=STEP - 1)
    console = Agreeing()
    found = shadow(made.desk.open(console))
    assert console.asked == ["Ask openai and the fleet?"]
    assert console.said[0] == (
        "requests that clients have made since 2026-09-21 14:13 UTC: up to 300 of them are asked again, of openai "
        "twice and of the fleet once; 50.00 of 50.00 EUR are left"
    )
    assert found.scored
    assert (found.scored.word, found.scored.requests) == (Word.PASS, 40)
    assert (found.change, found.since, found.dropped) == ("c1", STEP, {"full": 2})
    assert len(made.ends.cloud.received) == 80
    assert made.desk.open().result("shadow", Shadowed) == found
    assert "Question" not in found.model_dump_json()


def test_the_gateways_record_from_then_on(made: DeskEnds, captures: StandInCaptures) -> None:
    cut_over(made.desk)
    with pytest.raises(RackwrightError, match="has no request that can be replayed"):
        shadow(made.desk.open(Agreeing()))
    assert all(gateway.orders for gateway in captures.gateways.values())
    ask(captures, *range(20))
    assert shadow(made.desk.open(Agreeing())).scored
    assert captures.gateways["gate1"].files == {}
    assert [entry.step for entry in made.desk.open().entries()].count("capture") == 1


def test_a_second_round_of_a_step_asks_only_what_is_new(made: DeskEnds, captures: StandInCaptures) -> None:
    cut_over(made.desk)
    ask(captures, *range(10))
    first = shadow(made.desk.open(Agreeing()))
    assert first.scored
    assert first.scored.word is Word.INCONCLUSIVE
    ask(captures, *range(10, 25))
    second = shadow(made.desk.open(Agreeing()))
    assert second.scored
    assert (second.scored.word, second.scored.requests) == (Word.PASS, 25)
    assert len(made.ends.cloud.received) == 50
    assert second.outcome.spent == pytest.approx(first.outcome.spent * 2.5, rel=0.1)
    entries = len(made.desk.open().entries())
    assert shadow(made.desk.open(Agreeing())) == second
    assert len(made.desk.open().entries()) == entries


def test_another_step_begins_with_its_own_requests_and_the_same_budget(
    made: DeskEnds, captures: StandInCaptures
) -> None:
    cut_over(made.desk)
    ask(captures, *range(20))
    first = shadow(made.desk.open(Agreeing()))
    cut_over(made.desk, change="c2", since=STEP + 1000)
    ask(captures, *range(20, 40), at=STEP + 1001)
    second = shadow(made.desk.open(Agreeing()))
    assert second.scored
    assert second.scored.requests == 20
    assert second.outcome.spent == pytest.approx(2 * first.outcome.spent, rel=0.1)
    assert spending(made.desk.open()).all == second.outcome.spent
    (left,) = (one for one in (made.desk.records / "shadow").iterdir() if one.is_dir())
    assert left.name.startswith("c2-")


def test_without_a_cutover_a_round_goes_on_where_the_one_before_ended(
    made: DeskEnds, captures: StandInCaptures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(round, "time", SimpleNamespace(time=lambda: STEP + 100.0))
    ask(captures, *range(20))
    first = shadow(made.desk.open(Agreeing()))
    assert (first.since, first.until) == (0, STEP + 100)
    ask(captures, 20, at=STEP + 99)
    ask(captures, *range(21, 41), at=STEP + 101)
    second = shadow(made.desk.open(Agreeing()))
    assert second.since == STEP + 100
    assert second.scored
    assert second.scored.requests == 20


def test_the_last_step_ends_the_shadow(made: DeskEnds) -> None:
    cut_over(made.desk, "passed", share=100)
    with pytest.raises(RackwrightError, match="which ends the shadow"):
        shadow(made.desk.open(Agreeing()))
    cut_over(made.desk, "back", share=0)
    assert not cutting_of(made.desk.open()).state.under_way


def test_a_change_of_the_share_must_be_complete(made: DeskEnds) -> None:
    made.desk.open().note("cutover", "going", CutoverState(phase="going", share=5, change="c1"))
    with pytest.raises(RackwrightError, match="a change of the share isn't complete"):
        shadow(made.desk.open(Agreeing()))


def test_refused_means_that_nothing_is_recorded_or_asked(made: DeskEnds, captures: StandInCaptures) -> None:
    ask(captures, 1)
    with pytest.raises(RackwrightError, match="not confirmed"):
        shadow(made.desk.open(Agreeing(agrees=False)))
    assert not made.ends.cloud.received
    assert captures.gateways["gate1"].files
    assert not captures.gateways["gate1"].orders


def test_the_migrations_own_records_stay_as_they_are(made: DeskEnds, captures: StandInCaptures) -> None:
    made.record(request(1))
    made.desk.open().note("replay", "done", Outcome(recorded=1, sample=1, currency="EUR", spent=1.0))
    before = made.desk.open().folder.sha256()
    ask(captures, *range(20))
    shadow(made.desk.open(Agreeing()))
    place = made.desk.open()
    assert place.folder.sha256() == before
    assert known(place.folder, place.log) is Known.SAME
    assert not stale(place.log, place.plan)


def test_all_that_the_cloud_is_asked_has_one_budget(made: DeskEnds, captures: StandInCaptures) -> None:
    made.desk.open().note("replay", "done", Outcome(recorded=1, sample=1, currency="EUR", spent=50.0))
    ask(captures, *range(20))
    found = shadow(made.desk.open(Agreeing()))
    assert found.outcome.stopped
    assert found.outcome.stopped.kind == "budget"
    assert found.scored
    assert found.scored.word is Word.INCONCLUSIVE
    assert not made.ends.cloud.received


def test_entries_of_a_cutover_do_not_end_a_round(
    made: DeskEnds, captures: StandInCaptures, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_over(made.desk)
    ask(captures, *range(20))
    place = made.desk.open(Agreeing())
    monkeypatch.setattr(round, "fetch_into", _then(shadow_folder.fetch_into, lambda: cut_over(made.desk, "passed")))
    assert shadow(place).scored
    steps = [entry.step for entry in made.desk.open().entries()]
    assert steps[:4] == ["init", "cutover", "capture", "cutover"]
    assert set(steps[4:]) == {"shadow"}


def test_two_rounds_at_once_do_not_ask_twice(
    made: DeskEnds, captures: StandInCaptures, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(captures, *range(20))
    place = made.desk.open(Agreeing())
    with records_since(place, procedure.present_moment(place)), pytest.raises(LeasedError, match="another command"):
        shadow(made.desk.open(Agreeing()))

    def other() -> None:
        made.desk.open().note("shadow", "on another machine", Shadowed(since=0, until=1, outcome=outcome()))

    monkeypatch.setattr(round, "fetch_into", _then(shadow_folder.fetch_into, other))
    with pytest.raises(LeasedError, match="on another machine"):
        shadow(made.desk.open(Agreeing()))
    assert not made.ends.cloud.received


def test_a_killed_round_counts_its_reserve_and_goes_on(made: DeskEnds, captures: StandInCaptures) -> None:
    cut_over(made.desk)
    killed = Shadowed(change="c1", since=STEP, until=STEP + 1, outcome=outcome(spent=1, reserved=2))
    made.desk.open().note("shadow", "asking", killed)
    ask(captures, *range(20))
    found = shadow(made.desk.open(Agreeing()))
    assert found.scored
    assert found.outcome.spent > 3


def test_erase_removes_what_rounds_have_left(made: DeskEnds, captures: StandInCaptures) -> None:
    ask(captures, *range(20))
    shadow(made.desk.open(Agreeing()))
    assert list((made.desk.records / "shadow").rglob("*.age"))
    (made.desk.records / "export").mkdir()
    (made.desk.records / "export" / "files-000001.age").write_text("")
    erased = erase.erase(made.desk.open(Agreeing()), folder=True)
    assert erased.left == ()
    assert not (made.desk.records / "shadow").exists()


def outcome(spent: float = 0.0, reserved: float = 0.0) -> Outcome:
    return Outcome(recorded=1, sample=1, currency="EUR", spent=spent, reserved=reserved)


def _then(first: object, then: object) -> object:
    def both(*words: object) -> object:
        found = first(*words)  # type: ignore[operator]
        then()  # type: ignore[operator]
        return found

    return both


def test_no_file_of_a_round_is_readable_without_the_key(made: DeskEnds, captures: StandInCaptures) -> None:
    ask(captures, *range(20))
    shadow(made.desk.open(Agreeing()))
    files = [one for one in Path(made.desk.records / "shadow").rglob("*") if one.is_file()]
    assert files
    assert not any(b"Question" in one.read_bytes() for one in files)
    assert all(one.stat().st_mode & 0o077 == 0 for one in files)
