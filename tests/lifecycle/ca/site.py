"""A fleet with a CA whose hosts are folders: each has the certificates that an apply would bring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rackwright.fleet.ca import CertificateAuthority, ca_of
from rackwright.fleet.fleet import Fleet
from rackwright.remote.completed import Completed
from rackwright.roles.certificate.settings import FOLDER
from rackwright.roles.etcd.settings import CREDENTIALS
from tests.fleet.fleets import make_fleet
from tests.lifecycle.world.session import Quiet
from tests.shells import LocalShell


@dataclass
class Console(Quiet):
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def confirm(self, question: str, **_: Any) -> None:
        self.asked.append(question)


@dataclass
class Host(LocalShell):
    folder: Path = Path()

    def run(self, command: str, **options: Any) -> Completed:
        command = command.replace(FOLDER, str(self.folder)).replace(CREDENTIALS, f"{self.folder}/running")
        return super().run(command, **options)


class Site:
    """`names`: the hosts."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("gate1", "gpu1"), **sections: Any) -> None:
        self.fleet: Fleet = make_fleet(folder / "site.yml", **sections)
        self.hosts = {name: Host(name, folder=folder / name) for name in names}
        for host in self.hosts.values():
            host.folder.mkdir()
        self.console = Console()

    @property
    def ca(self) -> CertificateAuthority:
        return ca_of(self.fleet)

    @property
    def session(self) -> Any:
        return SimpleNamespace(fleet=self.fleet, hosts=self.hosts, remote=self)

    def connection(self, name: str) -> Host:
        return self.hosts[name]

    def each(self, names: Any, work: Any) -> dict[str, Any]:
        return {name: work(name) for name in names}

    def apply(self, *names: str) -> None:
        """Bring the CAs to these hosts, by default to all, and a certificate where the first CA didn't issue it."""
        for host in self._named(names):
            issued = self.ca.issue((host.name,), client=False, days=90)
            (host.folder / "engine.crt").write_text(issued.certificate_pem)
            (host.folder / "engine.ca.crt").write_text(self.ca.ca_pem)

    def _named(self, names: tuple[str, ...]) -> Iterator[Host]:
        return (self.hosts[name] for name in names or self.hosts)
