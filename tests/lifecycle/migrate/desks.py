"""Operators' desks: each has a checkout with a plan and a folder, and all reach the same control hosts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyrage

from rackwright.fleet.load import load_fleet
from rackwright.fleet.lock import Lock, ModelLock, model_digest
from rackwright.fleet.lock_file import write_lock
from rackwright.lifecycle.migrate.place import Place, open_place
from rackwright.state.operator import Operator
from rackwright.state.store import ControlStore, FileStore
from rackwright.values.file import File
from tests.shells import FolderHosts, FolderShell

FLEET = """fleet: acme
clouds:
  openai:
    url: https://api.openai.com/v1
    key: "file:provider-key"
    names: [gpt-4o-mini]
hosts:
  gate1: {address: 10.20.0.10}
  gpu1:  {address: 10.20.0.11}
models:
  assistant:
    source: hf:Qwen/Qwen3-8B-GGUF#*Q4_K_M.gguf
    runtime: {kind: llama_cpp, version: b10434}
    place: [{on: [gpu1], replicas: 1, gpus: 0}]
    names: [assistant, gpt-4o-mini]
    context: 2048
gateway:  {on: [gate1], domain: llm.acme.internal}
firewall: {admin_from: [10.20.0.0/24], clients_from: [10.0.0.0/8]}
"""
PLAN = """format: migration-plan/1
migration: support
intent: The contract with the provider ends in March.
cloud: openai
models: {gpt-4o-mini: assistant}
records:
  recipient: RECIPIENT
  identity: "file:identity"
replay: {budget: 50}
currency: EUR
prices:
  gpt-4o-mini: {input: 0.15, output: 0.6}
"""
IDENTITY = pyrage.x25519.Identity.generate()


class Dies(BaseException):
    """The process is gone."""


@dataclass
class Counting:
    """A store whose process dies just before or after its n-th write; 0: it lives."""

    store: ControlStore
    number: int = 0
    written: bool = False
    writes: int = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        return self._counted(found) if name in ("put", "put_first") else found

    def _counted(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*words: Any) -> Any:
            self.writes += 1
            if self.writes == self.number and not self.written:
                raise Dies
            done = write(*words)
            if self.writes == self.number:
                raise Dies
            return done

        return counted


@dataclass
class Desk:
    """One operator at one machine."""

    folder: Path
    hosts: FolderHosts
    who: str = "anna"
    machine: str = "laptop"
    store: Any = None
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "site.yml"
        self.path.write_text(FLEET)
        (self.folder / "identity").write_text(f"{IDENTITY}\n")
        self.plan = self.folder / "site.migrate-support.yml"
        self.write()
        self.records = self.folder / "site.migrate-support"
        self.store = self.store or FileStore(self.hosts.connection("gate1"))

    def write(self, text: str = PLAN) -> None:
        self.plan.write_text(text.replace("RECIPIENT", str(IDENTITY.to_public())))

    def edit(self, old: str, new: str) -> None:
        text = self.plan.read_text()
        assert old in text
        self.plan.write_text(text.replace(old, new))

    def lock(self, digit: str) -> None:
        """Write a lock with another version of the model for each digit."""
        file = File(path="a.gguf", url="https://models.example/a.gguf", size=1, sha256=digit * 64)
        model = ModelLock(
            source=f"https://models.example/a.gguf#sha256={digit * 64}", digest=model_digest([file]), files=(file,)
        )
        lock = Lock(fleet="acme", models={"assistant": model}, runtimes={}, ports={})
        write_lock(self.path.with_suffix(".lock"), lock)

    @property
    def session(self) -> Any:
        return SimpleNamespace(
            fleet=load_fleet(self.path),
            remote=self.hosts,
            operator=Operator(f"{self.who}@{self.machine}", self.machine),
            store=self.store,
        )

    def open(self, console: Any = None) -> Place:
        return open_place(self.session, "support", console or self)  # type: ignore[arg-type]

    # The interface of a Console.

    def say(self, text: str) -> None:
        self.said.append(text)

    def confirm(self, question: str, **_: Any) -> None:
        self.said.append(question)

    def heard(self) -> None: ...


def hosts_in(folder: Path) -> FolderHosts:
    for name in ("gate1", "gpu1"):
        (folder / name).mkdir(parents=True)
    return FolderHosts({name: FolderShell(name=name, var=str(folder / name)) for name in ("gate1", "gpu1")})


def background(monkeypatch: Any) -> None:
    """Ask hosts one after another, in the test's own thread."""
    monkeypatch.setattr("rackwright.remote.Background", lambda work: SimpleNamespace(result=work))
