from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout.change import Phase, Revert, Rules, SystemClock, Undecided
from tests.lifecycle.simulation import Gateways, change, replicas, rollout

WELL = [phase for phase in Phase if phase not in (Phase.COMMIT, Phase.CANARY, Phase.REVERT)]
"""The phases of a change that goes well."""


def test_each_replica_goes_through_every_phase_before_the_next_begins():
    one, two = replicas(2)
    run, journal = rollout(Gateways(up={one.address, two.address}), size=2)
    run.run([change(one), change(two)])
    assert journal.lines == [f"{replica.address} {phase}" for replica in (one, two) for phase in WELL]


def test_the_act_comes_when_nothing_is_in_flight():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, requests={one.address: [3, 1, 0]})
    seen = []
    run, _ = rollout(gateways, size=2)
    run.run([change(one, act=lambda: seen.append((gateways.in_flight(one), one.address in gateways.drained)))])
    assert seen == [(0, True)]
    assert gateways.drained == set()


def test_a_drain_that_does_not_end_pauses_and_kills_nothing():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, requests={one.address: [2]})
    acted = []
    run, _ = rollout(gateways, size=2)
    with pytest.raises(
        RackwrightError,
        match="2 requests are still in flight after 10 s; the rollout pauses, and no request was killed",
    ):
        run.run([change(one, act=lambda: acted.append(1))])
    assert acted == []


def test_a_trial_that_stays_undecided_ends_the_run_and_leaves_that_replica_drained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    run, journal = rollout(gateways, size=2)
    done = []

    def undecided(enter):
        enter("5 % of the traffic")
        raise Undecided("too little was seen")

    first = replace(change(one, revert=Revert(lambda: None, lambda: None)), trial=undecided)
    with pytest.raises(Undecided, match="too little was seen"):
        run.run([first, change(two)], done.append)
    assert done == []
    assert gateways.drained == {one.address}
    assert journal.lines[-2:] == [f"{one.address} canary", f"{one.address} done"]


def test_the_last_healthy_replica_is_not_taken():
    one, _two = replicas(2)
    gateways = Gateways(up={one.address})
    run, _ = rollout(gateways, size=2)
    with pytest.raises(RackwrightError, match="is the last healthy replica of assistant"):
        run.run([change(one)])
    assert gateways.drained == set()


def test_the_last_healthy_replica_is_taken_when_the_outage_is_accepted():
    (one,) = replicas(1)
    rules = Rules(max_unavailable=1, drain=10, soak=0, outages=frozenset({"assistant"}))
    run, journal = rollout(Gateways(up={one.address}), size=1, rules=rules)
    run.run([change(one)])
    assert journal.lines[-1] == f"{one.address} done"


def test_what_is_down_already_counts_in_the_budget():
    one, two, _three = replicas(3)
    run, _ = rollout(Gateways(up={one.address, two.address}), size=3)
    with pytest.raises(RackwrightError, match="2 of 3 replicas of assistant would be unavailable"):
        run.run([change(one)])


def test_a_replica_that_is_down_itself_may_be_changed():
    one, two, three = replicas(3)
    gateways = Gateways(up={two.address, three.address})
    run, _ = rollout(gateways, size=3)
    run.run([change(one, act=lambda: gateways.up.add(one.address))])
    assert one.address in gateways.healthy("assistant")


def test_a_failed_proof_stops_the_run_and_leaves_the_replica_drained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    run, journal = rollout(gateways, size=2)
    with pytest.raises(ProofError, match="not proven after 20 s: HTTP 500"):
        run.run([change(one, prove=lambda: "HTTP 500"), change(two)])
    assert gateways.drained == {one.address}
    assert not any(line.startswith(two.address) for line in journal.lines)
    assert journal.details[-1] == "failed: not proven after 20 s: HTTP 500"


def test_what_was_drained_by_hand_stays_drained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, manual={one.address})
    acted = []
    run, journal = rollout(gateways, size=2)
    run.run([change(one, act=lambda: acted.append(1))])
    assert acted == [1]
    assert f"{one.address} undrain" not in journal.lines
    assert one.address in gateways.drained


