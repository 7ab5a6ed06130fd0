"""Several changes at the same time: which one starts when, and how they end together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from greenlet import getcurrent

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout.change import Change, Paused, Revert, Rules, Undecided
from rackwright.lifecycle.rollout.procedure import Rollout
from tests.lifecycle.simulation import Recorder, change, host_change, on, replicas, rollout, served

MINUTE = 60.0


@dataclass
class Fleet:
    """Hosts with one replica each, whose acts take a minute; and what the rollout did to them when."""

    size: int
    limit: int
    soak: int = 30
    unavailable: int | None = None
    """The budget of replicas, if it isn't the one of hosts."""
    stopping: Callable[[Recorder], bool] = lambda _: False
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    most_down: int = 0

    def __post_init__(self) -> None:
        self.replicas = replicas(self.size)
        self.gateways = served(*self.replicas)
        rules = Rules(self.unavailable or self.limit, 10, self.soak, 20, max_hosts=self.limit)
        run, self.journal = rollout(self.gateways, self.size, rules, self.stopping)
        self.run_: Rollout = run

    @property
    def now(self) -> float:
        return self.run_.clock.now()

    def change(self, number: int, **fields: Any) -> Change:
        """Return the change of the host with this number, from 1."""
        replica = self.replicas[number - 1]
        name = replica.host

        def act() -> None:
            self.began[name] = self.now
            self.most_down = max(self.most_down, len(self.gateways.drained))
            self.run_.clock.sleep(MINUTE)
            self.ended[name] = self.now

        return host_change(name, replica, **{"act": act, **fields})

    def roll(self, *changes: Change) -> None:
        self.run_.run(changes)

    def phases(self, number: int) -> list[str]:
        lines = (line.split() for line in self.journal.lines)
        return [phase for subject, phase in lines if subject == f"gpu{number}"]

    def at(self, line: str) -> int:
        return self.journal.lines.index(line)


# Which starts when.


@pytest.mark.parametrize("limit", [2, 3])
def test_after_the_first_as_many_change_at_the_same_time_as_the_budget_allows(limit: int):
    fleet = Fleet(7, limit, soak=0)
    fleet.roll(*map(fleet.change, range(1, 8)))
    assert fleet.began["gpu2"] >= fleet.ended["gpu1"]
    assert fleet.most_down == limit
    # The first one alone, then the six others side by side.
    assert fleet.now < (1 + 6 / limit) * MINUTE + 30
    assert fleet.gateways.drained == set()


def test_with_a_budget_of_one_the_next_one_waits_for_the_soak():
    fleet = Fleet(3, limit=1)
    fleet.roll(*map(fleet.change, (1, 2, 3)))
    for number in (1, 2):
        assert fleet.at(f"gpu{number} done") < fleet.at(f"gpu{number + 1} gate")


def test_with_more_the_next_one_starts_while_others_soak():
    fleet = Fleet(5, limit=2, soak=600, unavailable=5)
    fleet.roll(*map(fleet.change, range(1, 6)))
    assert fleet.at("gpu1 done") < fleet.at("gpu2 gate")
    assert fleet.at("gpu2 soak") < fleet.at("gpu4 gate") < fleet.at("gpu2 done")
    assert fleet.most_down == 2


def test_each_series_has_its_own_first_one():
    fleet = Fleet(5, limit=4, soak=0)
    fleet.roll(*(fleet.change(number, series="odd" if number % 2 else "even") for number in (1, 2, 3, 4)))
    assert fleet.began["gpu1"] == fleet.began["gpu2"] < fleet.ended["gpu1"] <= fleet.began["gpu3"]


def test_what_is_in_no_series_waits_for_no_first_one():
    fleet = Fleet(4, limit=3)
    fleet.roll(*(fleet.change(number, series="") for number in (1, 2, 3)))
    assert len(set(fleet.began.values())) == 1


def test_a_first_one_that_was_not_changed_is_no_first_one():
    fleet = Fleet(3, limit=3)
    fleet.gateways.requests["gpu1/assistant@1"] = [2]
    with pytest.raises(Paused, match="2 requests are still in flight"):
        fleet.roll(*map(fleet.change, (1, 2, 3)))
    assert fleet.began == {}


