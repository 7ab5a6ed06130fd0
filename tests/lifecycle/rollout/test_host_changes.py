"""A host as the thing that changes: drained, proven and undrained with all its replicas."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from rackwright.errors import HostError, ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout.change import Paused, Phase, Revert, Rules
from tests.lifecycle.simulation import Gateways, host_change, on, rollout, served

HERE = on("gpu1", "assistant", "coder")
THERE = on("gpu2", "assistant", "coder")
A, C = (one.address for one in HERE)
WELL = ("gate", "drain", "act", "prove", "undrain", "soak", "done")
BACK = Revert(lambda: None, lambda: None)


# Its replicas.


def test_all_its_replicas_are_drained_and_undrained_together():
    gateways, seen = served(*HERE, *THERE), []
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gpu1", *HERE, act=lambda: seen.append(set(gateways.drained)))])
    assert seen == [{A, C}]
    assert gateways.drained == set()
    assert journal.lines == [f"gpu1 {phase}" for phase in WELL]


def test_it_changes_when_no_replica_has_a_request_in_flight():
    gateways, seen, lines = served(*HERE, *THERE), [], []
    gateways.requests = {A: [2, 0], C: [3, 1, 1, 0]}
    run, _ = rollout(gateways, size=2)
    change = host_change("gpu1", *HERE, act=lambda: seen.append([gateways.in_flight(one) for one in HERE]))
    replace(run, say=lines.append).run([change])
    assert seen == [[0, 0]]
    assert "gpu1  draining (5 in flight)" in lines


def test_a_replica_that_was_drained_manually_stays_drained_and_the_others_return():
    gateways = served(*HERE, *THERE)
    gateways.manual.add(C)
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gpu1", *HERE)])
    assert gateways.drained == {C}
    assert journal.lines == [f"gpu1 {phase}" for phase in WELL]


def test_a_host_with_only_manual_drains_is_proven_and_stays_drained():
    gateways, proven = served(*HERE, *THERE), []
    gateways.manual |= {A, C}
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gpu1", *HERE, prove=lambda: proven.append(1), serves=lambda: "HTTP 503")])
    assert proven == [1]
    assert journal.lines == [f"gpu1 {phase}" for phase in ("gate", "drain", "act", "prove", "done")]
    assert journal.details[-1] == "done; stays drained, as an operator drained it manually"


def test_what_did_not_serve_before_is_undrained_and_need_not_serve():
    gateways = served(HERE[0], *THERE)
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gpu1", *HERE, idle=frozenset({C}))])
    assert gateways.drained == set()
    assert journal.lines[-1] == "gpu1 done"


def test_a_host_whose_replicas_did_not_serve_is_proven_all_the_same():
    """A replica isn't, but a host has its driver to prove."""
    gateways, proven = served(*THERE), []
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gpu1", *HERE, idle=frozenset({A, C}), prove=lambda: proven.append(1))])
    assert proven == [1]
    assert gateways.drained == set()
    assert journal.lines == [f"gpu1 {phase}" for phase in WELL if phase != "soak"]


def test_a_host_without_replicas_is_proven_and_asks_no_gateway():
    """A new fleet may not have one that could be asked."""
    gateways, proven = Gateways(up=set()), []
    gateways.drained_manually = None  # type: ignore[assignment,method-assign]
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gpu1", prove=lambda: proven.append(1))])
    assert proven == [1]
    assert journal.lines == [f"gpu1 {phase}" for phase in ("gate", "drain", "act", "prove", "done")]
    assert journal.details[-1] == "new driver"


def falling(gateways: Gateways, address: str, looks: range) -> None:
    """At these looks at its model, counted from 0, the gateways see the replica down."""
    seen, truly = count(), gateways.healthy

    def healthy(model: str) -> set[str]:
        falls = f"/{model}@" in address and next(seen) in looks
        return truly(model) - ({address} if falls else set())

    gateways.healthy = healthy  # type: ignore[method-assign]


def test_the_replica_that_falls_out_while_the_host_soaks_is_named():
    gateways = served(*HERE, *THERE)
    run, _ = rollout(gateways, size=2)
    # One look in the gate phase, one at its return; then it soaks.
    falling(gateways, C, range(2, 3))
    with pytest.raises(ProofError, match=f"gpu1: {C} stopped taking requests while it was soaking"):
        run.run([host_change("gpu1", *HERE)])