def healthy_but(gateways: Gateways, address: str, looks: range) -> None:
    """At these looks, counted from 0, the gateways see the replica down."""
    seen = count()
    truly = gateways.healthy
    gateways.healthy = lambda model: truly(model) - ({address} if next(seen) in looks else set())  # type: ignore[method-assign]


def test_a_replica_that_falls_out_while_soaking_stops_the_run():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    run, _ = rollout(gateways, size=2)
    # One look in the gate phase, one at its return; then it soaks.
    healthy_but(gateways, one.address, range(2, 100))
    with pytest.raises(ProofError, match="stopped taking requests while it was soaking"):
        run.run([change(one)])


def test_gateways_that_find_a_restart_late_are_waited_for():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    run, journal = rollout(gateways, size=2)
    healthy_but(gateways, one.address, range(1, 9))
    run.run([change(one)])
    assert journal.lines[-1] == f"{one.address} done"


def test_a_replica_that_the_gateways_never_find_healthy_fails_the_rollout():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    run, _ = rollout(gateways, size=2)
    healthy_but(gateways, one.address, range(1, 1000))
    with pytest.raises(ProofError, match="the gateways don't send requests to it again"):
        run.run([change(one)])


def test_a_replica_is_drained_until_it_answers_through_the_gateways():
    one, two = replicas(2)
    gateways, seen = Gateways(up={one.address, two.address}), []
    run, journal = rollout(gateways, size=2)

    def serves() -> str | None:
        seen.append(one.address in gateways.drained)
        return "503" if len(seen) < 3 else None

    run.run([change(one, serves=serves)])
    assert seen == [True, True, True]
    assert journal.lines[-1] == f"{one.address} done"


def test_what_was_drained_by_hand_is_not_asked_through_the_gateways():
    """An operator may have removed it from the gateways altogether: then such a request would fail."""
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, manual={one.address})
    run, journal = rollout(gateways, size=2)
    run.run([change(one, serves=lambda: "503")])
    assert journal.details[-1] == "done; stays drained, as an operator drained it manually"


@pytest.mark.parametrize("phase", [Phase.ACT, Phase.PROVE, Phase.UNDRAIN, Phase.SOAK])
def test_ctrl_c_ends_with_the_replica_that_is_being_changed(phase: Phase):
    one, two = replicas(2)
    gateways, done = Gateways(up={one.address, two.address}), []
    run, journal = rollout(gateways, size=2, stopping=lambda journal: f"{one.address} {phase}" in journal.lines)
    with pytest.raises(RackwrightError, match=f"interrupted; done: {one.address}; not started: {two.address}"):
        run.run([change(one), change(two)], done.append)
    assert journal.lines == [f"{one.address} {phase}" for phase in WELL]
    assert [entry.subject for entry in done] == [one.address]
    assert gateways.drained == set()


def test_ctrl_c_during_a_drain_undrains_the_replica_untouched():
    one, two = replicas(2)
    gateways, acted = Gateways(up={one.address, two.address}, requests={one.address: [2]}), []
    run, journal = rollout(gateways, size=2, stopping=lambda journal: f"{one.address} drain" in journal.lines)
    with pytest.raises(RackwrightError, match=f"interrupted; done: none; not started: {one.address}, {two.address}"):
        run.run([change(one, act=lambda: acted.append(1)), change(two)])
    assert acted == []
    assert gateways.drained == set()
    assert journal.lines == [f"{one.address} {phase}" for phase in ("gate", "drain", "undrain", "done")]


@pytest.mark.parametrize("fails", [False, True])
def test_what_an_earlier_run_left_drained_is_not_undrained_unproven(*, fails: bool) -> None:
    """The drain is interrupted, or a gateway can't be asked."""
    address = "gpu1/assistant@1"
    gateways = Gateways(up={address, "gpu2/assistant@1"}, drained={address}, requests={address: [1]})
    if fails:

        def drain(_: Replica) -> None:
            raise HostError("can't be asked", where="gate1")

        gateways.drain = drain  # type: ignore[method-assign]
    made, journal = rollout(gateways, 2, stopping=lambda journal: f"{address} drain" in journal.lines)
    with pytest.raises(RackwrightError):
        made.run([change(replicas(1)[0])])
    assert gateways.drained == {address}
    assert [line.split()[1] for line in journal.lines] == ["gate", "drain", "done"]


