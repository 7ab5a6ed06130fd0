"""A real cluster of etcd on loopback, whose members can be killed, frozen and started again."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rackwright.remote.completed import Completed
from rackwright.state.etcd.etcd_store import EtcdStore
from rackwright.state.etcd.members import CTL
from tests.shells import LocalShell
from tests.waiting import state, wait_until


@dataclass
class Member:
    name: str
    folder: Path
    client: int
    """Port on which it listens for clients."""
    peer: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def ctl(self) -> Path:
        return self.folder / f"{self.name}.ctl"

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run etcdctl against this member."""
        return subprocess.run([self.ctl, *words], input=stdin, capture_output=True, text=True, check=False)

    @property
    def answers(self) -> bool:
        """Whether it is part of a cluster that agrees."""
        return self.alive and self.run("get", "none").returncode == 0


Fault = Callable[[Callable[[], Completed]], Completed]
"""Given a function that runs a command, runs it or not, and returns its answer or raises HostError."""


@dataclass
class MemberShell(LocalShell):
    """A control host with a member: a shell on this machine whose wrapper asks that member."""

    ctl: str = ""
    fault: Fault = lambda run: run()

    def run(self, command: str, **more: Any) -> Completed:
        return self.fault(lambda: super(MemberShell, self).run(command.replace(CTL, self.ctl), **more))


@dataclass
class Cluster:
    folder: Path
    durable: bool = False
    """Whether members sync their disks, as real ones do."""
    members: tuple[Member, ...] = field(init=False)

    def __post_init__(self) -> None:
        ports = free_ports(6)
        self.members = tuple(
            Member(f"etcd{number}", self.folder, *ports[2 * number : 2 * number + 2]) for number in range(3)
        )
        for member in self.members:
            command = (
                f"etcdctl --endpoints=http://127.0.0.1:{member.client} --command-timeout=5s --dial-timeout=500ms"
            )
            member.ctl.write_text(f'#!/bin/sh\nETCDCTL_API=3 exec {command} "$@"\n')
            member.ctl.chmod(0o700)

    def start(self, member: Member) -> None:
        peers = ",".join(f"{one.name}=http://127.0.0.1:{one.peer}" for one in self.members)
        client, peer = (f"http://127.0.0.1:{port}" for port in (member.client, member.peer))
        command = ["setpriv", "--pdeathsig", "KILL", "etcd", "--name", member.name, "--log-level", "error"]
        # As on control hosts.
        command += ["--max-request-bytes", str(2**23)]
        command += ["--data-dir", str(self.folder / member.name), "--initial-cluster", peers]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        if not self.durable:
            command += ["--unsafe-no-fsync", "--heartbeat-interval", "30", "--election-timeout", "300"]
        with (self.folder / f"{member.name}.log").open("ab") as log:
            member.process = subprocess.Popen(command, stdout=log, stderr=log)

    def whole(self) -> None:
        """Let all members run, and wait until each answers."""
        for member in self.members:
            if member.alive:
                member.signal(signal.SIGCONT)
            else:
                self.start(member)
        for member in self.members:
            try:
                wait_until(lambda member=member: self._answers(member))
            except AssertionError as error:
                seen = (self._seen(one) for one in self.members)
                raise AssertionError("\n".join([f"{member.name} does not answer {error}", *seen])) from None

    def _seen(self, member: Member) -> str:
        """Return what there is to see of a member: its process, its own view of the cluster, its log."""
        process = f"process {state(member.process.pid)}" if member.process and member.alive else "no process"
        status, log = member.run("endpoint", "status"), (self.folder / f"{member.name}.log").read_text()
        return "\n".join([f"{member.name}: {process}", status.stdout + status.stderr, *log.splitlines()[-5:]])

    def _answers(self, member: Member) -> bool:
        # A member that a thread has started ends with that thread, a moment after the thread was joined.
        for one in self.members:
            if not one.alive:
                self.start(one)
        return member.answers

    def leader(self) -> Member:
        """Wait until there is a leader, and return it."""
        found: list[Member] = []

        def led() -> bool:
            found[:] = [one for one in self.members if one.alive and _leads(one)]
            return len(found) == 1

        wait_until(led)
        return found[0]

    def empty(self) -> None:
        """Remove all keys and all leases."""
        ctl = self.members[0].run
        wait_until(lambda: ctl("del", "", "--prefix").returncode == 0)
        for lease in ctl("lease", "list").stdout.split()[3:]:
            ctl("lease", "revoke", lease)

    def shells(self) -> tuple[MemberShell, ...]:
        """Return new shells of all members."""
        return tuple(MemberShell(name=one.name, ctl=str(one.ctl)) for one in self.members)

    def store(self, **settings: Any) -> EtcdStore:
        """Return a store on new shells of all members, which elect faster than real ones."""
        return EtcdStore(self.shells(), **{"limit": 0.7, **settings})


def _leads(member: Member) -> bool:
    told = member.run("endpoint", "status", "-w", "fields").stdout
    fields = dict(line.split(" : ", 1) for line in told.splitlines() if " : " in line)
    return fields.get('"Leader"', "") == fields.get('"MemberID"', "none")


@contextmanager
def cluster_in(folder: Path, *, durable: bool = False) -> Iterator[Cluster]:
    cluster = Cluster(folder, durable)
    try:
        cluster.whole()
        yield cluster
    finally:
        for member in cluster.members:
            member.kill()


def free_ports(count: int) -> list[int]:
    """Return ports that no connection of another process gets while a member is down."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice([one for one in range(15000, 32000) if one not in found])  # noqa: S311
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
    return found