def test_two_changes_never_work_on_the_same_host():
    first, second = (Replica("assistant", number, "gpu1", 0) for number in (1, 2))
    spread = Replica("assistant", 3, "gpu2", 0, members=("gpu2", "gpu1"))
    gateways, at_once, running = served(first, second, spread, *on("gpu4", "assistant")), [], []
    rules = Rules(max_unavailable=9, drain=10, soak=0, max_hosts=9)
    run, _ = rollout(gateways, 4, rules)

    def act(name: str) -> Callable[[], None]:
        def acts() -> None:
            running.append(name)
            at_once.append(sorted(running))
            run.clock.sleep(MINUTE)
            running.remove(name)

        return acts

    run.run(
        [
            replace(change(first, act("first")), series=""),
            replace(change(second, act("second")), series=""),
            replace(change(spread, act("spread")), series=""),
            host_change("gpu3", act=act("gpu3")),
            host_change("gpu1", act=act("gpu1"), series=""),
        ]
    )
    assert at_once == [["first"], ["first", "gpu3"], ["second"], ["spread"], ["gpu1"]]


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 1, 3), (2, 3, 1)])
def test_while_an_exclusive_one_changes_nothing_else_does(order: tuple[int, ...]):
    fleet = Fleet(3, limit=3, soak=0)
    fleet.roll(*(fleet.change(number, series="", exclusive=number == 1) for number in order))
    others = {name: fleet.began[name] for name in ("gpu2", "gpu3")}
    assert all(
        began >= fleet.ended["gpu1"] or fleet.ended[name] <= fleet.began["gpu1"] for name, began in others.items()
    )
    assert others["gpu2"] == others["gpu3"] or order == (2, 1, 3)


# Budgets.


def test_a_change_waits_while_those_in_progress_use_up_the_budget():
    """Other replicas of the model are down. One of the two has to wait for the other, but nothing pauses."""
    fleet = Fleet(5, limit=3, soak=0)
    fleet.gateways.up -= {"gpu4/assistant@1", "gpu5/assistant@1"}
    fleet.roll(*(fleet.change(number, series="") for number in (1, 2, 3)))
    assert fleet.most_down == 1
    assert sorted(fleet.began) == ["gpu1", "gpu2", "gpu3"]


def test_a_budget_that_nothing_in_progress_uses_pauses():
    fleet = Fleet(5, limit=2, soak=0)
    fleet.gateways.up -= {"gpu4/assistant@1", "gpu5/assistant@1"}
    with pytest.raises(Paused, match="gpu1: 3 of 5 replicas of assistant would be unavailable"):
        fleet.roll(*map(fleet.change, (1, 2, 3)))
    assert fleet.began == {}


def test_hosts_in_progress_count_with_those_that_can_not_be_reached():
    fleet = Fleet(5, limit=2, soak=0)
    fleet.run_ = replace(fleet.run_, lost=lambda: {"gpu9"})
    fleet.roll(*map(fleet.change, range(1, 5)))
    assert fleet.most_down == 1


def test_a_host_in_progress_that_can_not_be_reached_counts_once():
    """It reboots."""
    fleet = Fleet(4, limit=2, soak=0)
    fleet.run_ = replace(fleet.run_, lost=lambda: {*fleet.began} - {*fleet.ended})
    fleet.roll(*map(fleet.change, range(1, 5)))
    assert fleet.most_down == 2


def test_a_host_that_stays_drained_keeps_its_slot():
    """gpu2 can't be reverted, and gpu4 changes. gpu3, which fails in its soak, serves until gpu4 does."""
    fleet = Fleet(9, limit=2, soak=45, unavailable=8)

    def fails() -> None:
        fleet.run_.clock.sleep(MINUTE + 10)
        raise HostError("no driver", where="gpu2")

    down: list[set[str]] = []
    back = Revert(lambda: down.append({*fleet.gateways.drained}), lambda: None)
    truly = fleet.gateways.healthy

    def healthy(model: str) -> set[str]:
        lines = fleet.journal.lines
        falls = {"gpu2 done", "gpu3 soak"} <= {*lines} and "gpu3 revert" not in lines
        return truly(model) - ({"gpu3/assistant@1"} if falls else set())

    fleet.gateways.healthy = healthy  # type: ignore[method-assign]
    with pytest.raises(RackwrightError, match="no driver"):
        fleet.roll(fleet.change(1), fleet.change(2, act=fails), fleet.change(3, revert=back), fleet.change(4))
    assert fleet.at("gpu3 revert") < fleet.at("gpu4 undrain")
    assert down == [{"gpu2/assistant@1", "gpu3/assistant@1"}]


@pytest.mark.parametrize("limit", [1, 2])
def test_a_host_that_an_earlier_run_left_unfinished_has_its_slot_and_comes_first(limit: int):
    """gpu4 is drained and not proven. With a budget of two hosts, gpu9 can't be reached, either."""
    fleet = Fleet(5, limit, soak=0, unavailable=4)
    fleet.gateways.drained.add("gpu4/assistant@1")
    fleet.run_ = replace(fleet.run_, lost=lambda: {"gpu9"} if limit == 2 else set())
    fleet.roll(fleet.change(3, series=""), fleet.change(4, series="", unfinished=True))
    assert fleet.at("gpu4 undrain") < fleet.at("gpu3 drain")
    assert fleet.most_down == 1


