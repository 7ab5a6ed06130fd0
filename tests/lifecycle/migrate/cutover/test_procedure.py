"""A cutover grows, goes back and is taken over, in a world with stand-ins for gateways and clients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rackwright.errors import HostError, ProofError
from rackwright.lifecycle.migrate.shadow.fresh_score import Found
from rackwright.lifecycle.rollout.change import Paused, Undecided
from rackwright.verdict import Word
from tests.lifecycle.migrate.cutover.world import Made
from tests.lifecycle.migrate.desks import Desk


def steps_of(at: Made) -> list[str]:
    return [f"{one.step}: {one.what.partition(':')[0]}" for one in at.desk.open().entries() if one.step != "init"]


def test_a_share_grows_step_by_step_to_the_whole(at: Made) -> None:
    state = at.run()
    assert state.whole
    assert state.passed == (5, 25, 50, 100)
    assert {gateway.share for gateway in at.world.gateways.values()} == {100}
    assert steps_of(at)[:4] == [
        "cutover: to 5 % of new conversations",
        "cutover: 5 % at 2 gateways",
        "cutover: 5 %",
        "cutover: to 25 % of new conversations",
    ]
    assert at.desk.store.show() is None


def test_each_step_needs_a_score_of_its_own_requests(at: Made) -> None:
    state = at.run()
    assert at.score.steps == [5, 25, 50, 100]
    assert at.score.closed == 4
    assert state.why.endswith("score of requests since then: PASS: all segments")


def test_a_score_is_asked_for_when_nothing_else_is_missing(at: Made) -> None:
    at.run(5)
    assert at.score.looked[-1]
    assert not any(at.score.looked[:-1])
    at.blocked = ("a residual",)
    at.desk.edit("max_duration: 10m", "max_duration: 40s")
    at.score.looked.clear()
    with pytest.raises(Undecided, match="a residual"):
        at.run(25)
    assert not any(at.score.looked)


def test_answers_that_are_not_good_enough_send_everything_to_the_cloud(at: Made) -> None:
    at.has(5, 25)
    at.score.found = Found(Word.FAIL, "json is too bad")
    with pytest.raises(ProofError, match=r"FAIL: score .*json is too bad; the cloud answers all requests again"):
        at.run(50)
    assert all(not gateway.change for gateway in at.world.gateways.values())
    assert (at.state.phase, at.state.share) == ("failed", 0)
    assert "json is too bad" in at.state.why


def test_an_open_score_waits_and_then_pauses(at: Made) -> None:
    at.score.found = Found(None, "has no request that can be replayed")
    with pytest.raises(Undecided, match=r"at 5 %: no clear verdict in time: score .*has no request"):
        at.run(5)
    assert at.world.now() >= 600
    assert (at.state.phase, at.state.share) == ("open", 5)
    waits = [line for line in at.desk.said if "waits" in line]
    assert waits == ["5 %: waits: score of requests since then: open: has no request that can be replayed"]


def test_a_share_that_a_way_back_leads_to_is_not_scored_again(at: Made) -> None:
    at.has(5)
    at.world.most = 5
    with pytest.raises(ProofError, match="the fleet gets 5 % of new conversations again"):
        at.run(25)
    assert at.score.steps == [25]


def test_a_step_lasts_as_long_and_has_as_many_requests_as_the_plan_says(at: Made) -> None:
    at.run(5)
    # 20 conversations a second, of which 5 % are the fleet's.
    assert at.world.now() >= 30
    assert len([1 for gateway in at.world.gateways.values() for _, one in gateway.lines if one.side == "fleet"]) >= 20
    before = at.world.now()
    at.run(25)
    assert at.world.now() - before >= 30


def test_a_fleet_that_gets_worse_goes_back_until_the_cloud_answers(at: Made) -> None:
    at.has(5)
    at.world.slow = 3
    with pytest.raises(ProofError, match=r"at 25 %: FAIL: .*the cloud answers all requests again"):
        at.run(25)
    assert all(not gateway.change for gateway in at.world.gateways.values())
    said = [line for line in at.desk.said if "FAIL" in line]
    assert [line.partition(" again")[0].rpartition("; ")[2] for line in said[1::2]] == [
        "the fleet gets 5 % of new conversations",
        "the cloud answers all requests",
    ]
    assert (at.state.phase, at.state.under_way, at.state.passed) == ("failed", False, (5,))


def test_a_fleet_that_is_well_with_less_keeps_the_share_before(at: Made) -> None:
    at.has(5)
    at.world.most = 5
    with pytest.raises(ProofError, match=r"at 25 %: FAIL: .*the fleet gets 5 % of new conversations again"):
        at.run(25)
    assert {gateway.share for gateway in at.world.gateways.values()} == {5}
    assert (at.state.phase, at.state.share, at.state.passed) == ("failed", 5, (5,))
    assert "back to 5 %" in at.desk.open().entries()[-1].what


def test_a_fleet_that_fails_most_requests_goes_back_to_the_cloud_at_once(at: Made) -> None:
    at.has(5)
    at.desk.edit("min_duration: 30s", "min_duration: 500s")
    before = at.world.now()
    at.world.at[int(before) + 5] = lambda: setattr(at.world, "fails", 0.9)
    with pytest.raises(ProofError, match=r"most of the fleet's requests fail.*the cloud answers all requests again"):
        at.run(25)
    assert at.world.now() - before < 250


def test_a_fleet_that_fails_late_in_a_step_goes_back_as_soon(at: Made) -> None:
    """What it answered before says nothing about now."""
    at.has(5)
    at.desk.edit("min_duration: 30s, min_requests: 20, max_duration: 10m", "min_duration: 1d")
    before = at.world.now()
    at.world.at[int(before) + 600] = lambda: setattr(at.world, "fails", 0.9)
    with pytest.raises(ProofError, match=r"most of the fleet's requests fail.*the cloud answers all requests again"):
        at.run(25)
    assert at.world.now() - before < 660


@pytest.mark.parametrize("act", ["roll_back", "give"])
def test_a_way_back_that_can_t_be_noted_is_told(at: Made, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    """The control hosts are lost after the gateways have gone back."""
    if act == "give":
        at.has(5)
    at.desk.edit("min_duration: 30s", "min_duration: 20s")
    done, control = getattr(at.world, act), at.desk.hosts.shells["gate1"]
    at.world.slow = 3

    def lost(*words: Any) -> Any:
        found = done(*words)
        control.gone = at.world.now() > 0
        return found

    monkeypatch.setattr(at.world, act, lost)
    with pytest.raises(ProofError) as raised:
        at.run(25 if act == "give" else 5)
    left = (
        "the fleet gets 5 % of new conversations again" if act == "give" else "the cloud answers all requests again"
    )
    assert "FAIL: " in str(raised.value)
    assert f"{left}, and the log doesn't say so: gate1: unreachable" in str(raised.value)
    assert raised.value.problems[0].next == (
        "rackwright migrate rollback support when a control host answers, then begin again with --from"
    )
    assert any(left in line for line in at.desk.said)
    control.gone = False
    assert at.state.phase == "reached"


def test_a_gateway_and_the_control_hosts_that_are_lost_are_both_told(
    at: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.has(5)
    given, control = at.world._given, at.desk.hosts.shells["gate1"]

    def lost(host: str, *words: object) -> HostError | int:
        control.gone = True
        return HostError("connection lost", where=host) if host == "gate2" else given(host, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(at.world, "_given", lost)
    with pytest.raises(HostError) as raised:
        at.run(25)
    assert "gate2: connection lost; the fleet has 5 % again" in str(raised.value)
    assert "the log doesn't say so: gate1: unreachable" in str(raised.value)


def test_the_first_share_goes_back_to_the_cloud(at: Made) -> None:
    at.world.fails = 0.5
    with pytest.raises(ProofError, match="the cloud answers all requests again"):
        at.run(5)
    assert all(not gateway.change for gateway in at.world.gateways.values())
    assert not at.state.under_way


def test_a_slow_fleet_goes_back(at: Made) -> None:
    at.has(5)
    at.world.slow = 3
    with pytest.raises(ProofError, match="FAIL"):
        at.run(25)


def test_the_whole_share_is_compared_with_the_cloud_of_the_step_before(at: Made) -> None:
    at.run(5, 25, 50)
    at.world.most = 50
    with pytest.raises(ProofError, match=r"at 100 %: FAIL.*the fleet gets 50 % of new conversations again"):
        at.run(100)


def test_without_enough_requests_it_pauses_and_the_share_stays(at: Made) -> None:
    at.desk.edit("min_requests: 20", "min_requests: 100000")
    with pytest.raises(Undecided, match=r"at 5 %: no clear verdict in time: the fleet had .* needs 100000") as raised:
        at.run(5)
    assert raised.value.exit_code == 12
    assert at.state.phase == "open"
    assert {gateway.share for gateway in at.world.gateways.values()} == {5}
    # The same command goes on with the same step.
    at.desk.edit("min_requests: 100000", "min_requests: 20")
    change = at.state.change
    at.run(5)
    assert (at.state.phase, at.state.change) == ("passed", change)


def test_what_blocks_keeps_the_share_from_growing_and_is_said(at: Made) -> None:
    at.blocked = ("a residual of 3 at gate1",)
    with pytest.raises(Undecided, match="a residual of 3 at gate1"):
        at.run(5)
    assert at.desk.said.count("5 %: waits: a residual of 3 at gate1") == 1
    at.blocked = ()
    assert at.run(5).phase == "passed"


def test_another_run_takes_over(at: Made, desk_of: Callable[..., Desk]) -> None:
    other = desk_of("ben", "desk2")
    other.write(at.desk.plan.read_text())

    def take_over() -> None:
        Made(other, at.world).run(5)

    at.world.at[30] = take_over
    with pytest.raises(Undecided, match="ben@desk2 goes on with it"):
        at.run(5)
    assert at.state.passed == (5,)


def test_ctrl_c_leaves_the_share_and_the_same_command_goes_on(at: Made) -> None:
    with pytest.raises(Paused, match="interrupted; the share stays"):
        at.run(5, stopping=lambda: at.world.now() > 30)
    change = at.world.gateways["gate1"].change
    assert at.state.phase == "reached"
    assert at.run(5).change == change


@pytest.mark.parametrize("gone", range(1, 5))
def test_each_kill_resumes_to_the_same_end(at: Made, gone: int) -> None:
    at.world.gone = gone
    with pytest.raises(KeyboardInterrupt):
        at.run(5, 100)
    at.world.gone = 0
    done = [share for share in (5, 100) if share not in at.state.passed]
    assert at.run(*done).whole
    assert {gateway.share for gateway in at.world.gateways.values()} == {100}


def test_a_gateway_that_someone_changed_by_hand_ends_the_run(at: Made) -> None:
    def panic() -> None:
        gate = at.world.gateways["gate2"]
        gate.panic, gate.change, gate.share = True, "", 0

    at.world.at[20] = panic
    with pytest.raises(Undecided, match=r"gate2: .*rolled back: all requests go to the cloud"):
        at.run(5)