def test_the_replica_that_does_not_return_is_named():
    gateways = served(*HERE, *THERE)
    run, _ = rollout(gateways, size=2)
    falling(gateways, C, range(1, 1000))
    with pytest.raises(ProofError, match=f"gpu1: the gateways don't send requests to {C} again"):
        run.run([host_change("gpu1", *HERE)])


# Budgets.


def test_the_budget_of_each_of_its_models_counts():
    gateways = served(*HERE, *THERE, *on("gpu3", "assistant", "coder"))
    gateways.up.discard(THERE[1].address)
    run, journal = rollout(gateways, size=3)
    with pytest.raises(Paused, match="gpu1: 2 of 3 replicas of coder would be unavailable"):
        run.run([host_change("gpu1", *HERE)])
    assert (gateways.drained, journal.lines) == (set(), ["gpu1 gate"])


def test_the_last_healthy_replica_of_one_of_its_models_is_not_taken():
    gateways = served(*HERE, THERE[0])
    run, _ = rollout(gateways, size=2)
    with pytest.raises(
        Paused, match="has the last healthy replica of coder: changing the host would stop the service"
    ):
        run.run([host_change("gpu1", *HERE)])


@pytest.mark.parametrize("fails", [False, True])
def test_the_downtime_of_its_models_without_another_replica_is_announced_and_ended(fails: bool):
    gateways, told = served(*HERE, THERE[0]), []
    outages = frozenset({"assistant", "coder"})
    rules = Rules(max_unavailable=2, drain=10, soak=0, prove=5, outages=outages, downtime=lambda _: 33)
    run, _ = rollout(gateways, size=2, rules=rules)
    change = host_change(
        "gpu1",
        *HERE,
        act=lambda: told.append([*gateways.downtimes]),
        prove=lambda: "HTTP 500" if fails else None,
        revert=BACK,
    )
    if fails:
        with pytest.raises(ProofError):
            run.run([change])
    else:
        run.run([change])
    assert told == [["coder 33 early", "coder 33"]]
    again = ["coder 33 early", "coder 33"] if fails else []
    assert gateways.downtimes == ["coder 33 early", "coder 33", *again, "coder over"]


@pytest.mark.parametrize(("lost", "limit", "down"), [({"gpu3"}, 1, 2), ({"gpu3", "gpu4"}, 2, 3), ({"gpu1"}, 1, 0)])
def test_hosts_that_can_not_be_reached_count_as_unavailable(lost: set[str], limit: int, down: int):
    gateways = served(*HERE, *THERE)
    rules = Rules(max_unavailable=2, drain=10, soak=0, max_hosts=limit)
    run, journal = rollout(gateways, size=2, rules=rules)
    run = replace(run, lost=lambda: lost)
    if not down:
        run.run([host_change("gpu1", *HERE)])
        return
    with pytest.raises(Paused) as caught:
        run.run([host_change("gpu1", *HERE)])
    (problem,) = caught.value.problems
    assert problem.what == f"{down} hosts would be unavailable: {', '.join(sorted(lost | {'gpu1'}))}"
    assert problem.should == f"patch.max_unavailable is {limit}"
    assert journal.lines == ["gpu1 gate"]


def test_a_gateway_counts_as_a_host_too():
    run, journal = rollout(Gateways(up=set()), size=2)
    with pytest.raises(Paused, match="2 hosts would be unavailable: gate1, gpu3"):
        replace(run, lost=lambda: {"gpu3"}).run([host_change("gate1", gateway=True)])
    assert journal.lines == ["gate1 gate"]


@pytest.mark.parametrize("gateway", [False, True])
def test_a_host_that_serves_nothing_is_changed_whatever_else_is_down(gateway: bool):
    """It is unavailable already."""
    gateways = served(*THERE)
    gateways.left = ["gpu1"] if gateway else []
    run, journal = rollout(gateways, size=2)
    replace(run, lost=lambda: {"gpu3"}).run([host_change("gpu1", *HERE, idle=frozenset({A, C}), gateway=gateway)])
    assert journal.lines[-1] == "gpu1 done"


def test_replicas_that_change_one_by_one_do_not_ask_which_hosts_are_down():
    gateways = served(*HERE, *THERE)
    run, journal = rollout(gateways, size=2)
    replace(run, lost=lambda: {"gpu3"}).run([replace(host_change("gpu1", HERE[0]), host=None)])
    assert journal.lines[-1] == f"{A} done"


