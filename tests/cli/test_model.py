"""`model` commands over a stand-in hub on loopback (tests/stand_in_hub.py)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock
from rackwright.fleet.lock_file import read_lock, write_lock
from rackwright.lifecycle import running_versions as procedure
from rackwright.lifecycle.running_versions import Running
from rackwright.resolve.lock import resolve_lock
from rackwright.resolve.next_lock import updated_model
from tests.cli.command_line import rackwright
from tests.shape.whole import whole_gguf
from tests.stand_in_hub import COMMIT, StandInHub

FLEET = """
fleet: acme
downloads: {hub: "HUB", ca_bundle: BUNDLE}
hosts:
  gate1: {address: 10.0.0.9}
  gpu1: {address: 10.0.0.10}
models:
  assistant:
    source: hf:acme/tiny
    runtime: {kind: llama_cpp, version: b1, build: "file:llama.tar.gz"}
    place: [{on: gpu1, replicas: 2, gpus: 0}]
    names: [assistant, gpt-4o-mini]
    context: 8192
  small:
    source: file:m.gguf
    runtime: {kind: llama_cpp, version: b1, build: "file:llama.tar.gz"}
    place: [{on: gpu1, gpus: 0}]
    names: [small]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/8], clients_from: [10.0.0.0/8]}
