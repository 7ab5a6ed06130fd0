"""A drill from its beginning to its end: whatever fails, the hosts are wiped and the report doesn't pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rackwright.errors import HostError, LeasedError, ProofError, RackwrightError, SecretError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock
from rackwright.lifecycle.drill import procedure
from rackwright.lifecycle.drill import prove as proving
from rackwright.lifecycle.drill.data_checks import Data
from rackwright.lifecycle.drill.drill_fleet import Place
from rackwright.lifecycle.drill.evidence import folder as files
from rackwright.lifecycle.drill.evidence.conclusion import conclude
from rackwright.lifecycle.drill.evidence.facts import (
    Check,
    EngineVersion,
    Facts,
    Integrity,
    NegativeControl,
    Outcome,
    Versions,
)
from rackwright.lifecycle.drill.evidence.seal import drafts
from rackwright.lifecycle.drill.procedure import Drill, planned
from rackwright.lifecycle.drill.record import Record
from rackwright.lifecycle.drill.recover import Recovered, Recovery
from rackwright.lifecycle.drill.scope import Scope, scope_of
from rackwright.lifecycle.drill.scratch_hosts.not_production import Proven
from rackwright.lifecycle.restore.everything import Everything
from rackwright.lifecycle.restore.in_place import Restored
from rackwright.lifecycle.verify.procedure import Proof
from tests.lifecycle.drill.drills import OWN, Viewed, host_plan, new_record, opened, own_fleet
from tests.lifecycle.restore.kit_vault import Operator

LOCK = Lock(fleet="acme", models={}, runtimes={}, ports={})
CLEAN = SimpleNamespace(marker=None)
LEFT = SimpleNamespace(marker="of a drill that was killed")
WIPED = Check("wiped", "passed", "scratch1", "nothing is left")


def proven(**hosts: object) -> Proven:
    checks = (Check("not production", "passed", "scratch1"),)
    return Proven(checks, cast(Any, hosts or {"scratch1": CLEAN, "scratch2": CLEAN}))


@dataclass
class Held:
    """A stand-in for the guard of two scratch hosts. A step can fail, and the calls are noted."""

    failing: dict[str, BaseException] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    brought: Mapping[str, Any] = field(default_factory=dict)
    scratch: tuple[str, ...] = ("scratch1", "scratch2")
    inside: Outcome = "passed"

    def _step(self, name: str) -> None:
        self.calls.append(name)
        if error := self.failing.get(name):
            raise error

    @contextmanager
    def held(self, proven: Proven) -> Iterator[Any]:
        self._step("held")
        yield SimpleNamespace(check=lambda: self._step("signs"))
        self.calls.append("released")

    def isolate(self, proven: Proven) -> str:
        self._step("isolate")
        return "closed"

    def probe_from_inside(self, closed: object) -> tuple[Check, ...]:
        assert closed == "closed"
        self._step("inside")
        return (Check("isolated", self.inside, "scratch1", "inside"),)

    def probe_from_outside(self) -> tuple[Check, ...]:
        self._step("outside")
        return (Check("isolated", "passed", "scratch1", "outside"),)

    def wiped(self, brought: Mapping[str, Any]) -> tuple[Check, ...]:
        self.brought = brought
        self._step("wiped")
        return (WIPED,)

    def clean(self, names: tuple[str, ...]) -> None:
        self._step(f"clean {' '.join(names)}")

    def as_hosts(self, checks: tuple[Check, ...]) -> tuple[Check, ...]:
        return tuple(replace(check, host=check.host.replace("scratch1", "gate1")) for check in checks)


@dataclass
class Site:
    own: Fleet
    record: Record
    guard: Held = field(default_factory=Held)
    console: Operator = field(default_factory=Operator)
    place: Place | None = None
    recovers: bool = True
    starts_over: bool = False
    recovery_fails: BaseException | None = None

    def recover(self, recovery: Recovery, place: Place, folder: Path) -> Recovered | None:
        self.guard.calls.append("recover")
        self.place = place
        recovery.console.say("recovering")
        if self.starts_over:
            recovery.empty()
        if self.recovery_fails:
            raise self.recovery_fails
        restored = tuple(Restored(host, "near", "5" * 64, (), ()) for host in ("gate1", "gpu1"))
        done = Everything(restored, cast(Any, None), (Proof("gate1", "a completion", True, "green"),), None)
        plans = {host: host_plan(host) for host in ("gate1", "gpu1")}
        return Recovered(self.own, done, plans) if self.recovers else None

    @property
    def drill(self) -> Drill:
        scope: Scope = scope_of(self.own, "everything")
        return Drill(self.own, LOCK, scope, cast(Any, self.guard), opened, self.console, Viewed(), (None, None))

    def carry_out(self, found: Proven | None = None) -> Facts:
        return self.drill.carry_out(self.record, found or proven())


DATA = Data(
    (Check("hashes", "passed", "gate1"),),
    (Integrity("gate1", 1, 1, 1, 1),),
    (NegativeControl("a copy", "refused", "refused", failed=True),),
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(own_fleet(tmp_path / "own"), new_record(tmp_path))
    session = SimpleNamespace(fleet=made.own, hosts={"gate1": None, "gpu1": None})
    monkeypatch.setattr(procedure, "SCENARIOS", {"everything": made.recover})
    monkeypatch.setattr(procedure, "own_address", lambda address: "10.0.0.5" if address == "10.0.0.91" else None)
    monkeypatch.setattr(proving, "choose_asker", lambda _: None)
    monkeypatch.setattr(procedure, "brought_to", lambda _, host: f"what came to {host}")
    monkeypatch.setattr(proving, "key_checks", lambda *_: iter([Check("valid key accepted", "passed")]))
    monkeypatch.setattr(proving, "data_checks", lambda *_: DATA)
    monkeypatch.setattr(proving, "engines", lambda _: (EngineVersion("gpu1", "llama_cpp", "b1"),))
    monkeypatch.setitem(globals(), "opened", lambda _: nullcontext(session))
    made.record.facts = replace(made.record.facts, versions=Versions("1", "0.18.0"))
    return made


STEPS = ["held", "isolate", "inside", "signs", "recover", "signs", "outside", "wiped", "released"]


def test_a_drill_isolates_recovers_proves_and_wipes_in_this_order(site: Site) -> None:
    facts = site.carry_out()
    assert site.guard.calls == STEPS
    assert facts.error is None
    assert [one.command for one in facts.commands] == ["isolation", "proofs", "probes from outside", "wipe"]
    assert facts.timing
    assert [phase.name for phase in facts.timing.phases] == ["proofs", "probes from outside", "wipe"]
    named = [(check.name, check.host) for check in facts.checks]
    assert named == [
        ("not production", "gate1"),
        ("isolated", "gate1"),
        ("serves", ""),
        ("valid key accepted", ""),
        ("hashes", "gate1"),
        ("isolated", "gate1"),
        ("wiped", "gate1"),
    ]
    assert site.guard.brought == {"gate1": "what came to gate1", "gpu1": "what came to gpu1"}


def test_a_drill_has_a_record_before_a_host_has_its_marker(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # Killed in between, it would leave a marker of which nothing is known here.
    kept: list[bool] = []
    held = site.guard.held
    draft = files.draft_path(site.record.folder, site.record.facts.drill)
    monkeypatch.setattr(site.guard, "held", lambda proven: kept.append(draft.exists()) or held(proven))
    site.carry_out()
    assert kept == [True]


def test_a_report_has_what_an_auditor_asks_for(site: Site, tmp_path: Path) -> None:
    facts = site.carry_out()
    assert (facts.integrity, facts.negative_controls) == (DATA.integrity, DATA.negative_controls)
    assert [(one.host, one.repository) for one in facts.recovery_points] == [("gate1", "near"), ("gpu1", "near")]
    assert [one.source for one in facts.decryption_keys] == ["file:secrets/password"]
    assert facts.versions == Versions("1", "0.18.0", (EngineVersion("gpu1", "llama_cpp", "b1"),))
    site.record = new_record(tmp_path)
    assert site.carry_out().versions is None


def test_the_drills_client_asks_from_this_machines_address(site: Site) -> None:
    site.carry_out()
    assert site.place
    assert site.place.controller == ("10.0.0.5",)
    assert site.place.own == site.own


def test_a_scenario_that_recovers_nothing_has_nothing_to_prove(site: Site) -> None:
    site.recovers = False
    facts = site.carry_out()
    assert site.guard.calls == STEPS
    assert [one.command for one in facts.commands] == ["isolation", "probes from outside", "wipe"]
    assert site.guard.brought == {}


def test_a_recovery_that_starts_over_gets_empty_hosts_that_are_still_held(site: Site) -> None:
    site.starts_over = True
    site.carry_out()
    assert site.guard.calls[4:6] == ["recover", "clean scratch1 scratch2"]
    assert site.guard.calls[-2:] == ["wiped", "released"]


def test_leftovers_are_wiped_before_anything_else(site: Site) -> None:
    facts = site.carry_out(proven(scratch1=LEFT, scratch2=CLEAN))
    assert site.guard.calls[:3] == ["held", "clean scratch1", "isolate"]
    assert site.console.said[0] == "wiping what an earlier drill left on scratch1"
    assert facts.commands[0].command == "leftovers"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (HostError("no space", where="gpu1", should="1 GB free"), "gpu1: no space; 1 GB free"),
        (KeyboardInterrupt(), "stopped by the operator"),
        (ZeroDivisionError("by zero"), "unexpected ZeroDivisionError: by zero; this is a bug in rackwright"),
    ],
)
@pytest.mark.parametrize("step", ["isolate", "inside", "recover", "outside"])
def test_whatever_fails_is_in_the_facts_and_the_hosts_are_wiped(
    site: Site, step: str, error: BaseException, why: str
) -> None:
    site.guard.failing = {step: error}
    site.recovery_fails = error if step == "recover" else None
    facts = site.carry_out()
    assert facts.error == why
    assert site.guard.calls[-2:] == ["wiped", "released"]
    assert facts.checks[-1].name == "wiped"
    assert facts.checks[-1].outcome == "passed"
    assert any(why in doubt for doubt in conclude(facts).doubts)
    assert facts.ended


def test_nothing_is_restored_to_a_host_that_is_not_isolated(site: Site) -> None:
    site.guard.inside = "failed"
    facts = site.carry_out()
    assert "recover" not in site.guard.calls
    assert facts.error
    assert facts.error.startswith(
        "the scratch hosts are not proven to be isolated, so nothing is restored to them; gate1: isolated: "
    )
    assert facts.timing is None
    assert site.guard.calls[-2:] == ["wiped", "released"]


def test_all_problems_of_an_error_are_named_and_a_bug_leaves_a_traceback(site: Site, tmp_path: Path) -> None:
    both = HostError("no space", where="gpu1").with_problems(HostError("unreachable", where="gate1").problems)
    site.recovery_fails = both
    assert site.carry_out().error == "gpu1: no space; gate1: unreachable"
    site.recovery_fails, site.record = ZeroDivisionError("by zero"), new_record(tmp_path)
    site.carry_out()
    assert any("Traceback" in line for line in site.record._log)


def test_a_failure_that_comes_after_the_recovery_still_says_what_to_wipe(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object) -> Data:
        raise HostError("unreachable", where="gpu1")

    monkeypatch.setattr(proving, "data_checks", lost)
    site.carry_out()
    assert site.guard.brought == {"gate1": "what came to gate1", "gpu1": "what came to gpu1"}


def test_hosts_that_are_not_wiped_are_failed_checks(site: Site) -> None:
    error = ProofError("is not wiped: left: /srv/models/a", where="scratch1")
    site.guard.failing = {
        "wiped": error.with_problems(ProofError("is not wiped: no answer", where="scratch2").problems)
    }
    facts = site.carry_out()
    found = [(check.outcome, check.host, check.found) for check in facts.checks if check.name == "wiped"]
    assert found == [
        ("failed", "gate1", "is not wiped: left: /srv/models/a"),
        ("failed", "scratch2", "is not wiped: no answer"),
    ]
    assert facts.error
    assert facts.error.startswith("scratch1: is not wiped: left: /srv/models/a")
    assert not conclude(facts).passed
    assert facts.commands[-1].command == "wipe"
    assert facts.commands[-1].exit_code == 1


@pytest.mark.parametrize("error", [HostError("unreachable", where="scratch1"), KeyboardInterrupt(), ValueError("x")])
def test_a_wipe_that_ends_early_leaves_a_report_that_does_not_pass(site: Site, error: BaseException) -> None:
    site.guard.failing = {"wiped": error}
    facts = site.carry_out()
    assert facts.error
    assert facts.ended
    assert not facts.named("wiped")
    assert not conclude(facts).passed


def test_a_host_that_another_drill_takes_first_is_left_alone(site: Site) -> None:
    site.guard.failing = {"held": HostError("another drill has taken this host in the meantime", where="scratch1")}
    facts = site.carry_out()
    assert site.guard.calls == ["held"]
    assert facts.error == "scratch1: another drill has taken this host in the meantime"
    assert not conclude(facts).passed


def test_a_host_that_another_drill_takes_later_stops_this_one(site: Site) -> None:
    site.guard.failing = {"signs": LeasedError("another drill has taken this host", where="scratch1")}
    facts = site.carry_out()
    assert "recover" not in site.guard.calls
    assert facts.error == "scratch1: another drill has taken this host"
    assert site.guard.calls[-2:] == ["wiped", "released"]


def test_a_full_disk_is_not_called_a_bug(site: Site) -> None:
    site.recovery_fails = OSError(28, "No space left on device", "/tmp/kit")
    assert site.carry_out().error == "/tmp/kit: No space left on device"
    assert site.guard.calls[-2:] == ["wiped", "released"]


def test_a_full_disk_here_does_not_keep_restored_data_there(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def recover(*_: object) -> None:
        monkeypatch.setattr(files, "replace_file", full)

    monkeypatch.setattr(procedure, "SCENARIOS", {"everything": recover})
    with pytest.raises(RackwrightError, match="No space left on device"):
        site.carry_out()
    assert site.guard.calls[-2:] == ["wiped", "released"]
    monkeypatch.undo()
    (left,) = drafts(site.record.folder)
    assert [check.name for check in left.facts.checks] == ["not production"], "what was known before is kept"


def test_a_folder_of_reports_that_is_gone_does_not_keep_restored_data_there(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recover(*_: object) -> None:
        site.record.folder = site.own.path / "drills"

    monkeypatch.setattr(procedure, "SCENARIOS", {"everything": recover})
    with pytest.raises(OSError, match="Not a directory"):
        site.carry_out()
    assert site.guard.calls[-2:] == ["wiped", "released"]


KEYS = "  key: 'file:valid.key'\n  revoked_key: 'file:revoked.key'\n"


def test_a_planned_drill_has_its_hosts_its_marker_and_its_keys(tmp_path: Path) -> None:
    own, record = own_fleet(tmp_path / "own", OWN + KEYS), new_record(tmp_path)
    (tmp_path / "own/valid.key").write_text("rw-drill-valid\n")
    (tmp_path / "own/revoked.key").write_text("rw-drill-revoked\n")
    scope = scope_of(own, "gateway")
    with planned(own, LOCK, scope, record, _none, Operator(), Viewed()) as drill:
        assert [key.reveal() for key in drill.keys if key] == ["rw-drill-valid", "rw-drill-revoked"]
        assert set(drill.guard.scratch) == {"scratch1"}
        assert set(drill.guard.production) == {"gate1", "gpu1", "gpu2"}
        marker = drill.guard.marker
        assert (marker.fleet, marker.drill, marker.who) == ("acme", record.facts.drill, "anna@laptop")


def test_a_key_that_is_missing_is_said_before_anything_happens(tmp_path: Path) -> None:
    own = own_fleet(tmp_path / "own", OWN + KEYS)
    with (
        pytest.raises(SecretError, match=r"drill.key: .*valid.key can't be read"),
        planned(own, LOCK, scope_of(own, "gateway"), new_record(tmp_path), _none, Operator(), Viewed()),
    ):
        pass


def _none(_: Fleet) -> AbstractContextManager[Any]:
    raise AssertionError("a session was opened")
