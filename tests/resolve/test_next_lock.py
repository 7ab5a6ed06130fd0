"""The next lock over a stand-in hub on loopback (tests/stand_in_hub.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import FleetError, RackwrightError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.lock import Lock, lock_digest
from rackwright.fleet.lock_file import mismatches, read_lock, write_lock
from rackwright.resolve.lock import resolve_lock
from rackwright.resolve.next_lock import promoted_model, rolled_back, updated_model, updated_runtimes
from tests.fleet.fleets import make_fleet
from tests.stand_in_hub import COMMIT, StandInHub

OLD, NEW = {"m.gguf": b"GGUF-old" * 100}, {"m.gguf": b"GGUF-new" * 200}
V1, V2 = "1" * 40, "2" * 40
NAMES = {"gpu1": ["assistant@1", "coder@1"]}


@pytest.fixture
def hub():
    with StandInHub({"acme/tiny": OLD, "acme/other": OLD}) as hub:
        hub.at["acme/tiny", V2] = NEW
        yield hub


@pytest.fixture(autouse=True)
def archives(tmp_path: Path) -> None:
    for name in ("b1.tar.gz", "b2.tar.gz"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "vllm-1.0-py3-none-any.whl").write_bytes(b"wheel")


def runtime(version: str) -> dict[str, str]:
    return {"kind": "llama_cpp", "version": version, "build": f"file:{version}.tar.gz"}


def fleet_of(folder: Path, hub: StandInHub, version: str = "b1", **sections: Any) -> Fleet:
    sections.setdefault("replicas", NAMES)
    return make_fleet(folder / "site.yml", downloads=hub.site, runtime=runtime(version), **sections)


def of_two(folder: Path, hub: StandInHub, **changes: Any) -> Fleet:
    """A fleet in which only the assistant is changed."""
    fleet = fleet_of(folder, hub)
    models = {name: model.model_dump(mode="json", by_alias=True) for name, model in fleet.file.models.items()}
    models["assistant"] |= changes
    return fleet_of(folder, hub, models=models)


def refused(fleet: Fleet, lock: Lock, name: str = "assistant") -> list[str]:
    with pytest.raises(FleetError) as caught:
        updated_model(fleet, lock, name)
    return [str(problem) for problem in caught.value.problems]


def test_one_model_is_as_its_branch_is_now_and_all_else_stays(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = V2
    after = updated_model(fleet, lock, "assistant")
    entry = after.models["assistant"]
    assert (entry.revision, entry.source, entry.files[0].size) == (V2, "hf:acme/tiny", 1600)
    assert entry.previous == lock.models["assistant"]
    assert after.model_copy(update={"models": lock.models}) == lock
    assert after.models["coder"] == lock.models["coder"]
    assert lock_digest(after) != lock_digest(lock)
    assert mismatches(fleet, after) == ()
    write_lock(tmp_path / "site.lock", after)
    assert read_lock(tmp_path / "site.lock") == after


def test_what_is_the_same_has_nothing_before_it(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    assert updated_model(fleet, lock, "assistant") == lock


def test_a_commit_with_the_same_files_keeps_what_was_before(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = V2
    second = updated_model(fleet, lock, "assistant")
    hub.commits["main"] = "3" * 40
    hub.at["acme/tiny", "3" * 40] = NEW
    third = updated_model(fleet, second, "assistant").models["assistant"]
    assert (third.revision, third.previous) == ("3" * 40, lock.models["assistant"])
    hub.commits["main"] = COMMIT
    fourth = updated_model(fleet, second, "assistant").models["assistant"]
    assert fourth.previous is not None
    assert (fourth.previous.revision, fourth.previous.previous) == (V2, None)


@pytest.mark.parametrize("to", ["v2", V2])
def test_a_revision_may_be_chosen_and_is_kept(tmp_path, hub, to):
    hub.commits["v2"] = V2
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    after = updated_model(fleet, lock, "assistant", to=to)
    assert (after.models["assistant"].revision, after.models["assistant"].source) == (V2, "hf:acme/tiny")
    hub.asked.clear()
    assert resolve_lock(fleet, after) == after
    assert hub.asked == []


def test_a_revision_goes_together_with_a_glob(tmp_path, hub):
    hub.commits["v2"] = V2
    fleet = fleet_of(tmp_path, hub, source="hf:acme/tiny#*.gguf")
    after = updated_model(fleet, resolve_lock(fleet, None), "assistant", to="v2")
    assert after.models["assistant"].source == "hf:acme/tiny#*.gguf"
    assert after.models["assistant"].revision == V2


@pytest.mark.parametrize(
    ("source", "to", "said"),
    [
        ("hf:acme/tiny@v1", "v2", "hf:acme/tiny@v1 is pinned to v1; change it there, or remove the revision"),
        ("file:b1.gguf", "v2", "file:b1.gguf has no revisions to choose from; change it there"),
        ("hf:acme/tiny", "v2#*.gguf", "--to: 'v2#*.gguf' is not a revision; should be a branch, tag or commit"),
        ("hf:acme/tiny", "../main", "--to: '../main' is not a revision"),
    ],
)
def test_a_revision_that_can_not_be_chosen_is_a_usage_error(tmp_path, hub, source, to, said):
    (tmp_path / "b1.gguf").write_bytes(b"GGUF")
    fleet = fleet_of(tmp_path, hub, source=source)
    lock = resolve_lock(fleet, None)
    with pytest.raises(UsageError) as caught:
        updated_model(fleet, lock, "assistant", to=to)
    assert said in str(caught.value)


def test_a_revision_that_is_not_there_is_named(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    with pytest.raises(FleetError, match="has no acme/tiny@v9"):
        updated_model(fleet, resolve_lock(fleet, None), "assistant", to="v9")


def test_an_updates_license_must_be_allowed(tmp_path, hub):
    hub.cards["acme/tiny"] = {"license": "mit"}
    fleet = fleet_of(tmp_path, hub, licenses=["mit"])
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = V2
    hub.cards["acme/tiny"] = {"license": "cc-by-nc-4.0"}
    assert "has the license cc-by-nc-4.0" in refused(fleet, lock)[0]


def test_a_model_takes_its_new_source_runtime_and_ports_with_it(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub), None)
    fleet = of_two(tmp_path, hub, source="hf:acme/other", runtime=runtime("b2"))
    after = updated_model(fleet, lock, "assistant")
    assert set(after.runtimes) == {"llama_cpp-b1", "llama_cpp-b2"}
    assert after.models["assistant"].source == "hf:acme/other"
    more = fleet_of(tmp_path, hub, replicas={"gpu1": ["assistant@1", "assistant@2", "coder@1"]})
    grown = updated_model(more, lock, "assistant")
    assert grown.ports["gpu1"] == {"assistant@1": 8100, "assistant@2": 8102, "coder@1": 8101}
    assert "site.lock ports.gpu1.assistant@2: is in the fleet file only" in refused(more, lock, "coder")[0]


def test_a_runtime_that_the_model_alone_had_leaves_with_it(tmp_path, hub):
    alone = {"gpu1": ["assistant@1"]}
    lock = resolve_lock(fleet_of(tmp_path, hub, replicas=alone), None)
    after = updated_model(fleet_of(tmp_path, hub, "b2", replicas=alone), lock, "assistant")
    assert list(after.runtimes) == ["llama_cpp-b2"]


def test_nothing_else_may_differ_and_nobody_is_asked_before(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub), None)
    changed = of_two(tmp_path, hub, source="hf:acme/other")
    hub.asked.clear()
    (told,) = refused(changed, lock, "coder")
    assert "models.assistant.source: is hf:acme/tiny, but the fleet file asks for hf:acme/other" in told
    assert told.endswith("next: rackwright lock")
    with pytest.raises(FleetError, match=r"models\.assistant\.source"):
        updated_runtimes(changed, lock)
    with pytest.raises(FleetError, match=r"models\.assistant\.source"):
        rolled_back(changed, with_previous(lock, "coder"), "coder")
    assert hub.asked == []


def test_a_model_that_is_not_there_is_told(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    with pytest.raises(UsageError, match="assistent: no model of that name; did you mean assistant"):
        updated_model(fleet, lock, "assistent")
    lock = lock.model_copy(update={"models": {"coder": lock.models["coder"]}})
    with pytest.raises(FleetError, match=r"models\.assistant: is in the fleet file only"):
        updated_model(fleet, lock, "assistant")


def test_the_plain_lock_keeps_what_was_before_too(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = V2
    upgraded = resolve_lock(fleet, lock, upgrade=True)
    assert upgraded.models["assistant"].previous == lock.models["assistant"]
    assert resolve_lock(fleet, upgraded) == upgraded
    assert lock_digest(upgraded) == lock_digest(resolve_lock(fleet, None))


def test_runtimes_are_as_the_fleet_file_asks_and_models_stay(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub), None)
    fleet = fleet_of(tmp_path, hub, "b2")
    hub.commits["main"] = V2
    after = updated_runtimes(fleet, lock)
    assert list(after.runtimes) == ["llama_cpp-b2"]
    assert after.models == lock.models
    assert mismatches(fleet, after) == ()


def test_a_build_of_this_machine_is_read_again(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    (tmp_path / "b1.tar.gz").write_bytes(b"rebuilt")
    after = updated_runtimes(fleet, lock, "llama_cpp")
    assert after.runtimes["llama_cpp-b1"].files[0].size == 7
    assert updated_model(fleet, lock, "assistant").runtimes == lock.runtimes


def test_runtimes_of_one_kind_leave_the_others(tmp_path, hub):
    vllm = {"kind": "vllm", "version": "1.0", "build": "file:wheels"}
    hub.repositories["acme/other"] = {"m.safetensors": b"s"}
    lock = resolve_lock(of_two(tmp_path, hub, source="hf:acme/other", runtime=vllm), None)
    fleet = of_two(tmp_path, hub, source="hf:acme/other", runtime={**vllm, "python": "/usr/bin/python3.12"})
    assert updated_runtimes(fleet, lock, "vllm").runtimes["vllm-1.0"].python == "3.12"
    with pytest.raises(FleetError, match=r"runtimes\.vllm-1\.0\.python"):
        updated_runtimes(fleet, lock, "llama_cpp")
    with pytest.raises(UsageError, match="vlm: no runtime of that name; did you mean vllm"):
        updated_runtimes(fleet, lock, "vlm")


def with_previous(lock: Lock, name: str) -> Lock:
    """A lock whose model has the other one's version as its previous one."""
    (other,) = (model for model in lock.models if model != name)
    entry = lock.models[name].model_copy(update={"previous": lock.models[other]})
    return lock.model_copy(update={"models": {**lock.models, name: entry}})


