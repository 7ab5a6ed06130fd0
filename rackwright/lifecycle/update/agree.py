"""What the operator must agree to before an update changes anything, in addition to the update itself."""

from __future__ import annotations

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.session.agreements import Agreements, agree, away
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.update.procedure import Downtime


def agree_to_downtimes(
    fleet: Fleet, downtimes: tuple[Downtime, ...], console: Console, unattended: Agreements | None
) -> tuple[str, ...]:
    """Return the models that may be down. --yes doesn't agree to that: raise RackwrightError if no one can be asked.

    In an unattended run these are all models for which the fleet file allows it, and it must allow these downtimes.
    """
    if downtimes:
        said = "; ".join(downtime.said for downtime in downtimes)
        refusal = RackwrightError(
            said,
            should="planned downtime must be allowed; gateways then do what rollout.downtime says",
            next="the same command with --allow-outage",
        )
        needs = [away(fleet, downtime.model) for downtime in downtimes]
        agree(f"{said}. Accept that?", refusal, needs, console, unattended)
    return unattended.outages if unattended else tuple(downtime.model for downtime in downtimes)
