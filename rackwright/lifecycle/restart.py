"""Restart engines one at a time, under traffic."""

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
    """Afterwards each engine runs anew, proven by a real token, and serves as before.

    Raise RackwrightError at the first that can't be taken, drained or restarted, or where Ctrl-C stopped it;
    ProofError if one doesn't answer.
    """
    if not replicas:
        raise UsageError("there is no replica to restart")
    names = ", ".join(replica.address for replica in replicas)
    # The gateways too: each engine is drained and returned there.
    hosts = (*(replica.host for replica in replicas), *session.fleet.gateways)
    with (
        leased(session, f"restart {names}", console) as lease_session,
        stoppable(console.heard) as stopping,
        audited(session, lease_session, hosts, f"restart {names}"),
    ):
        outages = session.fleet.file.models if allow_outage else ()
        changes = [Engines(session, lease_session, console).restarted(replica, "asked for") for replica in replicas]
        roll(session, lease_session, changes, console, stopping=stopping, outages=outages)
