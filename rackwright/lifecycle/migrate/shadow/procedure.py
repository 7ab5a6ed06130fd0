"""`migrate shadow`: one round, after the operator has agreed to what it may cost."""

from __future__ import annotations

from datetime import UTC, datetime

from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.migrate.shadow.moment import Moment, present_moment
from rackwright.lifecycle.migrate.shadow.round import shadow_round
from rackwright.lifecycle.migrate.spending import spending
from rackwright.migrate.shadow_result import Shadowed


def shadow(place: Place) -> Shadowed:
    """Score what clients have asked since the cutover's step began, or since the round before; return the result.

    Raise RackwrightError if the operator doesn't agree, and what shadow_round raises.
    """
    moment = present_moment(place)
    place.minds = frozenset({"shadow"})
    place.console.say(f"requests that clients have made {_since(moment)}: {cost_line(place)}")
    place.console.confirm(f"Ask {place.plan.cloud} and the fleet?")
    return shadow_round(place, moment)


def cost_line(place: Place) -> str:
    """Return what a round may ask, and what is left of the budget."""
    plan = place.plan
    left = max(0.0, plan.replay.budget - spending(place).all)
    return (
        f"up to {plan.shadow.sample} of them are asked again, of {plan.cloud} twice and of the fleet once; "
        f"{left:.2f} of {plan.replay.budget:.2f} {plan.currency} are left"
    )


def _since(moment: Moment) -> str:
    if not moment.time:
        return "so far"
    return f"since {datetime.fromtimestamp(moment.time, UTC):%Y-%m-%d %H:%M} UTC"
