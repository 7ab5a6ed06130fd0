"""Fetch weights that one host must have before others: peer-to-peer transfers, and folders that hosts share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rackwright.lifecycle.p2p.procedure import Transferred, transfer
from rackwright.lifecycle.p2p.receivers import writers
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run
from rackwright.stopping import Stopping

Deploy = Callable[[], None]
Change = Callable[[Deploy, tuple[str, ...]], Run]
"""Run a deploy on these hosts."""


@dataclass(frozen=True)
class Prefetch:
    run: Run = field(default_factory=Run)
    transferred: tuple[Transferred, ...] = ()


def prefetch_weights(
    session: Session, hosts: Iterable[str], console: Console, stopping: Stopping, change: Change
) -> Prefetch:
    """Fetch weights to the hosts that others copy or read them from, and transfer them to the hosts that copy.

    Weights that could not be transferred are not in the run: each host that lacks them must still fetch them itself.
    """
    from rackwright.deploys.serve import own_weights, ready_for_p2p

    going = _Going(tuple(hosts), change)
    going.change(ready_for_p2p, [host for host in going.hosts if session.hosts[host].p2p])

    def fetch(host: str) -> bool:
        going.change(own_weights, [host])
        return host in going.hosts

    transferred = transfer(session, going.hosts, console, stopping, fetch)
    writing = {writer for host in going.hosts for writer in writers(session, host)}
    going.change(own_weights, [host for host in going.hosts if host in writing])
    return Prefetch(going.run, transferred)


class _Going:
    """The hosts that have not failed so far, and the run of their changes."""

    def __init__(self, hosts: tuple[str, ...], change: Change) -> None:
        self._all, self._change, self.run = hosts, change, Run()

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for host in self._all if host not in self.run.failed_hosts)

    def change(self, deploy: Deploy, hosts: list[str]) -> None:
        if hosts and not self.run.interrupted:
            self.run += self._change(deploy, tuple(hosts))
