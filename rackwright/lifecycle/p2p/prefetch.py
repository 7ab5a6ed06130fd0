"""What must be on one host before others have it: weights that go from host to host, folders that several share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rackwright.lifecycle.p2p.procedure import Transferred, stage
from rackwright.lifecycle.p2p.receivers import writers
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session
from rackwright.run import Run
from rackwright.stopping import Stopping

Deploy = Callable[[], None]
Change = Callable[[Deploy, tuple[str, ...]], Run]
"""Have these hosts changed by a deploy."""


@dataclass(frozen=True)
class Prefetch:
    run: Run = field(default_factory=Run)
    transferred: tuple[Transferred, ...] = ()


def prefetch_weights(
    session: Session, hosts: Iterable[str], console: Console, stopping: Stopping, change: Change
) -> Prefetch:
    """Afterwards weights are on the hosts that others get or read them from, and transferred ones are in place.

    What could not be transferred is not in the run: each host that lacks it has still to fetch it for itself.
    """
    from rackwright.deploys.serve import own_weights, ready_for_p2p

    going = _Going(tuple(hosts), change)
    going.change(ready_for_p2p, [host for host in going.hosts if session.hosts[host].p2p])

    def fetch(host: str) -> bool:
        going.change(own_weights, [host])
        return host in going.hosts

    transferred = stage(session, going.hosts, console, stopping, fetch)
    writing = {writer for host in going.hosts for writer in writers(session, host)}
    going.change(own_weights, [host for host in going.hosts if host in writing])
    return Prefetch(going.run, transferred)


class _Going:
    """The hosts that have gone well so far."""

    def __init__(self, hosts: tuple[str, ...], change: Change) -> None:
        self._all, self._change, self.run = hosts, change, Run()

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for host in self._all if host not in self.run.failed_hosts)

    def change(self, deploy: Deploy, hosts: list[str]) -> None:
        if hosts and not self.run.interrupted:
            self.run += self._change(deploy, tuple(hosts))
