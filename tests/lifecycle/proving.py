"""A site of two hosts and its lock, over shells on this machine or none, for the tests of proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rackwright.fleet.fleet import Fleet, Replica
from rackwright.fleet.hosts.serving import serving_of
from rackwright.fleet.lock import Lock, ModelLock, RuntimeLock, model_digest
from rackwright.lifecycle.proof.identity import Identity
from rackwright.remote.completed import Completed
from rackwright.state.shell import FOLDER
from rackwright.state.store import FileStore
from rackwright.values.file import File
from tests.fleet.fleets import make_fleet
from tests.shells import LocalShell

FILES = (File(path="m.gguf", size=5, sha256="a" * 64, url="https://models.acme.internal/m.gguf"),)
ARCHIVE = File(path="b1.tar.gz", size=5, sha256="b" * 64, url="https://models.acme.internal/b1.tar.gz")


@dataclass
class Told:
    """A host that gives the same answer to every command."""

    said: Completed

    def run(self, command: str, **_: Any) -> Completed:
        return self.said


@dataclass
class Moved(LocalShell):
    """A host that has one of its folders in a folder of the test."""

    path: str = FOLDER
    folder: Path = Path()

    def run(self, command: str, *, stdin: str | bytes | None = None, **options: Any) -> Completed:
        told = stdin.replace(self.path, str(self.folder)) if isinstance(stdin, str) else stdin
        done = super().run(command.replace(self.path, str(self.folder)), stdin=told, **options)
        return replace(done, stdout_bytes=done.stdout_bytes.replace(str(self.folder).encode(), self.path.encode()))


@dataclass
class Shells:
    """The hosts of a site."""

    by_name: dict[str, Any]

    def connection(self, name: str) -> Any:
        return self.by_name[name]

    def each(self, names: Iterable[str], work: Callable[[str], Any]) -> dict[str, Any]:
        return {name: work(name) for name in names}


def lock_of(fleet: Fleet, files: tuple[File, ...] = FILES) -> Lock:
    model = fleet.file.models["assistant"]
    return Lock(
        fleet="acme",
        models={"assistant": ModelLock(source="hf:acme/tiny", digest=model_digest(files), files=files)},
        runtimes={model.runtime.key: RuntimeLock(kind="llama_cpp", version="b1", files=(ARCHIVE,))},
        ports={host: {"assistant@1": 8100} for host in ("gpu1", "gpu2")},
    )


def site_of(shells: dict[str, Any], *, files: tuple[File, ...] = FILES, **sections: Any) -> Any:
    fleet = make_fleet(Path("acme.yml"), replicas={"gpu1": ["assistant@1"], "gpu2": ["assistant@1"]}, **sections)
    lock = lock_of(fleet, files)
    models = {host: serving_of(fleet, lock, host) for host in ("gpu1", "gpu2")}
    operator = SimpleNamespace(who="ada")
    store = FileStore(shells["gate1"]) if "gate1" in shells else None
    return SimpleNamespace(
        fleet=fleet, lock=lock, hosts=models, remote=Shells(shells), operator=operator, store=store
    )


def over_both(session: Any) -> Replica:
    """A replica whose engines are on both hosts."""
    return Replica("assistant", 1, "gpu1", 0, members=("gpu1", "gpu2"))


def shown(identity: Identity, answer: str = "", **other: str) -> str:
    """Return what a proof's command prints for an engine as it should be, with these differences."""
    told = {"ActiveState": "active", "MainPID": "7", "started": identity.unit, "program": "/opt/llama-server"} | other
    lines = [f"{key}={value}" for key, value in told.items()]
    lines += [f"marker={digest} {folder}" for folder, digest in identity.folders.items()]
    lines += [f"word={word}" for word in identity.command]
    return "\n".join([*lines, "answer:", answer])
