"""`usage`: what the clients of all gateways have used."""

from __future__ import annotations

from datetime import date

from rackwright.errors import HostError, UsageError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.gateway.usage import Usages
from rackwright.gateway.whole_usage import Usage
from rackwright.remote import Remote


def usage(fleet: Fleet, since: date) -> Usage:
    """Bring all gateways' usage up to date; return it from the beginning of this day (UTC) on.

    Raise UsageError if the fleet has no gateway.
    """
    if not fleet.gateways:
        raise UsageError("the fleet has no gateway", should="usage is counted by gateways (gateway.on)")
    with Remote(targets(fleet, fleet.gateways)) as remote:
        found = Usages(remote, tuple(fleet.gateways)).read(since)
    return Usage(
        {host: answer for host, answer in found.items() if not isinstance(answer, HostError)},
        {host: answer for host, answer in found.items() if isinstance(answer, HostError)},
    )
