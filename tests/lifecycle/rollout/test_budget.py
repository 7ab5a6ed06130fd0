"""What counts as unavailable when a host is about to change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rackwright.lifecycle.rollout.budget import Budget
from rackwright.lifecycle.rollout.change import Change, Paused, Rules
from tests.lifecycle.simulation import Gateways, host_change, on, served

ONE, TWO = (on(name, "assistant", "coder") for name in ("gpu1", "gpu2"))
A, C = (one.address for one in ONE)


def allowed(gateways: Gateways, *failed: Change, others: tuple[Change, ...] = ()) -> bool:
    """Return whether gpu2 may change."""
    rules = Rules(max_unavailable=9, drain=10, soak=5, max_hosts=1)
    try:
        Budget(gateways, rules, lambda _: 3, tuple, failed).last_of(host_change("gpu2", *TWO), others)
    except Paused:
        return False
    return True


def test_a_host_that_failed_and_serves_as_before_has_no_slot() -> None:
    gateways = served(*ONE, *TWO, *on("gpu3", "assistant", "coder"))
    assert allowed(gateways, host_change("gpu1", *ONE))
    assert not allowed(gateways, others=(host_change("gpu1", *ONE),))


@pytest.mark.parametrize("drained", [{A}, {C}, {A, C}])
def test_a_host_that_failed_keeps_its_slot_while_a_replica_of_it_does_not_serve(drained: set[str]) -> None:
    gateways = served(*ONE, *TWO, *on("gpu3", "assistant", "coder"))
    gateways.drained |= drained
    failed = host_change("gpu1", *ONE)
    assert not allowed(gateways, failed)
    assert allowed(gateways, replace(failed, idle=frozenset(drained)))
    gateways.manual |= drained
    assert allowed(gateways, failed)
    assert allowed(gateways, replace(failed, host=None))


def test_a_gateway_that_failed_keeps_its_slot_until_it_takes_requests() -> None:
    gateways = served(*TWO, *on("gpu3", "assistant", "coder"))
    failed = host_change("gate1", gateway=True)
    assert allowed(gateways, failed)
    gateways.left.append("gate1")
    assert not allowed(gateways, failed)
    assert allowed(gateways, replace(failed, gateway=False))


def test_a_host_without_replicas_that_failed_asks_no_gateway() -> None:
    gateways = served(*TWO, *on("gpu3", "assistant", "coder"))
    gateways.drained_manually = None  # type: ignore[assignment,method-assign]
    assert allowed(gateways, host_change("gpu1"))


def test_replicas_that_are_about_to_go_down_are_not_counted_on() -> None:
    """The gateways still send them requests."""
    gateways, three = served(*ONE, *TWO), on("gpu3", "coder")
    rules = Rules(max_unavailable=9, drain=10, soak=5, outages=frozenset({"assistant", "coder"}), max_hosts=9)
    budget = Budget(gateways, rules, lambda _: 2, tuple)
    assert budget.last_of(host_change("gpu2", *TWO), ()) == set()
    assert budget.last_of(host_change("gpu2", *TWO), (host_change("gpu1", *ONE),)) == {"assistant", "coder"}
    gateways.up |= {one.address for one in three}
    assert budget.last_of(host_change("gpu2", *TWO), (host_change("gpu1", *ONE),)) == {"assistant"}
