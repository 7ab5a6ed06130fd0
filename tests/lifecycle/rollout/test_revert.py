"""A rollout whose change fails: the previous version runs again, and the message gives the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.lifecycle.rollout.change import Paused, Phase, Revert, Rules
from rackwright.lifecycle.rollout.procedure import LOOK_SECONDS
from tests.lifecycle.simulation import Gateways, Recorder, change, replicas, rollout


class Engine:
    """An engine that runs the old version until the rollout changes it."""

    def __init__(self, gateways: Gateways, address: str, *, new: str | None = None, old: str | None = None) -> None:
        self.gateways, self.address = gateways, address
        self.version = "old"
        self.said = {"old": old, "new": new}

    def take(self) -> None:
        self.version = "new"
        self.gateways.up.add(self.address)

    def revert(self) -> None:
        self.version = "old"
        self.gateways.up.add(self.address)

    def prove(self) -> str | None:
        return self.said[self.version]

    @property
    def back(self) -> Revert:
        return Revert(self.revert, self.prove)


def test_an_unproven_replica_is_reverted_proven_and_undrained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address, new="HTTP 500")
    run, journal = rollout(gateways, size=2)
    with pytest.raises(
        ProofError, match=r"not proven after 20 s: HTTP 500; it was reverted, and the previous version serves"
    ):
        run.run([change(one, engine.take, engine.prove, revert=engine.back), change(two)])
    assert engine.version == "old"
    assert gateways.healthy("assistant") == {one.address, two.address}
    phases = ("gate", "drain", "act", "prove", "revert", "act", "undrain", "done")
    assert journal.lines == [f"{one.address} {phase}" for phase in phases]


@pytest.mark.parametrize("failure", [HostError("unreachable", where="gpu1"), RackwrightError("no such unit")])
def test_an_act_that_fails_is_reverted_and_its_error_keeps_its_kind(failure: RackwrightError):
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address)

    def act() -> None:
        engine.take()
        raise failure

    run, _ = rollout(gateways, size=2)
    with pytest.raises(type(failure), match="it was reverted, and the previous version serves") as caught:
        run.run([change(one, act, engine.prove, revert=engine.back)])
    assert caught.value.problems[0].where == (failure.problems[0].where or one.address)
    assert engine.version == "old"


def test_what_can_not_be_reverted_stays_drained_and_both_reasons_are_reported():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address, new="HTTP 500", old="HTTP 503")
    run, journal = rollout(gateways, size=2)
    with pytest.raises(ProofError) as caught:
        run.run([change(one, engine.take, engine.prove, revert=engine.back)])
    (problem,) = caught.value.problems
    assert problem.what == "not proven after 20 s: HTTP 500"
    assert problem.should == "it could not be reverted and stays drained: not proven after 20 s: HTTP 503"
    assert gateways.drained == {one.address}
    assert journal.lines[-1] == f"{one.address} done"
    assert journal.details[-1] == "could not be reverted: not proven after 20 s: HTTP 503"


def test_a_replica_that_the_gateways_never_find_healthy_is_reverted():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address)
    run, _ = rollout(gateways, size=2)

    def dead() -> None:
        engine.take()
        gateways.up.discard(one.address)

    with pytest.raises(
        ProofError,
        match="the gateways don't send requests to it again; it was reverted, and the previous version serves",
    ):
        run.run([change(one, dead, engine.prove, revert=engine.back)])
    assert gateways.healthy("assistant") == {one.address, two.address}


def test_what_is_not_proven_through_the_gateways_is_reverted_before_clients_reach_it():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address)
    run, journal = rollout(gateways, size=2)
    with pytest.raises(ProofError, match="not proven after 60 s: HTTP 404; it was reverted"):
        run.run([change(one, engine.take, engine.prove, serves=lambda: "HTTP 404", revert=engine.back)])
    assert journal.lines.count(f"{one.address} undrain") == 1
    assert engine.version == "old"
    assert gateways.drained == set()


def test_what_was_reverted_is_proven_through_the_gateways_too():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address, new="HTTP 500")
    back = Revert(engine.revert, engine.prove, serves=lambda: "HTTP 404")
    run, _ = rollout(gateways, size=2)
    with pytest.raises(ProofError, match="could not be reverted and stays drained: not proven after 60 s: HTTP 404"):
        run.run([change(one, engine.take, engine.prove, revert=back)])
    assert gateways.drained == {one.address}


def falls_out_soaking(
    gateways: Gateways, engine: Engine, journal: Recorder, then: Callable[[], None] = lambda: None
) -> None:
    """At the second look of its soak the gateways see it down, once; then `then` runs."""
    truly, looks = gateways.healthy, count()

    def healthy(model: str) -> set[str]:
        soaks = engine.version == "new" and f"{engine.address} soak" in journal.lines
        if not soaks or next(looks) != 1:
            return truly(model)
        then()
        return truly(model) - {engine.address}

    gateways.healthy = healthy  # type: ignore[method-assign]


def test_a_replica_that_fails_under_traffic_is_not_reverted_over_requests_in_flight():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, requests={one.address: [0, 7]})
    engine = Engine(gateways, one.address)
    run, journal = rollout(gateways, size=2)
    falls_out_soaking(gateways, engine, journal)
    with pytest.raises(ProofError, match="could not be reverted and stays drained: 7 requests are still in flight"):
        run.run([change(one, engine.take, engine.prove, revert=engine.back)])
    assert engine.version == "new"
    assert gateways.drained == {one.address}


def test_a_replica_that_falls_out_while_soaking_is_reverted():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address)
    run, journal = rollout(gateways, size=2)
    falls_out_soaking(gateways, engine, journal)
    with pytest.raises(ProofError, match="stopped taking requests while it was soaking; it was reverted"):
        run.run([change(one, engine.take, engine.prove, revert=engine.back)])
    assert engine.version == "old"


def test_weights_that_are_not_what_they_should_be_are_found_before_the_drain():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})

    def check() -> None:
        raise ProofError("weights.gguf isn't what the lock says", where="gpu1")

    run, journal = rollout(gateways, size=2)
    with pytest.raises(ProofError, match="isn't what the lock says"):
        run.run([change(one, check=check)])
    assert journal.lines == [f"{one.address} gate"]
    assert gateways.drained == set()


def test_without_the_lease_nothing_is_reverted():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address)

    def act() -> None:
        engine.take()
        raise LeasedError("this run's lease has ended")

    run, journal = rollout(gateways, size=2)
    with pytest.raises(LeasedError, match="this run's lease has ended"):
        run.run([change(one, act, engine.prove, revert=engine.back)])
    assert engine.version == "new"
    assert journal.lines[-1] == f"{one.address} act"


def test_a_lease_that_ends_during_a_revert_ends_the_revert():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address, new="HTTP 500")

    def revert() -> None:
        raise LeasedError("this run's lease has ended")

    run, _ = rollout(gateways, size=2)
    with pytest.raises(LeasedError):
        run.run([change(one, engine.take, engine.prove, revert=Revert(revert, engine.prove))])


def test_what_serves_is_not_reverted_where_no_other_replica_serves():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    engine = Engine(gateways, one.address)
    run, journal = rollout(gateways, size=2)
    falls_out_soaking(gateways, engine, journal, lambda: gateways.up.discard(two.address))
    with pytest.raises(ProofError, match="it was not reverted, and serves: is the last healthy replica"):
        run.run([change(one, engine.take, engine.prove, revert=engine.back)])
    assert gateways.healthy("assistant") == {one.address}
    assert journal.details[-1].startswith("not reverted: is the last healthy replica")


def test_a_rollout_that_lost_the_lease_does_not_end_the_next_ones_downtime():
    (one,) = replicas(1)
    gateways = Gateways(up={one.address})
    rules = Rules(max_unavailable=1, drain=10, soak=0, outages=frozenset({"assistant"}))
    run, _ = rollout(gateways, size=1, rules=rules)

    def lost() -> None:
        raise LeasedError("this run's lease has ended")

    with pytest.raises(LeasedError):
        run.run([change(one, lost)])
    assert "assistant over" not in gateways.downtimes


def test_a_rollout_that_loses_the_lease_while_requests_end_reverts_nothing():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, requests={one.address: [0, 3, 0]})
    engine = Engine(gateways, one.address)
    run, journal = rollout(gateways, size=2)
    write = journal.append

    def fenced(phase: Phase, replica: str, detail: str) -> None:
        if f"{one.address} revert" in journal.lines:
            raise LeasedError("this run's lease has ended")
        write(phase, replica, detail)

    journal.append = fenced  # type: ignore[method-assign]
    with pytest.raises(LeasedError):
        run.run([change(one, engine.take, engine.prove, serves=lambda: "HTTP 500", revert=engine.back)])
    assert engine.version == "new"


def test_a_manually_drained_replica_is_reverted_and_stays_drained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, manual={one.address})
    engine = Engine(gateways, one.address, new="HTTP 500")
    run, journal = rollout(gateways, size=2)
    with pytest.raises(ProofError, match="it was reverted"):
        run.run([change(one, engine.take, engine.prove, revert=engine.back)])
    assert engine.version == "old"
    assert gateways.manual == {one.address}
    assert one.address in gateways.drained
    assert not any(line.endswith("undrain") for line in journal.lines)


def test_a_replica_that_is_drained_manually_while_it_changes_stays_drained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    run, journal = rollout(gateways, size=2)
    run.run([change(one, lambda: gateways.manual.add(one.address))])
    assert journal.lines[-1] == f"{one.address} done"
    assert one.address in gateways.drained


def test_a_replica_whose_drain_does_not_end_is_undrained():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address}, requests={one.address: [2]})
    run, journal = rollout(gateways, size=2)
    with pytest.raises(
        Paused, match="2 requests are still in flight after 10 s; the rollout pauses, and no request was killed"
    ):
        run.run([change(one)])
    assert gateways.drained == set()
    assert journal.lines == [f"{one.address} {phase}" for phase in ("gate", "drain", "undrain", "done")]


@pytest.mark.parametrize("fails", [False, True])
def test_a_models_only_replica_leaves_a_downtime_that_the_gateways_know_of(fails: bool):
    (one,) = replicas(1)
    gateways = Gateways(up={one.address})
    engine = Engine(gateways, one.address, new="HTTP 500" if fails else None)
    told: list[list[str]] = []
    outages = frozenset({"assistant"})
    rules = Rules(max_unavailable=1, drain=10, soak=0, prove=5, outages=outages, downtime=lambda _: 33)
    run, _ = rollout(gateways, size=1, rules=rules)

    def take() -> None:
        told.append(list(gateways.downtimes))
        engine.take()

    try:
        run.run([change(one, take, engine.prove, revert=engine.back)])
    except ProofError:
        assert fails
    assert told == [["assistant 33 early", "assistant 33"]]
    again = ["assistant 33 early", "assistant 33"] if fails else []
    assert gateways.downtimes == ["assistant 33 early", "assistant 33", *again, "assistant over"]


def test_a_models_only_replica_answers_what_is_queued_before_it_is_drained():
    """The gateways are told again before the early downtime would end."""
    (one,) = replicas(1)
    gateways = Gateways(up={one.address}, waiting={"assistant": [*[7] * 100, 0]})
    lines: list[str] = []
    rules = Rules(max_unavailable=1, drain=60, soak=0, outages=frozenset({"assistant"}), downtime=lambda _: 33)
    run, _ = rollout(gateways, size=1, rules=rules)
    gateways.drain = lambda replica: lines.append(f"drained after {len(gateways.downtimes)}")  # type: ignore[method-assign]
    replace(run, say=lines.append).run([change(one)])
    assert gateways.downtimes == ["assistant 33 early"] * 2 + ["assistant 33", "assistant over"]
    waits = [line for line in lines if "queued" in line or "drained" in line]
    assert waits == [*[f"{one.address}  draining (7 queued)"] * 3, "drained after 2"]


def test_requests_that_stay_queued_pause_it_and_the_only_replica_serves_on():
    (one,) = replicas(1)
    gateways = Gateways(up={one.address}, waiting={"assistant": [3]})
    rules = Rules(max_unavailable=1, drain=10, soak=0, outages=frozenset({"assistant"}), downtime=lambda _: 33)
    run, journal = rollout(gateways, size=1, rules=rules)
    with pytest.raises(Paused, match="3 requests are still queued after 10 s; the rollout pauses"):
        run.run([change(one)])
    assert (gateways.drained, gateways.downtimes) == (set(), ["assistant 33 early", "assistant over"])
    assert journal.lines[-1] == f"{one.address} done"


def test_what_is_expected_of_a_downtime_counts_from_when_the_last_request_has_ended():
    (one,) = replicas(1)
    gateways = Gateways(up={one.address}, requests={one.address: [1, 1, 1, 0]})
    rules = Rules(max_unavailable=1, drain=10, soak=0, outages=frozenset({"assistant"}))
    run, _ = rollout(gateways, size=1, rules=rules)
    told: list[float] = []
    gateways.downtime = lambda *_, **__: told.append(run.clock.now())
    run.run([change(one)])
    assert told == [0.0, 3 * LOOK_SECONDS]


def test_a_downtime_of_which_only_some_gateways_heard_is_ended():
    (one,) = replicas(1)
    gateways = Gateways(up={one.address})
    rules = Rules(max_unavailable=1, drain=10, soak=0, outages=frozenset({"assistant"}))
    run, journal = rollout(gateways, size=1, rules=rules)

    def downtime(*_: object, **__: object) -> None:
        raise HostError("unreachable", where="gate2")

    gateways.downtime = downtime  # type: ignore[method-assign]
    with pytest.raises(HostError):
        run.run([change(one)])
    assert gateways.downtimes == ["assistant over"]
    assert journal.lines == [f"{one.address} {phase}" for phase in ("gate", "drain", "undrain", "done")]


def test_where_others_serve_there_is_no_downtime():
    one, two = replicas(2)
    gateways = Gateways(up={one.address, two.address})
    rules = Rules(max_unavailable=1, drain=10, soak=0, outages=frozenset({"assistant"}))
    run, _ = rollout(gateways, size=2, rules=rules)
    run.run([change(one)])
    assert gateways.downtimes == []


def test_a_replica_that_did_not_serve_before_is_undrained_without_a_proof():
    one, two = replicas(2)
    gateways = Gateways(up={two.address})
    acted = []
    run, journal = rollout(gateways, size=2)
    dead = change(one, lambda: acted.append(1), lambda: "it is dead", idle=True)
    run.run([dead])
    assert acted == [1]
    assert gateways.drained == set()
    assert journal.lines == [f"{one.address} {phase}" for phase in ("gate", "drain", "act", "undrain", "done")]


def test_an_idle_replica_that_was_drained_manually_stays_drained():
    one, two = replicas(2)
    gateways = Gateways(up={two.address}, manual={one.address})
    run, journal = rollout(gateways, size=2)
    run.run([change(one, idle=True)])
    assert gateways.drained == {one.address}
    assert journal.lines[-2:] == [f"{one.address} act", f"{one.address} done"]
