"""What a report states beyond its checks, and what is known when a drill begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import rackwright
from rackwright.errors import FleetError
from rackwright.lifecycle.backup.at import At
from rackwright.lifecycle.drill import begin, statements
from rackwright.lifecycle.drill.begin import new_record
from rackwright.lifecycle.drill.evidence.chain import Chain, Examined
from rackwright.lifecycle.drill.evidence.facts import DecryptionKey, EarlierFinding, EngineVersion, Finding
from rackwright.lifecycle.drill.evidence.folder import is_id
from rackwright.lifecycle.drill.scope import scope_of
from rackwright.lifecycle.drill.statements import (
    brought_to,
    engines,
    keys_used,
    not_tested,
    policy_now,
    recovery_points,
    versions_now,
)
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.values.file import File
from tests.fleet.test_load import GOOD
from tests.lifecycle.drill.drills import BACKUP, NOON, OWN, host_plan, new_facts, own_fleet

DISK = "    - {name: disk, url: /srv/backup, password: 'cmd:pass show disk'}\n"


def test_the_policy_is_what_the_fleet_file_promises(tmp_path: Path) -> None:
    policy = policy_now(own_fleet(tmp_path, OWN.replace("backup:\n", "backup:\n  builds: no\n  keep_within: 7d\n")))
    assert (policy.rto_s, policy.rpo_s, policy.keep_within_s) == (1800, 86400, 7 * 86400)
    assert policy.schedule == "snapshots daily at 02:30 UTC; checks sun 04:30 UTC; drills by operators"
    assert policy.scope[-2:] == ("models", "packages")
    assert policy.sha256 == policy.digest


def test_a_recovery_point_says_where_and_when_and_what_was_passed_over(tmp_path: Path) -> None:
    own = own_fleet(tmp_path, OWN.replace("to:\n", f"to:\n{DISK}"))
    points = recovery_points(
        own, [host_plan("gate1", passed="near", repository="far"), host_plan("gpu1", repository="disk")]
    )
    first, second = points
    assert (first.host, first.repository, first.place, first.append_only) == ("gate1", "far", "rest", True)
    assert (first.snapshot, first.time, first.encrypted) == ("5" * 64, NOON, True)
    assert first.passed_over == ("near: can't be reached",)
    assert first.chosen.endswith("(far, read from this machine)")
    assert (second.place, second.append_only) == ("path", False)


def test_a_recovery_from_before_a_time_does_not_claim_the_newest_snapshot(tmp_path: Path) -> None:
    (point,) = recovery_points(own_fleet(tmp_path), [host_plan("gate1")], At("before", until=NOON))
    assert point.chosen.startswith(f"the newest honest snapshot up to {NOON:%Y-%m-%dT%H:%M:%SZ} of the first")


def test_a_flood_of_snapshots_is_counted(tmp_path: Path) -> None:
    plan = host_plan("gate1", passed="near")
    flooded = replace(plan, chosen=replace(plan.chosen, passed_over=plan.chosen.passed_over * 1000))
    (point,) = recovery_points(own_fleet(tmp_path), [flooded])
    assert (len(point.passed_over), point.passed_over[-1]) == (51, "950 more")


def test_each_key_that_opened_a_repository_is_named_once_and_never_shown(tmp_path: Path) -> None:
    own = own_fleet(tmp_path, OWN.replace("to:\n", f"to:\n{DISK}"))
    plans = [host_plan("gate1"), host_plan("gpu1"), host_plan("gpu2", repository="disk")]
    assert keys_used(own, plans) == (
        DecryptionKey("near", "file:secrets/password"),
        DecryptionKey("disk", "cmd:pass show disk"),
    )


def test_versions_are_those_of_this_machine_and_of_the_lock() -> None:
    found = versions_now()
    assert found.rackwright == rackwright.__version__
    assert found.restic.startswith("0.")
    runtime = SimpleNamespace(settings=SimpleNamespace(kind="llama_cpp", version="b1"))
    hosts = {"gate1": SimpleNamespace(runtimes=()), "gpu1": SimpleNamespace(runtimes=(runtime,))}
    assert engines(cast(Any, SimpleNamespace(hosts=hosts))) == (EngineVersion("gpu1", "llama_cpp", "b1"),)


FILES = (File(path="m.gguf", size=5, sha256="a" * 64, url="https://models.acme.internal/m.gguf"),)
KEYS = "format: keys/1\nkeys:\n" + "".join(
    f"  - {{id: k{n}, owner: o, sha256: '{n:064x}', created: 2026-11-01T00:00:00Z}}\n" for n in range(1, 8)
)


def test_what_came_to_a_host_can_be_looked_for_after_the_wipe(tmp_path: Path) -> None:
    own = own_fleet(tmp_path)
    own.sibling("keys.yml").write_text(KEYS)
    store = ModelStore(models=(StoredModel(name="assistant", digest="d" * 64, files=FILES),))
    hosts = {"gate1": SimpleNamespace(model_store=None), "gpu1": SimpleNamespace(model_store=store)}
    session = cast(Any, SimpleNamespace(fleet=own, hosts=hosts))
    found = brought_to(session, "gpu1")
    (file,) = found.files
    assert (file.path, file.sha256) == (f"/srv/models/assistant/{'d' * 16}/m.gguf", "a" * 64)
    assert found.models_at == ("/srv/models",)
    assert f"{5:064x}" in str(found), "texts that are on each gateway"
    assert f"{6:064x}" not in str(found)
    assert brought_to(session, "gate1").files == ()


def test_what_a_drill_can_not_show_is_said(tmp_path: Path) -> None:
    own = own_fleet(tmp_path, f"{OWN}p2p: {{rate: 1Gbit}}\n")
    said = {one.what: one.why for one in not_tested(own, scope_of(own, "gateway"))}
    assert said["gpu1"] == said["gpu2"] == "not part of this scenario"
    assert said["the model assistant"] == "no host that serves it is part of the drill"
    assert "peer-to-peer transfer at the fleet's speed" in said
    whole = {one.what for one in not_tested(own_fleet(tmp_path), scope_of(own, "everything"))}
    assert "the model assistant" not in whole
    assert "peer-to-peer transfer at the fleet's speed" not in whole
    assert "the controller" in whole


@pytest.mark.parametrize("text", [GOOD + BACKUP, GOOD])
def test_no_drill_begins_without_its_section(tmp_path: Path, text: str) -> None:
    scope = scope_of(own_fleet(tmp_path), "everything")
    with pytest.raises(FleetError, match="drill: missing"):
        new_record(own_fleet(tmp_path, text), scope, Chain(()))


def test_a_drill_begins_with_its_scope_and_its_policy(tmp_path: Path) -> None:
    own = own_fleet(tmp_path, OWN.replace("  objectives", "  criticality: essential\n  objectives"))
    scope = scope_of(own, "poisoned")
    record = new_record(own, scope, Chain(()))
    facts = record.facts
    assert is_id(facts.drill)
    assert record.folder == tmp_path / "acme.drills"
    assert (facts.fleet, facts.scenario, facts.criticality) == ("acme", "poisoned", "essential")
    assert (facts.assets, facts.policy) == (scope.assets, policy_now(own))
    assert facts.operator
    assert facts.ended is None
    assert facts.personal_data == statements.PERSONAL_DATA
    assert facts.not_tested == not_tested(own, scope)
    assert facts.versions == versions_now()
    assert facts.earlier_findings == ()


def finding(text: str) -> Finding:
    return Finding(text, "anna", date(2026, 12, 29))


def report(drill: str, *findings: str, earlier: tuple[EarlierFinding, ...] = ()) -> Examined:
    facts = replace(
        new_facts(), drill=drill, findings=tuple(map(finding, findings)), earlier_findings=earlier, ended=NOON
    )
    return cast(Examined, SimpleNamespace(report=SimpleNamespace(facts=facts), reviews=()))


def earlier(drill: str, number: int, text: str, closed: str | None = None) -> EarlierFinding:
    return EarlierFinding(drill, number, text, "anna", date(2026, 12, 29), closed)


def test_findings_that_were_open_after_the_last_drill_are_named_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = (
        earlier("one", 1, "old", closed="before the last drill"),
        earlier("one", 2, "slow"),
        earlier("two", 1, "new", closed="since"),
    )
    asked: list[Any] = []

    def all_of(reports: Any, reviews: Any) -> tuple[EarlierFinding, ...]:
        asked.append((len(reports), set(reviews)))
        return every

    monkeypatch.setattr(begin, "earlier_findings", all_of)
    first = report("one", "old", "slow")
    last = report("two", "new", earlier=(replace(every[0]), replace(every[1])))
    chain = Chain((Examined(tmp_path), first, last))
    own = own_fleet(tmp_path)
    assert new_record(own, scope_of(own, "everything"), chain).facts.earlier_findings == every[1:]
    assert asked == [(2, {"one", "two"})]
