"""Restart engines one at a time, under traffic."""

from __future__ import annotations

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Replica
from rackwright.lifecycle.rollout.engine_changes import Engines, roll
from rackwright.lifecycle.session.console import Talk
from rackwright.lifecycle.session.remember import audited
from rackwright.lifecycle.session.session import Site
from rackwright.lifecycle.session.under_lease import leased
from rackwright.stopping import stoppable


def restart(site: Site, replicas: tuple[Replica, ...], talk: Talk, *, allow_outage: bool = False) -> None:
    """Afterwards each engine runs anew, proven by a real token, and serves as before.

    Raise RackwrightError at the first that can't be taken, drained or restarted, or where Ctrl-C stopped it;
    ProofError if one doesn't answer.
    """
    if not replicas:
        raise UsageError("there is no replica to restart")
    names = ", ".join(replica.address for replica in replicas)
    # The gateways too: each engine is drained and returned there.
    hosts = (*(replica.host for replica in replicas), *site.fleet.gateways)
    with (
        leased(site, f"restart {names}", talk) as held,
        stoppable(talk.heard) as stopping,
        audited(site, held, hosts, f"restart {names}"),
    ):
        outages = site.fleet.file.models if allow_outage else ()
        changes = [Engines(site, held, talk).restarted(replica, "asked for") for replica in replicas]
        roll(site, held, changes, talk, stopping=stopping, outages=outages)