# Gateways.


def test_a_gateway_leaves_until_it_is_proven_and_returns_before_its_replicas():
    gateways, seen = served(*HERE, *THERE), []
    gateways.requests = {"gpu1": [4, 1, 0]}
    rejoin, lines = gateways.rejoin, []

    def rejoined(name):
        seen.append(("rejoin", set(gateways.drained)))
        rejoin(name)

    gateways.rejoin = rejoined
    change = host_change(
        "gpu1",
        *HERE,
        gateway=True,
        act=lambda: seen.append(("act", gateways.passing("gpu1"), [*gateways.left])),
        prove=lambda: seen.append(("prove", [*gateways.left])),
    )
    run, _ = rollout(gateways, size=2)
    replace(run, say=lines.append).run([change])
    assert seen == [("act", 0, ["gpu1"]), ("prove", ["gpu1"]), ("rejoin", {A, C})]
    assert (gateways.left, gateways.drained) == ([], set())
    assert "gpu1  draining (4 in flight)" in lines


def test_a_gateway_without_replicas_leaves_and_returns():
    gateways, seen = Gateways(up=set()), []
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gate1", gateway=True, act=lambda: seen.append([*gateways.left]))])
    assert (seen, gateways.left) == ([["gate1"]], [])
    assert journal.lines == [f"gate1 {phase}" for phase in WELL if phase != "soak"]


def test_a_gateway_that_an_operator_took_out_of_service_stays_out():
    gateways, returned = served(*HERE, *THERE), []
    gateways.manual.add("gpu1")
    gateways.rejoin = returned.append  # type: ignore[method-assign]
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gpu1", *HERE, gateway=True)])
    assert (returned, gateways.drained, journal.lines[-1]) == ([], set(), "gpu1 done")


def test_a_host_that_is_no_gateway_takes_none_out_of_service():
    gateways = served(*HERE, *THERE)
    gateways.leave = gateways.left_manually = gateways.takes_requests = None  # type: ignore[assignment,method-assign]
    run, journal = rollout(gateways, size=2)
    run.run([host_change("gpu1", *HERE)])
    assert journal.lines[-1] == "gpu1 done"


@pytest.mark.parametrize("manual", [False, True])
def test_a_gateway_whose_connections_do_not_end_returns(manual: bool):
    gateways = served(*HERE, *THERE)
    gateways.requests = {"gpu1": [4]}
    gateways.manual |= {"gpu1"} if manual else set()
    run, journal = rollout(gateways, size=2)
    with pytest.raises(Paused, match="4 requests are still in flight after 10 s"):
        run.run([host_change("gpu1", *HERE, gateway=True)])
    assert gateways.left == (["gpu1"] if manual else [])
    assert gateways.drained == set()
    assert journal.lines == [f"gpu1 {phase}" for phase in ("gate", "drain", "undrain", "done")]


def test_a_gateway_that_is_interrupted_while_it_drains_returns():
    gateways = served(*HERE, *THERE)
    gateways.requests = {"gpu1": [4]}
    run, _ = rollout(gateways, size=2, stopping=lambda journal: "gpu1 drain" in journal.lines)
    with pytest.raises(Paused, match="interrupted; done: none; not started: gpu1"):
        run.run([host_change("gpu1", *HERE, gateway=True)])
    assert (gateways.left, gateways.drained) == ([], set())


@pytest.mark.parametrize("where", ["leave", "passing"])
def test_a_gateway_that_can_not_be_drained_returns_and_so_do_its_replicas(where: str):
    gateways = served(*HERE, *THERE)
    leave = gateways.leave

    def lost(gateway: str) -> int:
        leave(gateway)
        raise HostError("gate2: unreachable")

    setattr(gateways, where, lost)
    run, journal = rollout(gateways, size=2)
    with pytest.raises(HostError, match="gate2: unreachable"):
        run.run([host_change("gpu1", *HERE, gateway=True)])
    assert (gateways.left, gateways.drained) == ([], set())
    assert journal.details[-1] == "unchanged: gate2: unreachable"


@pytest.mark.parametrize("reverted", [True, False])
def test_a_gateway_that_fails_returns_only_once_it_is_reverted(reverted: bool):
    gateways = served(*HERE, *THERE)
    run, _ = rollout(gateways, size=2)
    back = Revert(lambda: None, lambda: None if reverted else "HTTP 500")
    with pytest.raises(ProofError, match="not proven after 20 s: no driver"):
        run.run([host_change("gpu1", *HERE, gateway=True, prove=lambda: "no driver", revert=back)])
    assert gateways.left == ([] if reverted else ["gpu1"])
    assert gateways.drained == (set() if reverted else {A, C})


