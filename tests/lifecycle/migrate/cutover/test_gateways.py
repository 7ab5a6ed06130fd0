"""A cutover at gateways that miss a change, are lost, stay away, or have other clocks."""

from __future__ import annotations

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.rollout.change import Undecided
from tests.lifecycle.migrate.cutover.world import Made


def test_a_gateway_that_misses_a_change_of_share_takes_the_others_back(at: Made) -> None:
    at.has(5)
    at.world.gateways["gate2"].down = True
    with pytest.raises(HostError, match="gate2: can't be reached"):
        at.run(25)
    at.world.gateways["gate2"].down = False
    assert {gateway.share for gateway in at.world.gateways.values()} == {5}
    assert at.run(25).phase == "passed"


def test_a_gateway_that_is_lost_while_the_share_changes_takes_the_others_back(
    at: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    at.has(5)
    given = at.world._given

    def lost(host: str, *words: object) -> HostError | int:
        return HostError("connection lost", where=host) if host == "gate2" else given(host, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(at.world, "_given", lost)
    with pytest.raises(HostError, match="gate2: connection lost; the fleet has 5 % again"):
        at.run(25)
    assert {gateway.share for gateway in at.world.gateways.values()} == {5}
    assert at.state.missed == {"gate2": "connection lost"}


def test_a_gateway_that_still_assigns_by_the_old_share_is_seen_by_its_counters(at: Made) -> None:
    at.has(5)
    at.world.gateways["gate1"].sticks = True
    with pytest.raises(HostError, match="gate1: doesn't assign conversations by the new share after 10 s"):
        at.run(25)
    assert at.world.gateways["gate2"].share == 5


def test_a_gateway_that_is_away_for_a_moment_is_waited_for(at: Made) -> None:
    gate2 = at.world.gateways["gate2"]
    at.world.at[10] = lambda: setattr(gate2, "down", True)
    at.world.at[100] = lambda: setattr(gate2, "down", False)
    assert at.run(5).phase == "passed"


def test_a_gateway_that_stays_away_pauses_the_cutover(at: Made) -> None:
    at.world.at[10] = lambda: setattr(at.world.gateways["gate2"], "down", True)
    with pytest.raises(Undecided, match="the hosts can't be asked: gate2: can't be reached"):
        at.run(5)


def test_clocks_that_are_apart_change_nothing(at: Made) -> None:
    at.world.gateways["gate2"].ahead = -7200
    assert at.run(5, 25).passed == (5, 25)
    assert at.world.now() < 900
