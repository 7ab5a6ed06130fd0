"""A rollout of reboots on stand-ins for machines: the tool's own procedure, with a real journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.reboot import boot_identity, host_change, host_engines, new_driver, procedure
from rackwright.lifecycle.reboot.procedure import Work, open_reboots
from rackwright.lifecycle.rollout import engine_changes
from rackwright.run import Run
from rackwright.state.journal import Entry, Event, open_rollout
from rackwright.state.lease import Owner
from rackwright.state.lease_session import LeaseSession, now
from rackwright.state.rollout import HostRollout
from tests.lifecycle.reboot.machines import WHY, Console, Session
from tests.lifecycle.simulation import Clock

ADA = Owner(who="ada@desk", machine="desk", why="apply", run="20261125T040501Z-ffff")


@dataclass
class Bench:
    clock: Clock
    acts: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    """The entries in the hosts' audit logs."""
    installs: dict[str, Run] = field(default_factory=dict)
    """Host → what the installation of its driver did, if that failed."""
    installed: Callable[[str], None] = lambda _: None
    """Called after the installation on a host."""
    console: Console = field(default_factory=Console)
    stopping: Callable[[], bool] = lambda: False
    runs: list[Run] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    lasting: list[int] = field(default_factory=list)
    """For how many seconds the lease was made to last."""

    def lease_session(self, made: Session) -> LeaseSession:
        """Take the lease, from whoever has it."""
        lose_lease(made)
        lease_session = LeaseSession(made.store, made.store.acquire(ADA), now())
        lasting = lease_session.lasting

        def noted(seconds: int) -> Any:
            self.lasting.append(seconds)
            return lasting(seconds)

        lease_session.lasting = noted  # type: ignore[method-assign]
        return lease_session

    def opened(self, made: Session, *hosts: str, outages: tuple[str, ...] = ()) -> Work:
        """Open a rollout that reboots these hosts."""
        lease_session = self.lease_session(made)
        session: Any = made
        rollout = open_reboots(session, lease_session, "apply --reboot", dict.fromkeys(hosts, WHY), outages)
        return self.work(made, lease_session, rollout)

    def work(self, made: Session, lease_session: LeaseSession, rollout: HostRollout) -> Work:
        session: Any = made
        return Work(
            session,
            lease_session,
            rollout,
            self.console,  # type: ignore[arg-type]
            lambda: self.stopping(),
            self.runs.append,
            self.changed.append,
        )

    def again(self, work: Work, made: Session) -> Work:
        """Return the same rollout as another machine takes it over."""
        return self.work(made, self.lease_session(made), work.rollout)

    def acted(self, work: Work, *hosts: str) -> None:
        """Write that the rollout started to change these hosts."""
        for host in hosts:
            work.lease_session.write(Event.INTENT, work.rollout.id, subject=host, phase="act", detail=WHY)

    def install(self, session: Any, lease_session: object, deploy: Any, hosts: tuple[str, ...], **_: object) -> Run:
        (name,) = hosts
        assert deploy.__name__ == "gpu"
        session.machines[name].events.append("install")
        self.installed(name)
        return self.installs.get(name, Run())


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time passes only while something is waited for."""
    made = Clock()
    monkeypatch.setattr(boot_identity, "time", SimpleNamespace(monotonic=made.now, sleep=made.sleep))
    return made


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Bench:
    """Time, pyinfra, the proofs of engines and the audit logs are simulated; rules, store and journal are real."""
    made = Bench(clock)

    def noted(session: object, lease_session: object, hosts: Any, what: str, outcome: str = "done") -> None:
        made.acts.append((tuple(dict.fromkeys(hosts)), what))

    for module in (host_change, procedure):
        monkeypatch.setattr(module, "note_leased_act", noted)
    monkeypatch.setattr(new_driver, "apply_leased", made.install)
    monkeypatch.setattr(
        host_engines, "Engines", lambda session, *_: SimpleNamespace(answering=partial(_told, session))
    )
    monkeypatch.setattr(engine_changes, "SystemClock", lambda: clock)
    monkeypatch.setattr(engine_changes, "GatewayTraffic", lambda session, *_, **__: session.traffic)
    return made


def _told(session: Session, replica: Replica, why: str) -> SimpleNamespace:
    def told(answers: Mapping[str, str]) -> Callable[[], str | None]:
        return lambda: answers.get(replica.address)

    return SimpleNamespace(prove=told(session.answers), serves=told(session.through))


def journal(made: Session) -> list[Entry]:
    return list(made.store.entries())


def phases(made: Session) -> list[str]:
    """Return the lines of the journal about hosts: HOST PHASE."""
    return [f"{entry.subject} {entry.phase}" for entry in journal(made) if entry.subject]


def is_open(made: Session) -> bool:
    return open_rollout(journal(made)) is not None


def lose_lease(made: Session) -> None:
    """An operator breaks the lease, if there is one."""
    if lease := made.store.show():
        made.store.break_(lease)