def test_hosts_that_an_earlier_run_left_unfinished_do_not_wait_for_each_other():
    """Each has the slot of an earlier run, and each still has a replica that serves."""
    fleet = Fleet(6, limit=2, soak=0, unavailable=5)
    fleet.run_ = replace(fleet.run_, lost=lambda: {"gpu9"})
    with pytest.raises(Paused, match=r"gpu[12]: 3 hosts would be unavailable: gpu1, gpu2, gpu9"):
        fleet.roll(fleet.change(1, series="", unfinished=True), fleet.change(2, series="", unfinished=True))
    assert fleet.began == {}


def test_replicas_have_a_budget_of_their_own():
    fleet = Fleet(6, limit=1, unavailable=3, soak=0)
    fleet.roll(*(fleet.change(number, host=None, series="") for number in range(1, 6)))
    assert fleet.most_down == 3


def test_two_that_are_judged_at_the_same_time_do_not_both_take_the_last_slot():
    """Asking the gateways takes a second, in which other changes go on."""
    fleet = Fleet(4, limit=3, unavailable=1, soak=0)
    truly = fleet.gateways.healthy

    def healthy(model: str) -> set[str]:
        found = truly(model)
        fleet.run_.clock.sleep(1)
        return found

    fleet.gateways.healthy = healthy  # type: ignore[method-assign]
    fleet.roll(*(fleet.change(number, series="") for number in (1, 2, 3)))
    assert (fleet.most_down, sorted(fleet.ended)) == (1, ["gpu1", "gpu2", "gpu3"])


# The first failure.


def test_after_a_failure_nothing_starts_and_what_is_in_progress_goes_on_to_its_end():
    fleet = Fleet(6, limit=3)

    def fails() -> None:
        fleet.run_.clock.sleep(10)
        raise HostError("no driver", where="gpu2")

    with pytest.raises(HostError, match="no driver"):
        fleet.roll(*(fleet.change(n, **({"act": fails} if n == 2 else {})) for n in range(1, 7)))
    assert sorted(fleet.ended) == ["gpu1", "gpu3", "gpu4"]
    assert (fleet.phases(3)[-2:], fleet.phases(4)[-2:]) == (["soak", "done"], ["soak", "done"])
    assert (fleet.phases(5), fleet.phases(6)) == ([], [])
    assert fleet.gateways.drained == {"gpu2/assistant@1"}


def test_while_a_failed_one_is_on_its_way_back_nothing_starts():
    """The way back of a host takes minutes; others end meanwhile, and their slots become free."""
    fleet = Fleet(6, limit=2)

    def fails() -> None:
        raise HostError("no driver", where="gpu2")

    back = Revert(lambda: fleet.run_.clock.sleep(5 * MINUTE), prove=lambda: None)
    with pytest.raises(HostError, match="no driver"):
        fleet.roll(*(fleet.change(n, **({"act": fails, "revert": back} if n == 2 else {})) for n in range(1, 7)))
    assert fleet.at("gpu3 done") < fleet.at("gpu2 done")
    assert (fleet.phases(4), fleet.phases(5)) == ([], [])
    assert fleet.gateways.drained == set()


def test_one_that_is_judged_while_another_fails_stays_up():
    """To ask which hosts can be reached takes seconds."""
    fleet = Fleet(4, limit=2)

    def fails() -> None:
        raise HostError("no driver", where="gpu2")

    def lost() -> tuple[str, ...]:
        fleet.run_.clock.sleep(20)
        return ()

    fleet.run_ = replace(fleet.run_, lost=lost)
    back = Revert(lambda: None, prove=lambda: None)
    with pytest.raises(HostError, match="no driver"):
        fleet.roll(fleet.change(1), fleet.change(2, act=fails, revert=back), fleet.change(3))
    assert fleet.phases(3) == ["gate", "done"]
    assert fleet.gateways.drained == set()


def test_after_a_failure_what_has_not_gone_down_yet_stays_up():
    """It was started, and waits for the budget."""
    fleet = Fleet(4, limit=2)
    fleet.gateways.up.discard("gpu4/assistant@1")

    def fails() -> None:
        fleet.run_.clock.sleep(10)
        raise HostError("no driver", where="gpu2")

    with pytest.raises(HostError, match="no driver"):
        fleet.roll(fleet.change(1), fleet.change(2, act=fails), fleet.change(3))
    assert fleet.phases(3) == ["gate", "done"]
    assert fleet.journal.details[-1] != ""
    assert "gpu3/assistant@1" in fleet.gateways.healthy("assistant")


