"""What a shell completes, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FLEET = """\
fleet: acme
hosts: {gate1: {address: 10.0.0.10}, gpu1: {address: 10.0.0.11}, gpu2: {address: 10.0.0.12}}
models:
  assistant: {source: "hf:acme/tiny", runtime: &runtime {kind: llama_cpp, version: b1}, names: [a], context: 4096,
    place: [{on: [gpu1, gpu2], gpus: 0}]}
  small: {source: "hf:acme/small", runtime: *runtime, names: [s], context: 4096, place: [{on: gpu2, gpus: 0}]}
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/24], clients_from: [10.0.0.0/8]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "site.yml"
    path.write_text(FLEET)
    path.with_name("site.keys.yml").write_text(
        "format: keys/1\nkeys:\n- {id: ada, owner: ada, sha256: " + "a" * 64 + ", created: 2026-11-25T04:05:00Z}\n"
    )
    return path


def completed(path: Path, words: str) -> list[str]:
    """Return what is offered for the last of these words."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1), "RACKWRIGHT_FLEET": str(path)}
    done = subprocess.run(
        [sys.executable, "-m", "rackwright"],
        env={**os.environ, "_RACKWRIGHT_COMPLETE": "bash_complete", **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return [line.removeprefix("plain,") for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("rackwright dra", ["drain"]),
        ("rackwright drain gpu2/", ["gpu2/assistant@1", "gpu2/small@1"]),
        ("rackwright restart s", ["small"]),
        ("rackwright model update a", ["assistant"]),
        ("rackwright plan --limit g", ["gate1", "gpu1", "gpu2"]),
        ("rackwright logs gpu1", ["gpu1/assistant@1", "gpu1"]),
        ("rackwright key revoke ", ["ada"]),
        ("rackwright key add a", []),
    ],
)
def test_names_of_the_fleet_are_offered(path: Path, words: str, offered: list[str]) -> None:
    assert sorted(completed(path, words)) == sorted(offered)


def test_the_fleet_file_on_the_command_line_counts(path: Path) -> None:
    other = path.with_name("other.yml")
    path.rename(other)
    assert completed(path, f"rackwright -f {other} model update s") == ["small"]


def test_a_fleet_file_that_is_not_valid_offers_nothing_and_prints_nothing(path: Path) -> None:
    path.write_text("fleet: [")
    assert completed(path, "rackwright drain g") == []
