"""A host that would need a build which this machine doesn't have is named before anything changes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.fleet.hosts.host_spec import InstalledRuntime
from rackwright.fleet.lock import RuntimeLock
from rackwright.lifecycle.apply.missing_builds import refuse_missing_builds
from rackwright.remote.completed import Completed
from rackwright.roles.llama_cpp.settings import Settings
from rackwright.values.file import File

KEPT = "/var/lib/rackwright/builds/llama_cpp-b1-bbbb"
MARKER = "/opt/rackwright/runtimes/llama_cpp-b1/.verified"


class Fleet:
    """Hosts that need llama.cpp b1, from an archive of this machine; what each prints about its runtimes."""

    def __init__(self, archive: Path, kept: str | None = None) -> None:
        file = File(path="b1.tar.gz", size=5, sha256="b" * 64, url=f"file://{archive}")
        lock = RuntimeLock(kind="llama_cpp", version="b1", build="file:b1.tar.gz", files=(file,))
        runtime = InstalledRuntime(Settings(kind="llama_cpp", version="b1"), lock, kept=kept)
        self.hosts = dict.fromkeys(("gpu1", "gpu2"), SimpleNamespace(runtimes=(runtime,)))
        self.said: dict[str, str | HostError] = {"gpu1": f"{'b' * 64} {MARKER}\n", "gpu2": ""}
        self.asked: list[str] = []

    def run_on(self, hosts: dict[str, Any], command: str) -> dict[str, Completed | HostError]:
        self.asked.append(command)
        return {
            host: said if isinstance(said, HostError) else Completed(0, said.encode())
            for host, said in self.said.items()
        }

    def refuse(self, *only: str) -> None:
        session: Any = SimpleNamespace(hosts=self.hosts, remote=self)
        refuse_missing_builds(session, only)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "b1.tar.gz"


def test_a_host_without_the_runtime_is_named_and_one_that_has_it_is_not(archive: Path) -> None:
    with pytest.raises(RackwrightError) as refused:
        Fleet(archive).refuse()
    (problem,) = refused.value.problems
    assert problem.listed == (f"gpu2: llama_cpp-b1: {archive} is missing on the controller, or has another size",)


@pytest.mark.parametrize("marker", ["a" * 64, ""])
def test_a_runtime_of_another_build_does_not_count(archive: Path, marker: str) -> None:
    fleet = Fleet(archive)
    fleet.said = {"gpu1": f"{marker} {MARKER}\n"}
    with pytest.raises(RackwrightError):
        fleet.refuse()


def test_a_host_that_keeps_a_copy_for_its_backups_needs_nothing(archive: Path) -> None:
    fleet = Fleet(archive, KEPT)
    fleet.said = {"gpu1": f" {KEPT}\n"}
    fleet.refuse()
    assert len(fleet.asked) == 1


def test_a_host_that_does_not_answer_is_for_apply_to_name(archive: Path) -> None:
    fleet = Fleet(archive)
    fleet.said = {"gpu2": HostError("no connection")}
    fleet.refuse()
    assert len(fleet.asked) == 1


@pytest.mark.parametrize(("content", "only"), [(b"12345", ()), (b"", ("gateway",))], ids=["here", "not applied"])
def test_hosts_are_asked_only_if_a_build_that_is_applied_is_missing(
    archive: Path, content: bytes, only: tuple[str, ...]
) -> None:
    archive.write_bytes(content)
    fleet = Fleet(archive)
    fleet.refuse(*only)
    assert fleet.asked == []


def test_the_command_prints_the_first_word_of_what_is_there(archive: Path, tmp_path: Path) -> None:
    fleet = Fleet(archive, KEPT)
    with pytest.raises(RackwrightError):
        fleet.refuse()
    (tmp_path / "builds").mkdir()
    (tmp_path / "marker").write_text("c" * 64 + "\n")
    command = fleet.asked[0].replace(MARKER, f"{tmp_path}/marker").replace(KEPT, f"{tmp_path}/builds")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == f"{'c' * 64} {tmp_path}/marker\n {tmp_path}/builds\n"