def test_all_failures_are_reported_and_those_before_pauses():
    fleet = Fleet(6, limit=3)
    fleet.gateways.requests["gpu2/assistant@1"] = [2]

    def fails() -> None:
        raise ProofError("no driver")

    with pytest.raises(ProofError) as caught:
        fleet.roll(fleet.change(1), fleet.change(2), fleet.change(3, prove=fails), fleet.change(4, prove=fails))
    assert [(problem.where, problem.what.split(" are")[0]) for problem in caught.value.problems] == [
        ("gpu3", "no driver"),
        ("gpu4", "no driver"),
        ("gpu2", "2 requests"),
    ]


def test_a_first_one_without_a_verdict_starts_no_other():
    fleet, done = Fleet(3, limit=3), []

    def undecided(enter: Callable[[str], None]) -> None:
        enter("5 % of the traffic")
        raise Undecided("too little was seen")

    with pytest.raises(Undecided, match="too little was seen"):
        fleet.run_.run([fleet.change(1, trial=undecided), fleet.change(2), fleet.change(3)], done.append)
    assert (done, sorted(fleet.began)) == ([], ["gpu1"])
    assert fleet.gateways.drained == {"gpu1/assistant@1"}
    assert fleet.journal.details[-1] == "changed, and stays drained: too little was seen"


def test_an_interruption_lets_those_in_progress_go_on_and_names_the_others():
    fleet = Fleet(5, limit=2, stopping=lambda journal: "gpu3 act" in journal.lines)
    with pytest.raises(Paused, match=r"interrupted; done: gpu1, gpu2, gpu3; not started: gpu4, gpu5"):
        fleet.roll(*map(fleet.change, range(1, 6)))
    assert fleet.gateways.drained == set()


def test_an_interrupted_change_that_had_not_gone_down_counts_as_not_started():
    fleet = Fleet(4, limit=2, stopping=lambda journal: "gpu3 gate" in journal.lines and "gpu2 act" in journal.lines)
    fleet.gateways.up.discard("gpu4/assistant@1")
    with pytest.raises(Paused, match=r"interrupted; done: gpu1, gpu2; not started: gpu3"):
        fleet.roll(*map(fleet.change, range(1, 4)))
    assert fleet.journal.details[fleet.journal.lines.index("gpu3 done")] == "unchanged: the rollout stops"


# What ends all of them at once.


def downtimes(fleet: Fleet, error: BaseException) -> list[str]:
    """Return what gateways hear of downtimes if this is raised in the act of the second of two models' hosts."""
    assistant, coder = on("gpu1", "assistant"), on("gpu2", "coder")
    gateways = served(*assistant, *coder)
    rules = Rules(2, 10, 5, 20, frozenset({"assistant", "coder"}), max_hosts=2)
    run, fleet.journal = rollout(gateways, 1, rules)

    def fails() -> None:
        run.clock.sleep(1)
        raise error

    waits = host_change("gpu1", *assistant, act=lambda: run.clock.sleep(MINUTE), series="")
    with pytest.raises(type(error)):
        run.run([waits, host_change("gpu2", *coder, act=fails, series="")])
    assert run.clock.now() < MINUTE
    assert gateways.drained == {"gpu1/assistant@1", "gpu2/coder@1"}
    return [said for said in gateways.downtimes if said.endswith("over")]


def test_a_lost_lease_ends_all_at_once_and_leaves_the_downtimes_to_who_has_it():
    fleet = Fleet(1, 1)
    assert downtimes(fleet, LeasedError("lost")) == []
    assert fleet.journal.lines[-1].endswith("act")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), ZeroDivisionError()])
def test_an_abort_ends_all_at_once_and_their_downtimes(error: BaseException):
    fleet = Fleet(1, 1)
    assert sorted(downtimes(fleet, error)) == ["assistant over", "coder over"]
    assert fleet.journal.lines[-1].endswith("act")


def test_an_interrupt_while_the_run_waits_ends_all_at_once():
    fleet = Fleet(4, limit=3)
    advance = fleet.run_.clock._advance  # type: ignore[attr-defined]

    def interrupted(seconds: float) -> None:
        advance(seconds)
        if len(fleet.began) == 3 and getcurrent().parent is None:
            raise KeyboardInterrupt

    fleet.run_.clock._timeline.advance = interrupted  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        fleet.roll(*(fleet.change(number, series="") for number in (1, 2, 3)))
    assert fleet.ended == {}
    assert fleet.run_.clock._timeline.over  # type: ignore[attr-defined]


def test_a_lost_lease_is_the_error_whatever_else_failed_before():
    fleet = Fleet(4, limit=3)

    def fails() -> None:
        fleet.run_.clock.sleep(2)
        raise HostError("no driver")

    def lost() -> None:
        fleet.run_.clock.sleep(5)
        raise LeasedError("lost")

    with pytest.raises(LeasedError, match=r"^lost$"):
        fleet.roll(fleet.change(1), fleet.change(2, act=fails), fleet.change(3, act=lost), fleet.change(4))
    assert fleet.ended.keys() == {"gpu1"}