# For good, or back.


def test_it_is_made_permanent_after_the_proof_and_before_it_is_undrained():
    gateways, seen = served(*HERE, *THERE), []
    change = host_change(
        "gpu1",
        *HERE,
        prove=lambda: seen.append("prove"),
        commit=lambda: seen.append(f"commit, {len(gateways.drained)} drained"),
        serves=lambda: seen.append("serves"),
    )
    run, journal = rollout(gateways, size=2)
    run.run([change])
    assert seen == ["prove", "commit, 2 drained", "serves"]
    phases = [line.split()[1] for line in journal.lines]
    assert phases.index(Phase.PROVE) < phases.index(Phase.COMMIT) < phases.index(Phase.UNDRAIN)


def test_what_is_not_proven_is_not_made_permanent():
    committed = []
    run, journal = rollout(served(*HERE, *THERE), size=2)
    with pytest.raises(ProofError):
        run.run([host_change("gpu1", *HERE, prove=lambda: "no driver", commit=lambda: committed.append(1))])
    assert committed == []
    assert "gpu1 commit" not in journal.lines


def failed() -> None:
    raise HostError("update-grub failed", where="gpu1")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"act": failed}, "update-grub failed"),
        ({"prove": lambda: "no driver"}, "not proven after 20 s: no driver"),
        ({"commit": failed}, "update-grub failed"),
        ({"serves": lambda: "HTTP 503"}, "not proven after 60 s: HTTP 503"),
    ],
    ids=["act", "prove", "commit", "serves"],
)
def test_what_fails_is_reverted_proven_and_undrained(fields: dict[str, object], why: str):
    gateways, seen = served(*HERE, *THERE), []
    back = Revert(
        lambda: seen.append("act"), lambda: seen.append("prove"), lambda: seen.append("serves"), "the kernel before"
    )
    run, journal = rollout(gateways, size=2)
    with pytest.raises(RackwrightError, match=f"gpu1: {why}; it was reverted, and its engines answer"):
        run.run([host_change("gpu1", *HERE, revert=back, restored="its engines answer", **fields)])
    assert seen == ["act", "prove", "serves"]
    assert gateways.drained == set()
    assert journal.lines[-4:] == [f"gpu1 {phase}" for phase in ("revert", "act", "undrain", "done")]
    assert journal.details[-3:] == ["the kernel before", "at every gateway", "reverted: its engines answer"]


def test_a_replica_that_is_drained_manually_during_a_revert_is_not_waited_for():
    gateways = served(*HERE, *THERE)
    run, journal = rollout(gateways, size=2)
    falling(gateways, A, range(2, 3))
    back = Revert(lambda: gateways.manual.add(C), lambda: None)
    with pytest.raises(ProofError, match="stopped taking requests while it was soaking; it was reverted"):
        run.run([host_change("gpu1", *HERE, revert=back)])
    assert gateways.drained == {C}
    assert journal.lines[-1] == "gpu1 done"


def test_without_the_budget_a_host_that_serves_is_not_reverted():
    gateways = served(*HERE, *THERE)
    run, journal = rollout(gateways, size=2)
    falling(gateways, A, range(2, 3))
    lost: set[str] = set()
    change = host_change("gpu1", *HERE, revert=BACK, act=lambda: lost.add("gpu3"))
    with pytest.raises(ProofError, match="it was not reverted, and serves: 2 hosts would be unavailable"):
        replace(run, lost=lambda: lost).run([change])
    assert gateways.drained == set()
    assert journal.details[-1].startswith("not reverted: 2 hosts would be unavailable")


def test_a_change_is_of_the_hosts_that_it_works_on():
    spread = Replica("assistant", 1, "gpu1", 0, members=("gpu1", "gpu2"))
    change = host_change("gpu2", spread)
    assert change.hosts == {"gpu1", "gpu2"}
    assert replace(change, host=None).hosts == {"gpu1", "gpu2"}
    assert (change.subject, replace(change, host=None).subject) == ("gpu2", "gpu1/assistant@1")
    assert host_change("gpu1", *HERE, *on("gpu1", "coder")).models == ("assistant", "coder")
