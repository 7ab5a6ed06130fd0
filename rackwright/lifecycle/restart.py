"""Restart engines under traffic."""

from __future__ import annotations

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout.engine_changes import Engines, roll
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import audited
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased
from rackwright.stopping import stoppable


def restart(session: Session, replicas: tuple[Replica, ...], console: Console, *, allow_outage: bool = False) -> None:
    """Restart each engine, prove it with real answers, and let it serve as before.

    Raise RackwrightError at the first replica that can't go down, be drained or be restarted, or when Ctrl-C stops
    the command; ProofError if an engine doesn't answer.
    """
    if not replicas:
        raise UsageError("no replica to restart")
    names = ", ".join(replica.address for replica in replicas)
    # The gateways too: each replica is drained and undrained there.
    hosts = (*(replica.host for replica in replicas), *session.fleet.gateways)
    with (
        leased(session, f"restart {names}", console) as lease_session,
        stoppable(console.heard) as stopping,
        audited(session, lease_session, hosts, f"restart {names}"),
    ):
        outages = session.fleet.file.models if allow_outage else ()
        changes = [Engines(session, lease_session, console).restarted(replica, "asked for") for replica in replicas]
        roll(session, lease_session, changes, console, stopping=stopping, outages=outages)