def test_ctrl_c_leaves_what_was_drained_by_hand_drained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, manual={one.address}, requests={one.address: [2]})
    gateways.drained.add(one.address)
    run, _ = rollout(gateways, size=2, stopping=lambda journal: f"{one.address} drain" in journal.lines)
    with pytest.raises(RackwrightError, match="interrupted"):
        run.run([change(one)])
    assert gateways.drained == {one.address}


def test_ctrl_c_in_the_last_soak_is_no_failure():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    run, journal = rollout(gateways, size=2, stopping=lambda journal: f"{two.address} soak" in journal.lines)
    run.run([change(one), change(two)])
    assert journal.lines[-2:] == [f"{two.address} soak", f"{two.address} done"]


def test_an_accepted_outage_is_of_the_last_replica_and_leaves_the_budget_as_it_is():
    one, two, _three = replicas(3)
    rules = Rules(max_unavailable=1, drain=10, soak=0, outages=frozenset({"assistant"}))
    run, _ = rollout(Gateways(up={one.address, two.address}), size=3, rules=rules)
    with pytest.raises(RackwrightError, match="2 of 3 replicas of assistant would be unavailable"):
        run.run([change(one)])


def test_a_replica_that_does_not_serve_is_changed_whatever_else_is_down():
    one, two, _three = replicas(3)
    gateways = Gateways(up={two.address})
    run, _ = rollout(gateways, size=3)
    run.run([change(one, act=lambda: gateways.up.add(one.address))])
    assert one.address in gateways.healthy("assistant")


def test_the_gate_counts_healthy_replicas_after_the_check():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    run, _ = rollout(gateways, size=2)
    with pytest.raises(RackwrightError, match="is the last healthy replica"):
        run.run([change(one, check=lambda: gateways.up.discard(two.address))])
    assert gateways.drained == set()


def test_a_replica_that_only_some_gateways_drained_is_undrained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})

    def lost(replica: object) -> int:
        raise HostError("gate2: unreachable")

    gateways.in_flight = lost  # type: ignore[method-assign]
    run, journal = rollout(gateways, size=2)
    with pytest.raises(HostError, match="gate2: unreachable"):
        run.run([change(one)])
    assert gateways.drained == set()
    assert journal.details[-1] == "unchanged: gate2: unreachable"


def test_a_replica_that_an_operator_undrained_while_requests_end_is_not_undrained_again():
    one, two = replicas(2)

    class Undrained(Gateways):
        def in_flight(self, replica: Replica) -> int:
            self.manual.clear()
            return 2

    gateways = Undrained(up={one.address, two.address}, manual={one.address})
    run, journal = rollout(gateways, size=2)
    with pytest.raises(RackwrightError, match="2 requests are still in flight"):
        run.run([change(one)])
    assert journal.lines == [f"{one.address} {phase}" for phase in (Phase.GATE, Phase.DRAIN, Phase.DONE)]


def test_a_replica_that_is_drained_manually_while_requests_end_stays_drained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, requests={one.address: [2]})
    run, _ = rollout(gateways, size=2)
    drain = gateways.drain

    def drained(replica: Replica) -> None:
        drain(replica)
        gateways.manual.add(replica.address)

    gateways.drain = drained  # type: ignore[method-assign]
    with pytest.raises(RackwrightError, match="2 requests are still in flight"):
        run.run([change(one)])
    assert gateways.drained == {one.address}


def test_the_systems_clock_goes_on():
    clock = SystemClock()
    began = clock.now()
    clock.sleep(0)
    assert clock.now() >= began


def test_an_outage_that_is_accepted_is_of_one_model():
    one, two = replicas(2)
    gateways = Gateways(up={one.address})
    rules = Rules(max_unavailable=2, drain=10, soak=0, outages=frozenset({"other"}))
    run, _ = rollout(gateways, size=2, rules=rules)
    with pytest.raises(RackwrightError, match="is the last healthy replica of assistant"):
        run.run([change(one), change(two)])
