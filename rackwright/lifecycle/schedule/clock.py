"""Whether this machine's clock is right: one that is ahead would record as missed what is still to come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.fleet.targets import targets
from rackwright.lifecycle.patch.host_clocks import HostClock, ask_clocks

TOLERATED = timedelta(minutes=2)
"""By how much clocks may differ. Less than the silence after which a try counts as lost."""
_ASKED = 5
"""How many hosts are asked for the time, control hosts first: a single one may be this machine itself."""


def refuse_wrong_clock(fleet: Fleet) -> None:
    """Ask the control hosts in service for the time, and if they are few, others, too. Raise as `refuse_apart` does.

    A host that doesn't answer doesn't count.
    """
    from rackwright.remote import Remote

    others = [name for name in fleet.hosts if name not in fleet.control]
    asked = (*fleet.control, *others[: max(0, _ASKED - len(fleet.control))])
    with Remote(targets(fleet, asked)) as remote:
        found = ask_clocks(remote, asked)
    refuse_apart({name: one.offset for name, one in found.items() if isinstance(one, HostClock)})


def refuse_apart(offsets: Mapping[str, float]) -> None:
    """Raise RackwrightError unless more than half of these clocks agree with this machine's.

    Each is in seconds ahead of it. A single wrong one on another host stops nobody.
    """
    most = TOLERATED.total_seconds()
    apart = {name: offset for name, offset in offsets.items() if abs(offset) > most}
    if len(apart) * 2 < max(1, len(offsets)):
        return
    raise RackwrightError(
        "this machine's clock differs from those of other hosts, so it isn't known what is due",
        where="schedule",
        should=f"should differ by at most {most:.0f} s",
        next="timedatectl, here and on these hosts",
        listed=[f"{name}: {abs(value):.0f} s {'ahead' if value > 0 else 'behind'}" for name, value in apart.items()],
    )
