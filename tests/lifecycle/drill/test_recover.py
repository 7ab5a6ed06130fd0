"""A recovery on scratch hosts: kits are real, what happens on hosts has a stand-in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import HostError, HostsFailed, ProofError, RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.backup.at import NEWEST, At
from rackwright.lifecycle.drill import recover as recovering
from rackwright.lifecycle.drill.evidence.conclusion import conclude
from rackwright.lifecycle.drill.recover import Watch
from rackwright.lifecycle.restore.asked import Asked
from rackwright.lifecycle.restore.everything import Everything
from rackwright.lifecycle.restore.fetch_kit import FetchedKit, KitPlace
from rackwright.lifecycle.restore.in_place import Restored
from rackwright.lifecycle.restore.plan import HostPlan, RestorePlan
from rackwright.lifecycle.verify.procedure import Proof
from tests.lifecycle.drill.drills import (
    DRILL,
    NOON,
    Viewed,
    host_plan,
    new_record,
    own_fleet,
    place_of,
    recovery_in,
)
from tests.lifecycle.restore.kit_vault import Vault, new_vault

DONE = Everything((), cast(Any, None), (), None)
KIT = cast(FetchedKit, None)


@dataclass
class Hosts:
    """Restores that end as a test says. Each host has a snapshot for each hour before NOON."""

    outcomes: list[RackwrightError | None]
    newest: Sequence[HostPlan] = (host_plan("gate1"), host_plan("gpu1", NOON - timedelta(minutes=30)))
    restored: list[At] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    rebooted: list[bool] = field(default_factory=list)

    def restore(self, session: object, asked: Asked, console: object, show: Callable[[RestorePlan], None]) -> None:
        """Plan only: what is shown must end it."""
        show(RestorePlan(tuple(self.newest), None))
        raise AssertionError("a host was restored to see what is there")

    def everything(
        self, opened: object, asked: Asked, console: object, watch: Watch, *, not_stale: bool, reboot: bool
    ) -> Everything:
        self.restored.append(asked.at)
        self.asked.append(asked)
        self.rebooted.append(reboot)
        assert not_stale
        before = asked.at.until or NOON
        plans = tuple(host_plan(one.host, before - timedelta(seconds=30)) for one in self.newest)
        watch.restore(RestorePlan(plans, None))
        outcome = self.outcomes.pop(0)
        if outcome:
            raise outcome
        return DONE


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts([])
    monkeypatch.setattr(recovering, "write_drill_fleet", lambda kit, place: place.own)
    monkeypatch.setattr(recovering, "restore", made.restore)
    monkeypatch.setattr(recovering, "restore_everything", made.everything)
    return made


@pytest.fixture
def own(tmp_path: Path) -> Fleet:
    return own_fleet(tmp_path / "own")


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Vault]:
    """The repositories near, which has no kit, and far, which has one. Tests only read them."""
    made = {name: new_vault(tmp_path_factory.mktemp(name)) for name in ("near", "far")}
    made["far"].saved()
    return made


@pytest.fixture
def vaults(repositories: dict[str, Vault], monkeypatch: pytest.MonkeyPatch) -> dict[str, Vault]:
    def reached(fleet: Fleet, host: str, name: str) -> tuple[object, object]:
        assert host == "kit"
        place: KitPlace = repositories[name].place
        return place.repository, place.access

    monkeypatch.setattr(recovering, "reached_from_here", reached)
    return repositories


def test_the_kit_is_from_the_next_repository_if_the_first_has_none(
    tmp_path: Path, own: Fleet, vaults: dict[str, Vault]
) -> None:
    recovery = recovery_in(tmp_path)
    kit = recovery.fetch(own, tmp_path / "kit")
    assert kit.folder == tmp_path / "kit"
    assert kit.snapshot.id in vaults["far"].snapshots()
    assert kit.key_of
    (saved,) = recovery.record.facts.named("CA key restored")
    assert (saved.outcome, saved.found) == ("passed", f"from the kit {kit.key_of.id[:8]} at far")
    said: list[str] = recovery.console.said  # type: ignore[attr-defined]
    assert (
        said[0]
        == "no kit at near: has no kit; apply and backup kit save it; next: the same command with another --from"
    )
    assert recovery.record.facts.commands == ()
    recovery.record.reach("plan")
    assert [one.command for one in recovery.record.facts.commands] == ["kit"]


def test_a_kit_without_the_cas_key_proves_nothing_with_this_machines_key(
    tmp_path: Path, own: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = cast(FetchedKit, SimpleNamespace(key_of=None))
    monkeypatch.setattr(recovering, "reached_from_here", lambda *_: (None, None))
    monkeypatch.setattr(recovering, "fetch_kit", lambda *_: fetched)
    recovery = recovery_in(tmp_path)
    assert recovery.fetch(own, tmp_path / "kit") is fetched
    assert "CA key restored: failed: no kit at near has it" in conclude(recovery.record.facts).doubts


def test_what_was_restored_from_another_repository_than_planned_is_named(
    tmp_path: Path, own: Fleet, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = host_plan("gate1", NOON - timedelta(hours=30), repository="far")
    done = Everything((Restored("gate1", "far", "5" * 64, (), (), plan=older),), cast(Any, None), (), None)
    monkeypatch.setattr(sys.modules[__name__], "DONE", done)
    hosts.outcomes = [None]
    plans = recovery_in(tmp_path).recover(KIT, place_of(own)).plans
    assert plans["gate1"] is older
    assert plans["gpu1"].chosen.reader.repository == "near"


def test_a_repository_that_is_lost_is_not_asked_for_the_kit(
    tmp_path: Path, own: Fleet, vaults: dict[str, Vault]
) -> None:
    with pytest.raises(HostsFailed, match="no repository has a kit that can be used") as raised:
        recovery_in(tmp_path).fetch(own, tmp_path / "kit", lost="far")
    assert [one.what for one in raised.value.problems] == ["no repository has a kit that can be used", "has no kit"]


def test_all_hosts_are_restored_without_a_question_and_rebooted_if_need_be(
    tmp_path: Path, own: Fleet, hosts: Hosts
) -> None:
    hosts.outcomes = [None]
    recovered = recovery_in(tmp_path).recover(KIT, place_of(own))
    assert (recovered.fleet, recovered.done) == (own, DONE)
    assert set(recovered.plans) == {"gate1", "gpu1"}
    assert hosts.asked == [Asked(at=NEWEST, everything=True, accept_keys=True)]
    assert hosts.rebooted == [True]


def test_poisoned_snapshots_are_passed_over_on_all_hosts(tmp_path: Path, own: Fleet, hosts: Hosts) -> None:
    hosts.outcomes = [None]
    recovered, newest = recovery_in(tmp_path).recover_before(KIT, place_of(own))
    assert newest == {"gate1": NOON, "gpu1": NOON - timedelta(minutes=30)}
    assert [at.until for at in hosts.restored] == [NOON - timedelta(minutes=30, seconds=1)]
    assert all(plan.chosen.snapshot.time < newest[host] for host, plan in recovered.plans.items())


def test_an_older_state_is_tried_after_each_that_is_not_good(tmp_path: Path, own: Fleet, hosts: Hosts) -> None:
    hosts.outcomes = [ProofError("not ours"), HostError("no space", where="gpu1"), None]
    recovery = recovery_in(tmp_path)
    recovery.recover_before(KIT, place_of(own))
    tried = [at.until for at in hosts.restored]
    assert tried == sorted(tried, reverse=True)  # type: ignore[type-var]
    assert len(set(tried)) == 3
    said: list[str] = recovery.console.said  # type: ignore[attr-defined]
    assert said == ["not good: not ours; an older state is tried", "not good: no space; an older state is tried"]


def test_nothing_of_an_attempt_is_left_for_the_next_one(tmp_path: Path, own: Fleet, hosts: Hosts) -> None:
    hosts.outcomes = [ProofError("not ours"), HostError("no space"), None]
    tried_before_each_wipe: list[int] = []
    recovery = recovery_in(tmp_path, empty=lambda: tried_before_each_wipe.append(len(hosts.restored)))
    recovery.record.timeline.declare_loss()
    recovery.record.timeline.answer_proven()
    recovery.recover_before(KIT, place_of(own))
    assert tried_before_each_wipe == [1, 2], "and what is good stays"
    assert recovery.record.timeline.rto_s is None, "an answer of an attempt that failed isn't the service's"
    timing = recovery.record.timeline.timing
    assert timing
    assert [phase.name for phase in timing.phases].count("wipe before the next attempt") == 2


def test_no_attempt_begins_on_hosts_that_are_not_wiped(tmp_path: Path, own: Fleet, hosts: Hosts) -> None:
    def fails() -> None:
        raise ProofError("is not wiped", where="scratch1")

    hosts.outcomes = [HostError("no space")]
    with pytest.raises(ProofError, match="scratch1: is not wiped"):
        recovery_in(tmp_path, empty=fails).recover_before(KIT, place_of(own))
    assert len(hosts.restored) == 1


def test_five_states_are_tried_and_the_last_error_counts(tmp_path: Path, own: Fleet, hosts: Hosts) -> None:
    hosts.outcomes = [ProofError(f"number {count}") for count in range(1, 7)]
    with pytest.raises(ProofError, match="number 5"):
        recovery_in(tmp_path).recover_before(KIT, place_of(own))
    assert len(hosts.restored) == 5


def test_a_failure_before_the_plan_has_no_older_state(
    tmp_path: Path, own: Fleet, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        hosts.restored.append(NEWEST)
        raise HostError("unreachable", where="gate1")

    monkeypatch.setattr(recovering, "restore_everything", unreachable)
    with pytest.raises(HostError, match="unreachable"):
        recovery_in(tmp_path).recover_before(KIT, place_of(own))
    assert len(hosts.restored) == 1


def test_without_any_snapshot_none_can_be_passed_over(tmp_path: Path, own: Fleet, hosts: Hosts) -> None:
    hosts.newest = ()
    with pytest.raises(ProofError, match="no host has a snapshot"):
        recovery_in(tmp_path).recover_before(KIT, place_of(own))


def test_what_is_there_is_empty_if_a_restore_shows_no_plan(
    tmp_path: Path, own: Fleet, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovering, "restore", lambda *_: None)
    with pytest.raises(ProofError, match="no host has a snapshot"):
        recovery_in(tmp_path).recover_before(KIT, place_of(own))


def test_phases_plans_and_proofs_are_recorded_and_shown(tmp_path: Path) -> None:
    record, view = new_record(tmp_path), Viewed()
    record.timeline.declare_loss()
    watch = Watch(record, view)
    watch.restore(RestorePlan((host_plan("gate1"),), None))
    watch.apply(cast(Any, SimpleNamespace()))
    for passed in (False, True, True):
        watch.proof(Proof("gate1", "a completion", passed, "green", answer=True))
    timing = record.timeline.timing
    assert timing
    assert [phase.name for phase in timing.phases] == ["restore", "apply", "verify"]
    assert timing.answer_after_s is not None
    assert view.seen == ["restore", "apply", "proof", "proof", "proof"]
    record.keep()
    log = (tmp_path / f"acme.drills/{DRILL}.log").read_text()
    assert f" gate1: {'5' * 64} at near, read from this machine\n" in log
    assert log.count(" FAIL gate1: a completion: green\n") == 1
    assert log.count(" ok gate1: a completion: green\n") == 2


def test_a_proof_that_failed_is_no_answer(tmp_path: Path) -> None:
    record = new_record(tmp_path)
    record.timeline.declare_loss()
    Watch(record, Viewed()).proof(Proof("gate1", "a completion", False, "HTTP 503", answer=True))
    Watch(record, Viewed()).proof(Proof("gate1", "plain HTTP is refused", True, "no connection"))
    assert record.timeline.timing
    assert record.timeline.timing.answer_after_s is None