def test_there_and_back_again_asks_nobody(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = V2
    after = updated_model(fleet, lock, "assistant")
    hub.asked.clear()
    back = rolled_back(fleet, after, "assistant")
    assert back.models["assistant"].alone == lock.models["assistant"]
    assert back.models["assistant"].previous == after.models["assistant"].alone
    assert rolled_back(fleet, back, "assistant") == after
    assert hub.asked == []
    assert lock_digest(back) == lock_digest(lock)


def test_a_rollback_may_lead_behind_a_change_of_the_fleet_file(tmp_path, hub):
    lock = resolve_lock(of_two(tmp_path, hub, license="mit"), None)
    hub.repositories["acme/other"] = NEW
    fleet = of_two(tmp_path, hub, source="hf:acme/other", license="apache-2.0")
    after = updated_model(fleet, lock, "assistant")
    back = rolled_back(fleet, after, "assistant")
    assert back.models["assistant"].source == "hf:acme/tiny"
    assert len(mismatches(fleet, back)) == 1


def test_a_rollback_may_lead_back_to_another_hub_and_the_plain_lock_moves_it(tmp_path, hub):
    lock = resolve_lock(fleet_of(tmp_path, hub), None)
    hub.commits["main"] = V2
    after = updated_model(fleet_of(tmp_path, hub), lock, "assistant")
    mirror = make_fleet(
        tmp_path / "site.yml", downloads={"hub": "https://10.9.9.9"}, runtime=runtime("b1"), replicas=NAMES
    )
    hub.asked.clear()
    back = rolled_back(mirror, resolve_lock(mirror, after), "assistant")
    assert len(mismatches(mirror, back)) == 1
    assert mismatches(mirror, resolve_lock(mirror, back)) == ()
    assert hub.asked == []


def test_a_rollback_does_not_lead_to_a_file_that_only_the_lock_names(tmp_path, hub):
    (tmp_path / "old.gguf").write_bytes(b"GGUF")
    before = of_two(tmp_path, hub, source="file:old.gguf")
    fleet = of_two(tmp_path, hub, source="hf:acme/tiny")
    after = updated_model(fleet, resolve_lock(before, None), "assistant")
    with pytest.raises(FleetError) as caught:
        rolled_back(fleet, after, "assistant")
    assert str(caught.value) == (
        f"{tmp_path}/site.lock models.assistant.previous.source: is file:old.gguf, a file on this machine that the "
        "fleet file doesn't name; if it is the right one, write models.assistant.source: file:old.gguf\n"
        "  next: rackwright model rollback assistant"
    )
    assert rolled_back(before, after, "assistant").models["assistant"].source == "file:old.gguf"


def test_a_rollback_to_a_license_that_is_not_allowed_is_refused(tmp_path, hub):
    hub.cards["acme/tiny"] = {"license": "cc-by-nc-4.0"}
    lock = resolve_lock(fleet_of(tmp_path, hub), None)
    hub.cards["acme/tiny"] = {"license": "mit"}
    hub.commits["main"] = V2
    after = updated_model(fleet_of(tmp_path, hub), lock, "assistant")
    after = updated_model(fleet_of(tmp_path, hub), after, "coder")
    with pytest.raises(FleetError, match=r"models\.assistant\.license: is cc-by-nc-4\.0"):
        rolled_back(fleet_of(tmp_path, hub, licenses=["mit"]), after, "assistant")


def test_without_one_before_there_is_no_way_back(tmp_path, hub):
    fleet = fleet_of(tmp_path, hub)
    lock = resolve_lock(fleet, None)
    with pytest.raises(RackwrightError) as caught:
        rolled_back(fleet, lock, "assistant")
    assert str(caught.value) == (
        f"{tmp_path}/site.lock models.assistant: has no previous version to roll back to\n"
        "  next: rackwright model show assistant"
    )


def two_sites(tmp_path: Path, hub: StandInHub, **other: Any) -> tuple[Fleet, Lock, Lock]:
    """A fleet, its lock, and the lock of another site whose hub has newer versions."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        for archive in ("b1.tar.gz", "b2.tar.gz"):
            (tmp_path / name / archive).write_bytes(archive.encode())
    fleet = fleet_of(tmp_path / "here", hub)
    lock = resolve_lock(fleet, None)
    hub.commits["main"] = V2
    return fleet, lock, resolve_lock(fleet_of(tmp_path / "there", hub, **other), None)


def promoted(fleet: Fleet, lock: Lock, other: Lock, hub: str, key: str = "llama_cpp-b1") -> Lock:
    """The assistant as it was proven at the other site with this runtime of its lock."""
    build = other.runtimes[key].digest
    return promoted_model(fleet, lock, "assistant", other, hub=hub, runtime=key, build=build)


def test_what_another_site_has_takes_its_place_and_all_else_stays(tmp_path, hub):
    fleet, lock, other = two_sites(tmp_path, hub)
    after = promoted(fleet, lock, other, hub.url)
    assert after.models["assistant"].alone == other.models["assistant"].alone
    assert after.models["assistant"].previous == lock.models["assistant"]
    assert after.model_copy(update={"models": lock.models}) == lock
    assert after.models["coder"] == lock.models["coder"]
    again = promoted(fleet, after, other, hub.url)
    assert again == after


def test_the_same_bytes_come_from_the_own_hub(tmp_path, hub):
    fleet, lock, other = two_sites(tmp_path, hub)
    far = "https://far.acme.internal"
    moved = other.model_dump_json().replace(hub.url, far)
    after = promoted(fleet, lock, Lock.model_validate_json(moved), f"{far}/")
    assert after.models["assistant"].files == other.models["assistant"].files


def test_what_does_not_answer_this_fleet_file_is_refused_with_every_reason(tmp_path, hub):
    fleet, lock, other = two_sites(tmp_path, hub, version="b2")
    entry = other.models["assistant"].model_copy(update={"source": "hf:acme/other", "license": "gpl-3.0"})
    other = other.model_copy(update={"models": {**other.models, "assistant": entry}})
    file = fleet.file.model_copy(update={"licenses": ("mit",)})
    with pytest.raises(FleetError) as refused:
        promoted(Fleet(fleet.path, file, fleet.replicas, fleet.sources, {}), lock, other, "", "llama_cpp-b2")
    told = "\n".join(str(problem) for problem in refused.value.problems)
    assert "models.assistant.source: is hf:acme/other, but the fleet file asks for hf:acme/tiny" in told
    assert "models.assistant.runtime: is llama_cpp-b1, but the model was proven with llama_cpp-b2" in told
    assert "gpl-3.0" in told
    assert "next:" not in told.splitlines()[0]


def test_another_build_of_the_same_runtime_is_refused(tmp_path, hub):
    fleet, lock, other = two_sites(tmp_path, hub)
    (key, runtime), *_ = other.runtimes.items()
    file = runtime.files[0].model_copy(update={"sha256": "f" * 64})
    other = other.model_copy(update={"runtimes": {key: runtime.model_copy(update={"files": (file,)})}})
    with pytest.raises(FleetError, match="is another build of llama_cpp-b1 than it was proven with"):
        promoted(fleet, lock, other, hub.url)


def test_a_runtime_that_the_other_site_has_for_another_model_alone_proves_nothing(tmp_path, hub):
    fleet, lock, other = two_sites(tmp_path, hub)
    proven_with = other.runtimes["llama_cpp-b1"].model_copy(update={"version": "b2"})
    other = other.model_copy(update={"runtimes": {**other.runtimes, "llama_cpp-b2": proven_with}})
    with pytest.raises(FleetError, match="is llama_cpp-b1, but the model was proven with llama_cpp-b2"):
        promoted(fleet, lock, other, hub.url, "llama_cpp-b2")
