"""`migrate ledger`: what all gateways accepted, and what became of it."""

from __future__ import annotations

from datetime import datetime

from rackwright.errors import UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.gateway.ledger import Ledgers
from rackwright.gateway.whole_ledger import Ledger
from rackwright.remote import Remote


def ledger(fleet: Fleet, since: datetime) -> Ledger:
    """Bring all gateways' ledgers up to date; return them as one, from this time on.

    Raise UsageError if the fleet has no clouds: then there is nothing to count.
    """
    if not fleet.file.clouds:
        raise UsageError("no model has a cloud", should="gateways keep a ledger in a fleet with clouds")
    with Remote(targets(fleet, fleet.gateways)) as remote:
        return Ledgers(remote, tuple(fleet.gateways)).read().since(since)
