from __future__ import annotations

import hashlib
import shlex
import subprocess
from pathlib import Path

from rackwright.operations.facts.packages import InstalledPackages
from rackwright.operations.facts.stored_folder import FileHashes, FreeRoom, Marker, Room, Stored, StoredFolder
from rackwright.operations.filesystem.kept_build import build_kept
from rackwright.roles.llama_cpp.role import llama_cpp
from rackwright.roles.vllm.role import vllm
from rackwright.roles.vllm.settings import Settings as Vllm
from rackwright.route import Route
from rackwright.values.file import File
from tests.fakes import Played, play
from tests.roles.serving import RUNTIME

DIGEST = "d" * 64
KEPT = "/var/lib/rackwright/builds/llama_cpp-b1-dddddddddddddddd"
ROOM = {FreeRoom: Room(free=10**12)}


def local(folder: Path, name: str) -> File:
    (folder / name).write_text(name)
    digest = hashlib.sha256(name.encode()).hexdigest()
    return File(path=name, size=len(name), sha256=digest, url=f"file:{folder / name}")


def kept(files: tuple[File, ...], stored: Stored, hashes: dict[str, str], runtime: str | None) -> Played:
    def role() -> None:
        build_kept(name="Keep", what="llama.cpp b1", files=files, folder=KEPT, digest=DIGEST, runtime="/opt/r/llama")

    return play(role, facts={StoredFolder: stored, FileHashes: hashes, Marker: runtime, **ROOM})


def test_a_build_is_sent_once_and_only_what_the_host_lacks(tmp_path: Path) -> None:
    files = (local(tmp_path, "a.whl"), local(tmp_path, "b+cu1.whl"))
    whole = Stored(DIGEST, {file.path: file.size for file in files})
    right = {file.path: file.sha256 for file in files}
    assert sent(kept(files, Stored(), {}, None)) == ["a.whl", "b+cu1.whl"]
    assert kept(files, whole, {}, DIGEST).commands == [], "while the runtime is installed, sizes are enough"
    assert kept(files, whole, right, None).commands == []
    placed = kept(files, Stored(None, whole.sizes), right, None)
    assert sent(placed) == []
    assert placed.commands, "without a marker, a backup wouldn't count as good"
    damaged = kept(files, whole, {**right, "a.whl": "0" * 64}, None)
    assert sent(damaged) == ["a.whl"]
    assert any(f"file://{KEPT}/b%2Bcu1.whl" in command for command in damaged.commands)
    assert shlex.split(damaged.commands[-1])[3:7] == ["place", "/var/lib/rackwright/builds/.incoming", KEPT, DIGEST]
    assert sent(kept(files, Stored(None, whole.sizes), {"a.whl": right["a.whl"]}, DIGEST)) == ["b+cu1.whl"]


def sent(played: Played) -> list[str]:
    return [content for path, content in played.uploads.items() if "/.incoming/" in path]


def test_a_restored_host_installs_from_its_own_copy_without_the_controllers_file(tmp_path: Path) -> None:
    archive = local(tmp_path, "llama b1.tar.gz")
    copies = tmp_path / "builds"
    copies.mkdir()
    (tmp_path / archive.path).rename(copies / archive.path)
    facts = {
        **ROOM,
        InstalledPackages: ("libgomp1", "curl", "ca-certificates"),
        StoredFolder: Stored(archive.sha256, {archive.path: archive.size}),
        FileHashes: {archive.path: archive.sha256},
        Marker: None,
    }
    played = play(llama_cpp, facts=facts, settings=RUNTIME, files=(archive,), route=Route(), kept=str(copies))
    assert [name.split()[0] for name in played.changed] == ["Make", "Fetch", "Unpack"]
    (fetch,) = [command for command in played.commands if " fetch " in command]
    (tmp_path / "runtimes/.incoming").mkdir(parents=True)
    fetch = fetch.replace("/opt/rackwright/runtimes", f"{tmp_path}/runtimes")
    subprocess.run(["sh", "-c", fetch], check=True, capture_output=True)
    assert (tmp_path / f"runtimes/.incoming/{archive.sha256}.verified").read_text() == archive.path


def test_a_build_that_no_backup_saves_is_not_kept(tmp_path: Path) -> None:
    archive = local(tmp_path, "llama.tar.gz")
    facts = {**ROOM, InstalledPackages: ("libgomp1", "curl", "ca-certificates"), Marker: None}
    played = play(llama_cpp, facts=facts, settings=RUNTIME, files=(archive,), route=Route())
    assert not any("/var/lib/rackwright/builds" in command for command in played.commands)


def test_wheels_are_kept_and_installed_from_the_same_folder(tmp_path: Path) -> None:
    wheel = local(tmp_path, "vllm-0.32.0-py3-none-any.whl")
    facts = {**ROOM, Marker: None, InstalledPackages: ("curl", "ca-certificates", "libnuma1", "python3.13-venv")}
    settings = Vllm(kind="vllm", version="0.32.0", build="file:wheels")
    played = play(
        vllm, facts=facts, settings=settings, wheels=(wheel,), digest=DIGEST, gpus=False, route=Route(), kept=KEPT
    )
    assert [path.rpartition("/")[0] for path in played.uploads] == ["/var/lib/rackwright/builds/.incoming"]
    assert any(f"file://{KEPT}/{wheel.path}" in command for command in played.commands)
