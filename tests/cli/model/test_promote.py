"""What `model promote` refuses before it asks a host. A separate process, because it makes sockets cooperative."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from rackwright.cli.model.promote import _promoted
from rackwright.errors import FleetError
from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock_file import read_lock, write_lock
from rackwright.lifecycle.update import other_fleet as proven
from rackwright.resolve.lock import resolve_lock
from rackwright.resolve.web import quiet

FLEET = """
fleet: NAME
hosts:
  gate1: {address: 192.0.2.9}
  gpu1: {address: 192.0.2.10}
models:
  MODEL:
    source: file:m.gguf
    runtime: {kind: llama_cpp, version: b1, build: "file:llama.tar.gz"}
    place: [{on: gpu1, gpus: 0}]
    names: [assistant]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [192.0.2.0/24], clients_from: [10.0.0.0/8]}
"""


def site(folder: Path, name: str, model: str = "assistant", *, locked: bool = True) -> Path:
    path = folder / f"{name}.yml"
    path.write_text(FLEET.replace("NAME", name).replace("MODEL", model))
    (folder / "llama.tar.gz").write_bytes(b"x")
    (folder / "m.gguf").write_bytes(b"GGUF")
    if locked:
        fleet = load_fleet(path)
        write_lock(fleet.sibling("lock"), resolve_lock(fleet, None))
    return path


def promote(here: Path, there: Path, name: str = "assistant") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "rackwright", "-f", str(here), "model", "promote", name, "--from", str(there)]
    return subprocess.run([*words, "--yes"], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("other", "code", "said"),
    [
        ({"model": "helper"}, 2, "assistant: no model of that name; known names: helper"),
        ({"locked": False}, 10, "staging.lock"),
    ],
)
def test_what_the_other_fleet_lacks_is_reported(
    tmp_path: Path, other: dict[str, bool | str], code: int, said: str
) -> None:
    here = site(tmp_path, "production")
    done = promote(here, site(tmp_path, "staging", **other))  # type: ignore[arg-type]
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr


def test_an_unknown_model_and_a_missing_fleet_file_are_reported(tmp_path: Path) -> None:
    here = site(tmp_path, "production")
    done = promote(here, here, "asistant")
    assert (done.returncode, "did you mean assistant?" in done.stderr) == (2, True), done.stderr
    done = promote(here, tmp_path / "nowhere.yml")
    assert (done.returncode, "nowhere.yml" in done.stderr) == (10, True), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ({}, None),
        ({"runtime": "llama_cpp-b2"}, "is llama_cpp-b1, but the model was proven with llama_cpp-b2"),
        ({"build": "f" * 64}, "is another build of llama_cpp-b1 than it was proven with"),
    ],
)
def test_what_counts_is_the_engine_that_answered_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: dict[str, str], said: str | None
) -> None:
    fleet, there = (load_fleet(site(tmp_path, name)) for name in ("production", "staging"))
    lock = read_lock(there.sibling("lock"))
    kind = {"runtime": "llama_cpp-b1", "build": lock.runtimes["llama_cpp-b1"].digest} | by
    found = SimpleNamespace(fleet=there, lock=lock, golden=SimpleNamespace(kind=SimpleNamespace(**kind)))
    monkeypatch.setattr(proven, "proven_by", lambda path, name: found)
    before = read_lock(fleet.sibling("lock"))
    with pytest.raises(FleetError, match=said) if said else nullcontext():
        assert _promoted(fleet, "assistant", there.path, before, quiet) == before
