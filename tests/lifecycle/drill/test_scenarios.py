"""What each scenario must show besides the recovery."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from rackwright.errors import HostError, HostsFailed, RackwrightError, together
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.sections.drill import Scenario
from rackwright.lifecycle.drill import scenarios
from rackwright.lifecycle.drill.drill_fleet import Place
from rackwright.lifecycle.drill.evidence.facts import Check
from rackwright.lifecycle.drill.recover import Recovered, Recovery
from rackwright.lifecycle.drill.scenarios import SCENARIOS
from rackwright.lifecycle.restore.everything import Everything
from rackwright.lifecycle.restore.fetch_kit import KitPlace
from rackwright.lifecycle.restore.plan import HostPlan
from tests.lifecycle.drill.drills import NOON, OWN, host_plan, new_record, own_fleet, place_of
from tests.lifecycle.restore.kit_vault import Operator, Vault, new_vault

HOUR = timedelta(hours=1)
REFUSED = HostError("none of its repositories can be read", where="gate1", listed=["near: wrong password"])


@dataclass
class Recoveries:
    """A stand-in for Recovery: it recovers from these plans."""

    record: Any
    plans: tuple[HostPlan, ...] = ()
    newest: Mapping[str, Any] = field(default_factory=dict)
    refusal: RackwrightError | None = None
    console: Operator = field(default_factory=Operator)
    lost: list[str | None] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    def fetch(self, own: Fleet, into: Path, *, lost: str | None = None) -> str:
        self.lost.append(lost)
        self.folders.append(into)
        return "the kit"

    def recover(self, kit: object, place: Place) -> Recovered:
        assert kit == "the kit"
        self.places.append(place)
        if self.refusal:
            raise self.refusal
        return Recovered(place.own, cast(Everything, None), {plan.host: plan for plan in self.plans})

    def recover_before(self, kit: object, place: Place) -> tuple[Recovered, Mapping[str, Any]]:
        return self.recover(kit, place), self.newest


Work = Callable[..., tuple[Recoveries, list[Check]]]


@pytest.fixture
def carried_out(tmp_path: Path) -> Work:
    """Carries a scenario out; returns the recoveries, and the checks that the scenario adds."""

    def work(scenario: Scenario, text: str = OWN, **known: Any) -> tuple[Recoveries, list[Check]]:
        recoveries = Recoveries(new_record(tmp_path, scenario), **known)
        (tmp_path / "private").mkdir()
        own = own_fleet(tmp_path / "own", text)
        SCENARIOS[scenario](cast(Recovery, recoveries), place_of(own, scenario), tmp_path / "private")
        return recoveries, list(recoveries.record.facts.checks)

    return work


@pytest.mark.parametrize("scenario", ["gateway", "serving-host", "everything"])
def test_a_loss_is_recovered_from_the_newest_kit(carried_out: Work, tmp_path: Path, scenario: Scenario) -> None:
    done, checks = carried_out(scenario)
    assert (done.lost, done.folders, checks) == ([None], [tmp_path / "private/kit"], [])
    assert (done.places[0].lost, done.places[0].password) == (None, None)


@pytest.mark.parametrize(
    ("taken", "outcome"),
    [
        ((host_plan("gate1", NOON - HOUR), host_plan("gpu1", NOON - HOUR)), "passed"),
        ((host_plan("gate1", NOON - HOUR), host_plan("gpu1", NOON)), "failed"),
        ((host_plan("gate1", NOON - HOUR), host_plan("gpu1", NOON + HOUR)), "failed"),
        ((host_plan("gate1", NOON - HOUR),), "failed"),
    ],
)
def test_poisoned_passes_only_if_every_host_is_from_before(
    carried_out: Work, taken: tuple[HostPlan, ...], outcome: str
) -> None:
    _, (check,) = carried_out("poisoned", plans=taken, newest={"gate1": NOON, "gpu1": NOON})
    assert (check.name, check.outcome) == ("forged snapshot passed over", outcome)
    if outcome == "failed":
        assert check.found == "not from before the newest snapshot: gpu1"
    else:
        assert check.found.startswith("gate1: 2026-11-29T11:00:00Z, not 2026-11-29T12:00:00Z; gpu1: ")


@pytest.mark.parametrize(
    ("plans", "outcome"),
    [
        ([host_plan(host, repository="far", passed="near") for host in ("gate1", "gpu1")], "passed"),
        ([host_plan("gate1", repository="far", passed="near"), host_plan("gpu1", repository="far")], "failed"),
        ([host_plan("gate1", repository="far", passed="near"), host_plan("gpu1", passed="near")], "failed"),
        ([host_plan("gate1", repository="far", passed="other")], "failed"),
        ([], "failed"),
    ],
)
def test_repository_lost_passes_only_if_the_lost_one_was_tried_and_another_one_used(
    carried_out: Work, plans: list[HostPlan], outcome: str
) -> None:
    done, (check,) = carried_out("repository-lost", plans=tuple(plans))
    assert done.lost == [done.places[0].lost] == ["near"]
    assert (check.name, check.outcome) == ("restored from another repository", outcome)
    assert check.found.startswith("near was unreachable; ")


def test_a_repository_on_hosts_own_disks_is_not_the_one_that_is_lost(carried_out: Work) -> None:
    text = OWN.replace("to:\n", "to:\n    - {name: disk, url: /srv/backup, password: 'file:secrets/password'}\n")
    done, _ = carried_out("repository-lost", text)
    assert done.lost == ["near"]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """A real repository with a kit that its own password opens. Tests only read it."""
    made = new_vault(tmp_path_factory.mktemp("vault"))
    made.saved()
    return made


@pytest.fixture
def closed(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The repository in place of both; and which ones were opened."""
    asked = []

    def reached(fleet: Fleet, host: str, name: str) -> tuple[object, object]:
        asked.append(name)
        place: KitPlace = vault.place
        return place.repository, place.access

    monkeypatch.setattr(scenarios, "reached_from_here", reached)
    return asked


