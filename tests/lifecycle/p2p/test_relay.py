"""Weights whose source on this machine is lost come from a host that has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.errors import HostError
from rackwright.lifecycle.p2p import relay
from rackwright.lifecycle.p2p.relay import relay_lost_weights
from rackwright.lifecycle.p2p.transfer import Has
from rackwright.remote.completed import Completed
from rackwright.roles.model_store.settings import Settings, StoredModel
from rackwright.values.file import File
from tests.lifecycle.p2p.hosts import Console

CONTENT = b"weights" * 1000
DIGEST = sha256(CONTENT).hexdigest()


@dataclass
class Pipe:
    """Gives its content in pieces of any size."""

    content: bytes
    closed: bool = False

    def recv(self, size: int) -> bytes:
        piece, self.content = self.content[: min(size, 999)], self.content[min(size, 999) :]
        return piece

    def shutdown_write(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@dataclass
class Host:
    stores: bytes = CONTENT
    asked: list[str] = field(default_factory=list)
    got: dict[str, bytes] = field(default_factory=dict)
    pipes: list[Pipe] = field(default_factory=list)

    def pipe(self, command: str) -> Pipe:
        self.asked.append(command)
        self.pipes.append(Pipe(self.stores))
        return self.pipes[-1]

    def run(self, command: str) -> Completed:
        self.asked.append(command)
        return Completed(0, b"")

    def put(self, stream: Any, path: str, *, size: int, progress: Callable[[int, int], None]) -> None:
        content = stream.read(size)
        if len(content) < size:
            raise HostError(f"the content ended after {len(content)} of {size} bytes")
        progress(size, size)
        self.got[path] = content


@dataclass
class Fleet:
    """Three hosts that store one model from a file of this machine."""

    source: Path
    hosts: dict[str, Host] = field(default_factory=lambda: {name: Host() for name in ("gpu1", "gpu2", "gpu3")})
    console: Console = field(default_factory=Console)

    @property
    def model(self) -> StoredModel:
        file = File(path="m.gguf", size=len(CONTENT), sha256=DIGEST, url=self.source.as_uri())
        return StoredModel(name="assistant", digest="d" * 64, files=(file,))

    @property
    def session(self) -> Any:
        spec = SimpleNamespace(model_store=Settings(models=(self.model,)))
        store = SimpleNamespace(store=SimpleNamespace(path="/srv/models"))
        return SimpleNamespace(
            hosts=dict.fromkeys(self.hosts, spec),
            fleet=SimpleNamespace(
                hosts=tuple(self.hosts), file=SimpleNamespace(hosts=dict.fromkeys(self.hosts, store))
            ),
            remote=SimpleNamespace(
                connection=self.hosts.get, each=lambda names, work: {name: work(name) for name in names}
            ),
        )


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    (tmp_path / "m.gguf").write_bytes(b"something else" * 400)
    return Fleet(tmp_path / "m.gguf")


def relayed(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, **has: Has | HostError) -> Mapping[str, Host]:
    found = {"gpu1": Has(whole=True), "gpu2": Has(free=10**12), "gpu3": Has(whole=True), **has}
    monkeypatch.setattr(relay, "look", lambda *_: found)
    relay_lost_weights(fleet.session, ("gpu2", "gpu3"), fleet.console)
    return fleet.hosts


def test_a_host_that_lacks_them_gets_them_from_one_that_has_them(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = relayed(fleet, monkeypatch)
    assert hosts["gpu2"].got == {f"/srv/models/.incoming/{DIGEST}": CONTENT}
    assert hosts["gpu1"].asked == [f"exec cat -- /srv/models/assistant/{'d' * 16}/m.gguf"]
    assert all(pipe.closed for pipe in hosts["gpu1"].pipes)
    assert hosts["gpu3"].got == {}
    (said,) = fleet.console.said
    assert said.startswith(f"assistant dddddddddddddddd: {fleet.source} has 5600 bytes on the controller")
    assert said.endswith("; gpu1 has it: gpu1 → gpu2")
    assert fleet.console.seen[-1][:3] == ("gpu2", len(CONTENT), len(CONTENT))


def test_a_source_that_is_whole_is_used(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.source.write_bytes(CONTENT)
    assert relayed(fleet, monkeypatch)["gpu2"].got == {}
    assert fleet.console.said == []


@pytest.mark.parametrize(
    "has",
    [
        {"gpu1": Has(), "gpu3": Has()},
        {"gpu2": Has(whole=True)},
        {"gpu2": HostError("no route to host")},
        {"gpu2": Has(free=10)},
    ],
    ids=["no host has it", "no host lacks it", "unreachable", "no room"],
)
def test_otherwise_the_fetch_says_what_is_wrong(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, has: dict[str, Has | HostError]
) -> None:
    assert relayed(fleet, monkeypatch, **has)["gpu2"].got == {}
    assert fleet.console.said == []


def test_a_copy_that_ends_early_is_said_and_the_fetch_goes_on(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.hosts["gpu1"].stores = CONTENT[:100]
    assert relayed(fleet, monkeypatch)["gpu2"].got == {}
    assert fleet.console.said[-1].endswith(
        "gpu2 could not get it from gpu1: the content ended after 100 of 7000 bytes"
    )
