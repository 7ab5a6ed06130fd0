from __future__ import annotations

import pytest

from rackwright.errors import FleetError, Problem
from rackwright.fleet.lock import AdapterLock, Lock, ModelLock, RuntimeLock, model_digest
from rackwright.fleet.lock_file import read_lock
from rackwright.fleet.lock_rules import release_url
from rackwright.fleet.source import name_in
from rackwright.lifecycle.lock import procedure as lifecycle
from rackwright.values.file import File
from tests.cli.command_line import rackwright


def answer(digit: str = "a") -> Lock:
    url = f"https://hub/a/b/resolve/{'c' * 40}/model.gguf"
    files = (File(path="model.gguf", size=5_000_000_000, sha256=digit * 64, url=url),)
    archive = File(path=name_in(release_url("b1")), size=1, sha256=digit * 64, url=release_url("b1"))
    runtime = RuntimeLock(kind="llama_cpp", version="b1", files=(archive,))
    model = ModelLock(source="hf:a/b", revision="c" * 40, digest=model_digest(files), files=files)
    return Lock(fleet="acme", models={"assistant": model}, runtimes={"llama_cpp-b1": runtime}, ports={})


@pytest.fixture
def answers(monkeypatch):
    """The resolver's answers, and the arguments that it was called with."""
    state = {"lock": answer(), "asked": []}

    def resolve_lock(fleet, previous, *, upgrade, on_progress):
        state["asked"].append((previous, upgrade))
        on_progress("model.gguf", 1, 2)
        if isinstance(state["lock"], Exception):
            raise state["lock"]
        return state["lock"]

    monkeypatch.setattr(lifecycle, "lock", resolve_lock)
    return state


def test_a_first_lock_is_written_beside_the_fleet_file(site, answers):
    ran = rackwright("-f", site, "lock")
    path = site.parent / "site.lock"
    assert ran.exit_code == 0
    assert read_lock(path) == answer()
    assert ran.stdout.splitlines()[0] == f"assistant: new → {answer().models['assistant'].digest[:16]}"
    assert ran.stdout.splitlines()[-1] == f"{path} written: 1 model, 1 file, 5.0 GB"


def test_a_lock_that_answers_already_is_left_as_it_is(site, answers):
    rackwright("-f", site, "lock")
    path = site.parent / "site.lock"
    before = path.stat().st_mtime_ns
    ran = rackwright("-f", site, "lock")
    assert ran.stdout == f"{path} already matches the fleet file\n"
    assert path.stat().st_mtime_ns == before
    assert answers["asked"][-1] == (answer(), False)


def test_an_upgrade_shows_what_became_of_each_model(site, answers):
    rackwright("-f", site, "lock")
    answers["lock"] = answer("b")
    ran = rackwright("-f", site, "lock", "--upgrade")
    old, new = (answer(digit).models["assistant"].digest[:16] for digit in "ab")
    assert f"assistant: {old} → {new}" in ran.stdout
    assert answers["asked"][-1][1] is True


COMMIT = "1" * 40


def test_an_adapter_is_told_beside_its_model_and_counts(site, answers):
    lock = answer()
    files = (
        File(
            path="adapter_model.safetensors",
            size=10**9,
            sha256="c" * 64,
            url=f"https://hub/a/c/resolve/{COMMIT}/adapter_model.safetensors",
        ),
    )
    adapter = AdapterLock(source="hf:a/c", revision=COMMIT, digest=model_digest(files), files=files, rank=8)
    model = lock.models["assistant"].model_copy(update={"adapters": {"support": adapter}})
    answers["lock"] = lock.model_copy(update={"models": {"assistant": model}})
    lines = rackwright("-f", site, "lock").stdout.splitlines()
    assert f"adapter support of assistant: new → {adapter.digest[:16]}" in lines
    assert lines[-1].endswith("written: 1 model, 2 files, 6.0 GB")


def test_json_has_the_digests_and_whether_anything_changed(site, answers):
    document = rackwright("-f", site, "lock", "--json").document
    assert document["changed"] is True
    assert document["bytes"] == 5_000_000_000
    assert document["models"]["assistant"] == answer().models["assistant"].digest
    assert rackwright("-f", site, "lock", "--json").document["changed"] is False


def test_a_question_without_an_answer_writes_no_lock(site, answers):
    answers["lock"] = FleetError([Problem("models.assistant", "no such repository")])
    ran = rackwright("-f", site, "lock")
    assert (ran.exit_code, ran.stderr.splitlines()[-1]) == (10, "error: models.assistant: no such repository")
    assert not (site.parent / "site.lock").exists()
