"""New models under traffic: a good update, a bad one, a rollback, a dead controller. Tests build on one another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.lab.hosts import Lab
from tests.lab.engines import pid
from tests.lab.operator import Operator, operator
from tests.lab.standard import standard_lab
from tests.lab.stopped import interrupted, kill_when
from tests.lab.two_replicas import HOSTS, all_serve, running
from tests.lab.versions import Versions

pytestmark = [pytest.mark.lab, pytest.mark.heavy]
COVERS = (
    "rackwright/cli/common/change_lock.py",
    "rackwright/fleet/lock_file.py",
    "rackwright/lifecycle/rollout",
    "rackwright/lifecycle/update",
    "rackwright/state/rollout.py",
    "roles/replica",
)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with standard_lab("update", "gate1", *HOSTS) as lab:
        yield lab


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return operator(tmp_path_factory.mktemp("site"), lab.fleet())


@pytest.fixture(scope="module")
def model(site: Operator) -> Versions:
    versions = Versions(site)
    site("lock")
    site("apply", "--yes")
    return versions


def stored(lab: Lab, host: str) -> set[str]:
    return set(lab.exec(host, "ls /srv/models/assistant").out.split())


def test_a_good_update_changes_every_replica_and_the_lock(site: Operator, model: Versions, lab: Lab) -> None:
    old = model.digest
    model.good("two")
    said = site("model", "update", "assistant", "--yes", "--json").json
    assert said["changed"] == ["gpu1/assistant@1", "gpu2/assistant@1"]
    assert model.digest != old
    assert running(lab) == {model.digest[:16]}
    assert model.locked["previous"]["digest"] == old
    assert stored(lab, "gpu1") == {old[:16], model.digest[:16]}
    assert not site.path.with_name("test.lock.next").exists()
    assert "no rollout is open" in site("rollout", "status").out
    assert site("plan", "--json").json["changed"] == 0
    assert all_serve(site)


def test_what_runs_already_is_left_alone(site: Operator, model: Versions, lab: Lab) -> None:
    engines = [pid(lab, host) for host in HOSTS]
    assert site("model", "update", "assistant", "--yes", "--json").json["changed"] == []
    assert [pid(lab, host) for host in HOSTS] == engines


def test_a_build_that_does_not_start_ends_with_the_old_one_serving(site: Operator, model: Versions, lab: Lab) -> None:
    old, untouched = model.locked, pid(lab, "gpu2")
    model.without_a_tensor()
    said = site("model", "update", "assistant", "--yes", check=12)
    assert "gpu1/assistant@1: its engine ended" in said.err
    assert "failed to load model" in said.err
    assert "every replica runs the previous version, and the lock is unchanged" in said.err
    assert model.locked == old
    assert running(lab) == {model.digest[:16]}
    assert pid(lab, "gpu2") == untouched
    assert all_serve(site)
    assert "no rollout is open" in site("rollout", "status").out


def test_a_controller_that_died_is_resumed_on_another_machine(
    site: Operator, model: Versions, lab: Lab, tmp_path: Path
) -> None:
    model.good("three")
    elsewhere = Operator(Path(shutil.copytree(site.path.parent, tmp_path / "elsewhere")) / site.path.name)
    kill_when(site.start("model", "update", "assistant", "--yes"), "gpu2/assistant@1  updating")
    assert "a rollout is open" not in site("apply", "--yes", check=11).err
    assert "the fleet is leased by" in site("rollout", "resume", "--yes", check=11).err
    site("lease", "break", "--yes", "--reason", "its laptop died")
    refused = site("apply", "--yes", check=11).err
    assert "model update assistant" in refused
    assert "it must be resumed or aborted before anything else changes" in refused
    assert "no one is working on it now" in site("rollout", "status").out
    elsewhere("rollout", "resume", "--yes")
    there = Versions.__new__(Versions)
    there.site = elsewhere
    assert running(lab) == {there.digest[:16]}
    assert there.digest != model.digest
    assert all_serve(elsewhere)
    shutil.copy(elsewhere.path.with_name("test.lock"), site.path.with_name("test.lock"))
    assert site("plan", "--json").json["changed"] == 0


def test_ctrl_c_leaves_the_rollout_open_and_abort_reverts_it(site: Operator, model: Versions, lab: Lab) -> None:
    old = model.locked
    model.good("four")
    said = interrupted(site.start("model", "update", "assistant", "--yes"), at="gpu1/assistant@1  updating")
    assert "stays open" in said
    assert len(running(lab)) == 2
    shown = site.replicas()
    assert {address: replica["version"].rpartition(" ")[2] for address, replica in shown.items()} == {
        "gpu1/assistant@1": next(iter(running(lab) - {old["digest"][:16]})),
        "gpu2/assistant@1": old["digest"][:16],
    }
    assert shown["gpu1/assistant@1"]["pending"] == "the open rollout changes it"
    site("rollout", "abort", "--yes")
    assert running(lab) == {old["digest"][:16]}
    assert model.locked == old
    assert all_serve(site)


def test_a_lock_that_names_another_file_of_the_controller_sends_nothing(site: Operator, model: Versions) -> None:
    path = site.path.with_name("test.lock")
    lock = path.read_text()
    path.write_text(lock.replace(f"url: file:{model.file.name}", "url: file:../../../../root/.ssh/id_ed25519"))
    assert f"should be file:{model.file.name}, as its source says" in site("apply", "--yes", check=10).err
    path.write_text(lock)
    assert site("plan", "--check").code == 0


def test_the_way_back_needs_nothing_but_the_hosts(site: Operator, model: Versions, lab: Lab) -> None:
    newer, older = model.digest, model.locked["previous"]["digest"]
    model.without_a_tensor()
    site("model", "rollback", "assistant", "--yes")
    assert running(lab) == {older[:16]}
    assert (model.digest, model.locked["previous"]["digest"]) == (older, newer)
    assert all_serve(site)


def test_weights_whose_source_is_lost_come_from_a_host_that_has_them(
    site: Operator, model: Versions, lab: Lab
) -> None:
    stored_at = f"/srv/models/assistant/{model.digest[:16]}"
    model.without_a_tensor()
    lab.exec("gpu2", f"rm -r {stored_at}")
    said = site("apply", "--yes")
    assert "; gpu1 has it: gpu1 → gpu2\n" in said.err
    sums = [lab.exec(host, f"cd {stored_at} && sha256sum *.gguf").out for host in HOSTS]
    assert sums[0] == sums[1]
    assert site("plan", "--check").code == 0
    for host in HOSTS:
        lab.exec(host, f"rm -r {stored_at}")
    failed = site("apply", "--yes", check=3).out
    assert "put that file back, or accept what is there now: rackwright model update" in failed
