"""A hostile lock and a hostile hub, met by the command as an operator runs it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock_file import write_lock
from rackwright.resolve.lock import resolve_lock
from tests.cli.command_line import rackwright
from tests.stand_in_hub import StandInHub

FLEET = """\
fleet: acme
downloads: {hub: "HUB", ca_bundle: BUNDLE}
hosts: {gate1: {address: 10.0.0.9}, gpu1: {address: 10.0.0.10}}
models:
  assistant:
    source: hf:acme/tiny
    runtime: {kind: llama_cpp, version: b1, build: "file:llama.tar.gz"}
    place: [{on: gpu1}]
    names: [assistant]
    context: 4096
gateway: {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.0.0.0/8], clients_from: [10.0.0.0/8]}
"""


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub({"acme/tiny": {"m.gguf": b"GGUF" * 100}}) as hub:
        yield hub


@pytest.fixture
def fleet(tmp_path: Path, hub: StandInHub) -> Path:
    path = tmp_path / "site.yml"
    path.write_text(FLEET.replace("HUB", hub.url).replace("BUNDLE", hub.site["ca_bundle"]))
    (tmp_path / "llama.tar.gz").write_bytes(b"x")
    return path


@pytest.mark.parametrize(
    "command", [("check",), ("plan",), ("apply", "--yes"), ("lock",), ("model", "update", "assistant", "--yes")]
)
def test_a_lock_that_names_a_controller_file_ends_every_command_before_a_host_is_asked(
    fleet: Path, command: tuple[str, ...]
) -> None:
    loaded = load_fleet(fleet)
    lock = loaded.sibling("lock")
    write_lock(lock, resolve_lock(loaded, None))
    honest = lock.read_text()
    lock.write_text(honest.replace("url: file:llama.tar.gz", "url: file:../../root/.ssh/id_ed25519"))
    assert lock.read_text() != honest
    ran = rackwright("-f", fleet, *command)
    assert ran.exit_code == 10
    assert ran.stderr == (
        f"error: {lock} runtimes.llama_cpp-b1.files.0.url: of llama.tar.gz is file:../../root/.ssh/id_ed25519, "
        "should be file:llama.tar.gz, as its source says: it was edited or merged\n"
        "  next: git checkout -- the lock, or delete it; then rackwright lock\n"
    )


@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"siblings": [{"rfilename": 5}]}', b"\xff"])
def test_a_hostile_hub_ends_the_lock_with_its_name_and_the_next_command(
    fleet: Path, hub: StandInHub, body: bytes
) -> None:
    hub.hostile = body
    ran = rackwright("-f", fleet, "lock")
    assert ran.exit_code == 1
    assert ran.stderr.splitlines()[-2].startswith("error: 127.0.0.1: doesn't answer like a model hub: ")
    assert ran.stderr.splitlines()[-1] == "  next: check downloads.hub, then rackwright lock"
    assert not fleet.with_suffix(".lock").exists()


def test_300_megabytes_from_a_hub_take_no_more_memory_than_an_answer_may(fleet: Path, hub: StandInHub) -> None:
    hub.hostile = (b'{"rfilename": "m.gguf"},' * 40_000 for _ in range(300))
    limit = 600 * 2**20
    ran = subprocess.run(
        [sys.executable, "-m", "rackwright", "-f", str(fleet), "lock"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert ran.returncode == 1
    assert "its answer about acme/tiny has more than 16 MiB" in ran.stderr
    assert hub.sent < 64 * 2**20


def test_only_the_hub_of_the_fleet_file_is_asked(fleet: Path, hub: StandInHub, tmp_path: Path) -> None:
    with StandInHub({}) as other:
        subprocess.run(
            [sys.executable, "-m", "rackwright", "-f", str(fleet), "lock"],
            capture_output=True,
            check=True,
            timeout=300,
            env={**os.environ, "HF_ENDPOINT": other.url, "HF_HOME": str(tmp_path / "hf")},
        )
    assert hub.asked
    assert other.asked == []
    assert not (tmp_path / "hf").exists()
