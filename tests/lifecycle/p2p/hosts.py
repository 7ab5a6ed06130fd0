"""Stand-ins for the hosts of a p2p: they give the answers of their units, without units."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

from rackwright.errors import HostError
from rackwright.lifecycle.p2p import unit
from rackwright.lifecycle.p2p.transfer import Has
from rackwright.lifecycle.p2p.unit import Part, Status
from rackwright.roles.model_store.settings import Settings as ModelStore
from rackwright.roles.model_store.settings import StoredModel
from rackwright.roles.p2p.settings import Settings
from rackwright.values.certificate import Issued
from rackwright.values.file import File
from rackwright.values.secrets import Secret

FILE = File(path="m.gguf", size=100_000_000, sha256="a" * 64, url="https://models.acme.internal/m.gguf")
MODEL = StoredModel(name="assistant", digest="d" * 64, files=(FILE,))
DONE = Status("done", FILE.size)


@dataclass
class Issuer:
    ca_pem: str = "ca"
    names: list[tuple[str, ...]] = field(default_factory=list)

    def issue(self, names: tuple[str, ...], *, client: bool, days: int) -> Issued:
        assert client
        assert days == 1
        self.names.append(names)
        return Issued("certificate", Secret("key"))


@dataclass
class Console:
    said: list[str] = field(default_factory=list)
    seen: list[tuple[str, int, int, int]] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def arriving(self, host: str, what: str, done: int, total: int, rate: int) -> None:
        self.seen.append((host, done, total, rate))


class Remote:
    """Runs the work on one host after another."""

    def connection(self, name: str) -> Any:
        return SimpleNamespace(name=name)

    def each(self, names: Iterable[str], work: Callable[[str], Any]) -> dict[str, Any]:
        return {name: work(name) for name in names}


@dataclass
class World:
    """What each host has, and what its unit reports at each look; the last report is repeated."""

    has: dict[str, Has | HostError]
    told: dict[str, list[Status | HostError]]
    started: list[str] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)
    asked: dict[str, list[str]] = field(default_factory=dict)
    refuses: tuple[str, ...] = ()
    """Hosts on which no unit starts."""
    lost_in_the_end: tuple[str, ...] = ()
    issuer: Issuer = field(default_factory=Issuer)
    seconds: float = 0

    def session(self, first: str | None = None, **stores: ModelStore) -> Any:
        hosts = {
            name: SimpleNamespace(
                p2p=settings_of(number),
                model_store=stores.get(name, ModelStore(models=(MODEL,))),
                credentials=SimpleNamespace(issuer=self.issuer),
            )
            for number, name in enumerate(self.has)
        }
        section = SimpleNamespace(from_=first)
        fleet = SimpleNamespace(file=SimpleNamespace(p2p=section))
        return SimpleNamespace(hosts=hosts, remote=Remote(), fleet=fleet)

    def start(self, shell: Any, part: Part) -> None:
        if shell.name in self.refuses:
            raise HostError("no libtorrent", where=shell.name)
        assert bool(part.torrent) != part.first
        self.started.append(shell.name)

    def look(self, shell: Any) -> Status:
        told = self.told[shell.name]
        found = told.pop(0) if len(told) > 1 else told[0]
        if isinstance(found, HostError):
            raise found
        return found

    def end(self, how: str) -> Callable[..., None]:
        def end(shell: Any, *_: Any) -> None:
            if shell.name in self.lost_in_the_end:
                raise HostError("unreachable", where=shell.name)
            self.ended[shell.name] = how

        return end

    def ask_others(self, shell: Any, peers: tuple[Settings, ...]) -> None:
        self.asked[shell.name] = [str(peer.address) for peer in peers]

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def install(self, monkeypatch: Any) -> None:
        """Have the procedure use these hosts; time passes while it sleeps."""
        from rackwright.lifecycle.p2p import follow, procedure

        monkeypatch.setattr(
            procedure, "look", lambda session, transfer: {host: self.has[host] for host in transfer.roots}
        )
        monkeypatch.setattr(unit, "start", self.start)
        monkeypatch.setattr(unit, "torrent_of", lambda shell: b"torrent")
        monkeypatch.setattr(unit, "look", self.look)
        monkeypatch.setattr(unit, "ask_others", self.ask_others)
        for how in ("stop", "clean", "place", "give_up"):
            monkeypatch.setattr(unit, how, self.end(how))
        clock = SimpleNamespace(sleep=self.sleep, monotonic=lambda: self.seconds)
        monkeypatch.setattr(follow, "time", clock)
        monkeypatch.setattr(procedure, "time", clock)


def settings_of(number: int) -> Settings:
    peers = (ip_address("10.0.0.1"),)
    return Settings(address=ip_address(f"10.0.0.{number + 1}"), port=8301, peers=peers)