def test_a_wrong_password_passes_if_all_are_refused_for_it(
    carried_out: Work, closed: list[str], tmp_path: Path
) -> None:
    done, (check,) = carried_out("wrong-password", refusal=REFUSED)
    assert (check.name, check.outcome, closed) == ("wrong password refused", "passed", ["near", "far"])
    assert "the kit at near: wrong password" in check.found
    assert "the kit at far: wrong password" in check.found
    assert "hosts' snapshots: none of its repositories can be read; near: wrong password" in check.found
    (place,) = done.places
    assert place.password == tmp_path / "private/password"
    assert place.password.stat().st_mode & 0o777 == 0o600
    assert len(place.password.read_text()) > 40
    assert place.password.read_text() not in check.found
    assert {path.name for path in (tmp_path / "private").iterdir()} == {"password"}


@pytest.mark.parametrize(
    "refusal",
    [
        None,
        HostError("none of its repositories can be read", where="gate1", listed=["near: can't be reached"]),
        cast(HostError, together([REFUSED, HostError("unreachable", where="gpu1")])),
    ],
)
def test_a_host_that_opens_or_refuses_for_another_reason_fails(
    carried_out: Work, closed: list[str], refusal: RackwrightError | None
) -> None:
    _, (check,) = carried_out("wrong-password", refusal=refusal)
    assert check.outcome == "failed"
    assert ("hosts' snapshots: opened" in check.found) is (refusal is None)


def test_a_kit_that_any_password_opens_fails(
    carried_out: Work, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scenarios, "fetch_kit", lambda *_: None)
    _, (check,) = carried_out("wrong-password", refusal=REFUSED)
    assert check.outcome == "failed"
    assert "the kit at near: opened" in check.found


def test_a_kit_that_can_not_be_reached_proves_nothing(
    carried_out: Work, closed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise HostsFailed("can't be reached")

    monkeypatch.setattr(scenarios, "fetch_kit", unreachable)
    _, (check,) = carried_out("wrong-password", refusal=REFUSED)
    assert check.outcome == "failed"