"""
V2 = "2" * 40


def weights(template: str, tokens: int) -> bytes:
    return whole_gguf(
        {
            "general.architecture": "llama",
            "llama.block_count": 2,
            "llama.embedding_length": 64,
            "llama.attention.head_count": 4,
            "llama.context_length": 4096,
            "tokenizer.chat_template": template,
            "tokenizer.ggml.tokens": ["a"] * tokens,
        },
        {"a": (0, (1024, 2))},
    )


OLD, NEW = weights("{{ old }}", 10), weights("{{ new }}", 20)


@pytest.fixture
def hub():
    with StandInHub({"acme/tiny": {"m.gguf": OLD}}) as hub:
        hub.cards["acme/tiny"] = {"license": "apache-2.0"}
        hub.commits["v2"] = V2
        hub.at["acme/tiny", V2] = {"m.gguf": NEW}
        yield hub


@pytest.fixture
def fleet(tmp_path: Path, hub: StandInHub) -> Path:
    path = tmp_path / "site.yml"
    path.write_text(FLEET.replace("HUB", hub.url).replace("BUNDLE", hub.site["ca_bundle"]))
    (tmp_path / "llama.tar.gz").write_bytes(b"x")
    (tmp_path / "m.gguf").write_bytes(OLD)
    loaded = load_fleet(path)
    write_lock(loaded.sibling("lock"), resolve_lock(loaded, None))
    return path


def lock_of(fleet: Path) -> Lock:
    return read_lock(fleet.with_name("site.lock"))


def update(fleet: Path) -> Lock:
    after = updated_model(load_fleet(fleet), lock_of(fleet), "assistant", to="v2")
    write_lock(fleet.with_name("site.lock"), after)
    return after


def cells(line: str) -> list[str]:
    return [cell for cell in line.split("  ") if cell]


def test_models_are_listed_and_no_host_and_no_hub_is_asked(fleet: Path, hub: StandInHub):
    hub.asked.clear()
    ran = rackwright("-f", fleet, "model", "list")
    digest = lock_of(fleet).models["assistant"].digest[:16]
    assert ran.exit_code == 0
    heads, assistant, small = (list(map(str.strip, cells(line))) for line in ran.stdout.splitlines())
    assert heads[0] == "MODEL"
    size = f"{len(OLD) / 1000:.1f} kB" if len(OLD) >= 1000 else f"{len(OLD)} B"
    assert assistant == [
        "assistant", "hf:acme/tiny", COMMIT[:7], digest, size, "apache-2.0", "llama_cpp b1", "2", "-",
    ]  # fmt: skip
    assert (small[1], small[2], small[5]) == ("file:m.gguf", "-", "-")
    assert hub.asked == []


def test_the_list_has_what_was_before(fleet: Path):
    before = lock_of(fleet).models["assistant"].digest
    update(fleet)
    (assistant, _) = rackwright("-f", fleet, "model", "list", "--json").document["models"]
    assert assistant == {
        "model": "assistant",
        "source": "hf:acme/tiny",
        "revision": V2,
        "digest": lock_of(fleet).models["assistant"].digest,
        "bytes": len(NEW),
        "license": "apache-2.0",
        "runtime": "llama_cpp",
        "version": "b1",
        "replicas": 2,
        "previous": before,
    }


def test_what_is_not_locked_or_locked_otherwise_is_told(fleet: Path):
    fleet.write_text(fleet.read_text().replace("small:", "little:").replace("hf:acme/tiny", "hf:acme/other"))
    lines = rackwright("-f", fleet, "model", "list").stdout.splitlines()
    assert "not locked" in lines[2]
    assert lines[3:] == [
        "small: only in the lock; next: rackwright lock",
        "assistant: the fleet file asks for hf:acme/other; next: rackwright lock",
    ]
    fleet.with_name("site.lock").unlink()
    assert rackwright("-f", fleet, "model", "list").stdout.count("not locked") == 2


def test_one_model_is_shown_with_its_files(fleet: Path):
    update(fleet)
    entry = lock_of(fleet).models["assistant"]
    ran = rackwright("-f", fleet, "model", "show", "assistant", "--offline")
    assert ran.exit_code == 0
    assert entry.previous
    lines = ran.stdout.splitlines()
    assert lines[0] == "assistant  hf:acme/tiny"
    assert f"  revision   {V2}" in lines
    assert f"  template   {hashlib.sha256(b'{{ new }}').hexdigest()}" in lines
    assert "  context    8192 tokens; made for 4096" in lines
    assert f"  previous   {entry.previous.digest[:16]}, hf:acme/tiny, revision {COMMIT[:7]}" in lines
    assert lines[-1].split()[0] == "m.gguf"
    assert lines[-1].split()[-1] == hashlib.sha256(NEW).hexdigest()
    document = rackwright("-f", fleet, "model", "show", "assistant", "--offline", "--json").document
    assert document["previous"]["revision"] == COMMIT
    assert (document["names"], document["replicas"]) == (["assistant", "gpt-4o-mini"], [])


def test_a_model_without_a_previous_one_or_a_license_is_shown(fleet: Path):
    lines = rackwright("-f", fleet, "model", "show", "small", "--offline").stdout.splitlines()
    assert "  revision   -" in lines
    assert "  license    not known" in lines
    assert not any(line.startswith("  previous") for line in lines)


def test_what_replicas_run_is_asked_of_their_hosts(fleet: Path, monkeypatch: pytest.MonkeyPatch):
    before, now = (lock.models["assistant"].digest[:16] for lock in (lock_of(fleet), update(fleet)))
    said = (
        Running("gpu1/assistant@1", "ready", (now,)),
        Running("gpu1/assistant@2", "busy", (before,)),
        Running("gpu1/assistant@3", "ready", ("f" * 16,)),
        Running("gpu1/assistant@4", "stopped\x1b[2J"),
        Running("gpu2/assistant@1", None),
    )
    lost = Running("gpu3/assistant@1", None, unreachable="no route to host")
    monkeypatch.setattr(procedure, "running", lambda fleet, name: said)
    ran = rackwright("-f", fleet, "model", "show", "assistant")
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[-5:] == [
        f"  gpu1/assistant@1  ready; runs {now}, as the lock says",
        f"  gpu1/assistant@2  busy; runs {before}, the previous one",
        f"  gpu1/assistant@3  ready; runs {'f' * 16}, which the lock doesn't have",
        "  gpu1/assistant@4  stopped\\x1b[2J; runs nothing",
        "  gpu2/assistant@1  not installed",
    ]
    monkeypatch.setattr(procedure, "running", lambda fleet, name: (lost,))
    ran = rackwright("-f", fleet, "model", "show", "assistant", "--json")
    assert ran.exit_code == 3
    assert ran.document["replicas"][0]["unreachable"] == "no route to host"


def test_a_diff_of_what_stays_is_one_line(fleet: Path):
    ran = rackwright("-f", fleet, "model", "diff", "assistant", "--check")
    digest = lock_of(fleet).models["assistant"].digest[:16]
    assert (ran.exit_code, ran.stdout) == (0, f"assistant stays as it is: {digest}, hf:acme/tiny\n")


def test_a_diff_tells_what_an_update_would_change_and_changes_nothing(fleet: Path, hub: StandInHub):
    hub.cards["acme/tiny"] = {"license": "mit"}
    before = fleet.with_name("site.lock").read_text()
    ran = rackwright("-f", fleet, "model", "diff", "assistant", "--to", "v2")
    assert ran.exit_code == 0
    lines = ran.stdout.splitlines()
    assert lines[0] == "assistant  hf:acme/tiny"
    assert f"  revision   {COMMIT[:7]} → {V2[:7]}" in lines
    assert "  license    apache-2.0 → mit" in lines
    assert "  template   changes" in lines
    assert "  context    made for 4096 tokens; the fleet file asks for 8192: above that" in lines
    assert lines[-1].startswith("    changed  m.gguf  ")
    assert fleet.with_name("site.lock").read_text() == before


def test_a_diff_as_a_document_and_an_exit_code(fleet: Path):
    ran = rackwright("-f", fleet, "model", "diff", "assistant", "--to", "v2", "--check", "--json")
    assert ran.exit_code == 4
    document = ran.document
    assert (document["differs"], document["beyond"], document["new"]) == (True, True, len(NEW))
    assert document["bytes"] == {"before": len(OLD), "after": len(NEW)}
    assert document["files"] == [{"path": "m.gguf", "what": "changed", "bytes": document["bytes"]}]
    assert document["runtimes"] == []


def test_a_new_runtime_is_told_beside_it(fleet: Path):
    fleet.write_text(fleet.read_text().replace("version: b1", "version: b2", 1))
    ran = rackwright("-f", fleet, "model", "diff", "assistant", "--check")
    assert ran.exit_code == 4
    assert ran.stdout.splitlines()[-1] == "  runtime    llama_cpp-b2, new"


@pytest.mark.parametrize("command", [("show", "--offline"), ("diff",)])
def test_a_model_that_is_not_there_is_a_usage_error(fleet: Path, command: tuple[str, ...]):
    ran = rackwright("-f", fleet, "model", command[0], "assistent", *command[1:])
    assert ran.exit_code == 2
    assert "did you mean assistant?" in ran.stderr


def test_without_a_lock_it_says_how_to_make_one(fleet: Path):
    fleet.with_name("site.lock").unlink()
    for command in ("show", "diff"):
        ran = rackwright("-f", fleet, "model", command, "assistant")
        assert (ran.exit_code, "next: rackwright lock" in ran.stderr) == (10, True)
