"""The last resort: too few control hosts are left to agree, and `lease move` starts each of them alone.

Hosts are folders on this machine. What a member holds is in files, which it answers from once it was started alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from rackwright.errors import HostError, RackwrightError
from rackwright.lifecycle.control import arrival, moving
from rackwright.lifecycle.control.membership import Membership
from rackwright.lifecycle.control.move import Moved, move_control
from rackwright.roles.etcd.settings import DATA, MEMBER
from rackwright.state.control import ControlRecord, write_control
from rackwright.state.formats import utc_now
from rackwright.state.journal import Event
from rackwright.state.lease import Owner
from rackwright.state.lease_session import hold
from rackwright.state.shell import FOLDER
from rackwright.state.store import ControlStore, FileStore
from tests.fleet.fleets import make_fleet
from tests.shells import FolderHosts, FolderShell

HOSTS = ("gate1", "gpu1", "gpu2")
ANNA = Owner(who="anna@laptop", machine="laptop", why="apply", run="20261125T040501Z-ffff")
HELD = f"{FOLDER}/member/control"
"""Where the files are that stand for a member's data."""


@dataclass
class Shell(FolderShell):
    """A host with its member's files in its folder. Instead of systemd, nothing starts or stops."""

    def run(self, command: str, **more: Any) -> Any:
        command = command.replace(MEMBER, str(self.member)).replace(DATA, f"{self.var}/etcd")
        return super().run(command.replace("systemctl", ":"), **more)

    @property
    def member(self) -> Path:
        return Path(self.var) / "member.env"

    @property
    def alone(self) -> bool:
        return not self.gone and "ETCD_FORCE_NEW_CLUSTER=true" in self.member.read_text()


@dataclass
class Site:
    folder: Path
    damaged: set[str] = field(default_factory=set)
    """Hosts whose member doesn't start."""
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shells = {name: Shell(name, var=str(self.folder / name)) for name in (*HOSTS, "gpu3")}
        record = ControlRecord(hosts=HOSTS, number=1, since=utc_now(), who="anna@laptop")
        for name, shell in self.shells.items():
            (self.folder / name / "etcd" / "member").mkdir(parents=True)
            shell.member.write_text("ETCD_INITIAL_CLUSTER_STATE=new\n")
            write_control(shell, record)

    def held(self, host: str) -> FileStore:
        return FileStore(self.shells[host], HELD)

    def store_on(self, _: object, hosts: Iterable[str], *, several: bool) -> ControlStore:
        names = tuple(hosts)
        if not several:
            return FileStore(self.shells[names[0]])
        # Too few are left to agree: the lost one stands for all of them.
        return self.held(next((name for name in names if self.shells[name].alone), "gpu2"))

    def started(self, host: str) -> None:
        if host in self.damaged:
            raise HostError("waiting for etcd failed", where=host)

    def move(self, *control: str) -> Moved:
        hosts = {name: {"address": f"10.0.0.{number}"} for number, name in enumerate((*HOSTS, "gpu3"), 10)}
        fleet = make_fleet(self.folder / "site.yml", hosts=hosts, control=[*control])
        console: Any = self
        return move_control(replace(fleet, recorded=HOSTS), console, former_gone=True)

    # The interface of a Console.

    def say(self, text: str) -> None:
        self.said.append(text)

    def confirm(self, question: str, *, refusal: RackwrightError | None = None) -> None: ...


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """gpu2 is lost. gate1 lacks what was stored last, gpu1 has it."""
    site = Site(tmp_path)
    monkeypatch.setattr("rackwright.remote.Remote", FolderHosts(site.shells))
    monkeypatch.setattr(moving, "store_on", site.store_on)
    monkeypatch.setattr(arrival, "store_on", site.store_on)
    monkeypatch.setattr(Membership, "_await", lambda _, host: site.started(host))
    for name, rollouts in {"gate1": ("r7",), "gpu1": ("r7", "r8")}.items():
        for rollout in rollouts:
            with hold(site.held(name), ANNA) as lease_session:
                lease_session.write(Event.OPENED, rollout, detail="model update assistant")
    site.shells["gpu2"].gone = True
    return site


def moved(site: Site) -> list[str]:
    """Return the rollouts that the new control host knows of."""
    return [entry.rollout for entry in FileStore(site.shells["gate1"]).entries()]


def test_the_newest_data_of_those_that_are_left_moves_with_a_rollout_that_is_open(site: Site) -> None:
    assert site.move("gate1") == Moved(("gate1",), HOSTS, copied=True, locked=False)
    assert moved(site) == ["r7", "r8"]


def test_interrupted_and_run_again_it_does_the_same(site: Site) -> None:
    """The first one that was started alone answers then, with its own data only."""
    site.damaged = {"gpu1"}
    with pytest.raises(HostError, match="gpu1: waiting for etcd failed"):
        site.move("gate1")
    assert [name for name, shell in site.shells.items() if shell.alone] == ["gate1", "gpu1"]
    site.damaged = set()
    assert site.move("gate1") == Moved(("gate1",), HOSTS, copied=True, locked=False)
    assert "a move that was interrupted has started gate1 and gpu1 alone" in site.said
    assert moved(site) == ["r7", "r8"]
    assert not any(site.shells[name].member.exists() for name in ("gate1", "gpu1"))


def test_one_that_was_started_alone_gets_no_other_members(site: Site) -> None:
    """It may lack what another one has."""
    site.damaged = {"gpu1"}
    with pytest.raises(HostError):
        site.move("gate1")
    with pytest.raises(RackwrightError, match="too few of gate1, gpu1 and gpu2 work together"):
        site.move("gate1", "gpu1", "gpu3")
