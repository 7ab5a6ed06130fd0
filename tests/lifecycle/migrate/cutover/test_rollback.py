"""A rollback and a pause end a cutover under way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.migrate.cutover.rollback import pause, rollback
from rackwright.lifecycle.rollout.change import Undecided
from tests.lifecycle.migrate.cutover.world import Made
from tests.lifecycle.migrate.desks import Desk


@pytest.mark.parametrize("who", ["carla", "ben"])
def test_a_rollback_ends_a_cutover_under_way(at: Made, desk_of: Callable[..., Desk], who: str) -> None:
    other = desk_of(who, f"{who}s")
    at.world.at[30] = lambda: rollback(other.session, "support", at.world)  # type: ignore[assignment,return-value]
    with pytest.raises(Undecided, match=f"{who}@{who}s rolled back: all requests go to the cloud"):
        at.run(5)
    assert all(not gateway.change for gateway in at.world.gateways.values())
    assert (at.state.phase, at.state.tried_back) == ("back", True)


@pytest.mark.parametrize("when", ["look", "_given"])
def test_a_rollback_while_the_share_changes_is_not_undone(
    at: Made, desk_of: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """It comes before the gateways are looked at, or between that and the change of the share."""
    at.has(5)
    other, act = desk_of("carla", "phone"), getattr(at.world, when)

    def rolled_back(*words: object) -> object:
        monkeypatch.setattr(at.world, when, act)
        rollback(other.session, "support", at.world)
        return act(*words)

    monkeypatch.setattr(at.world, when, rolled_back)
    with pytest.raises(Undecided, match="carla@phone has rolled back: all requests go to the cloud"):
        at.run(25)
    assert all(not gateway.change for gateway in at.world.gateways.values())


def test_a_rollback_needs_no_lease_and_no_plan(at: Made, desk_of: Callable[..., Desk]) -> None:
    from rackwright.state.lease_session import hold, owner

    at.has(5)
    other = desk_of("carla", "phone")
    other.plan.unlink()
    with hold(at.desk.store, owner("ben", "desk", "patch run")):
        done = rollback(other.session, "support", at.world)
    assert (done.gateways, done.missed, done.not_noted) == (("gate1", "gate2"), {}, "")
    entry = at.desk.open().entries()[-1]
    assert (entry.step, entry.who) == ("rollback", "carla@phone")


def test_a_rollback_names_the_gateways_that_it_doesn_t_reach_and_can_be_repeated(at: Made) -> None:
    at.has(5)
    at.world.gateways["gate2"].down = True
    done = rollback(at.session, "support", at.world)
    assert (done.gateways, done.missed) == (("gate1",), {"gate2": "can't be reached"})
    assert not at.state.tried_back
    at.world.gateways["gate2"].down = False
    assert rollback(at.session, "support", at.world).missed == {}
    assert at.state.tried_back
    assert rollback(at.session, "support", at.world).missed == {}


def test_a_gateway_that_goes_on_after_a_rollback_is_seen(at: Made) -> None:
    at.has(5)
    at.world.gateways["gate1"].sticks = True
    done = rollback(at.session, "support", at.world)
    assert done.missed == {"gate1": "still assigns conversations to the fleet"}


def test_a_rollback_works_without_the_control_hosts(at: Made) -> None:
    class Silent:
        def __getattr__(self, name: str) -> object:
            raise HostError("no control host answers")

    at.has(5)
    session = at.session
    session.store = Silent()
    done = rollback(session, "support", at.world)
    assert (done.missed, done.not_noted) == ({}, "no control host answers")
    assert all(not gateway.change for gateway in at.world.gateways.values())


def test_a_pause_keeps_the_share_and_ends_the_run(at: Made) -> None:
    at.world.at[30] = lambda: pause(at.session, "support", "the provider has an incident")
    with pytest.raises(Undecided, match="paused it: the provider has an incident"):
        at.run(5)
    assert {gateway.share for gateway in at.world.gateways.values()} == {5}


def test_nothing_can_be_paused_before_a_cutover(at: Made) -> None:
    from rackwright.errors import UsageError

    with pytest.raises(UsageError, match="no cutover is under way"):
        pause(at.session, "support", "why not")
