"""What was applied last, from the control hosts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rackwright.errors import RackwrightError
from rackwright.fleet.fleet import Fleet
from rackwright.state.applied import Applied, read_applied
from rackwright.state.formats import NewerFormat

if TYPE_CHECKING:
    from rackwright.remote import Remote


def last_applied(remote: Remote, fleet: Fleet) -> Applied | None:
    """Return what was applied last, None if nothing was.

    A control host that was down has older files. Raise RackwrightError if there is no copy and a host can't be asked
    or has a damaged one, or if a newer rackwright wrote one.
    """

    def read(name: str) -> Applied | RackwrightError | None:
        try:
            return read_applied(remote.connection(name))
        except NewerFormat:
            raise
        except RackwrightError as error:
            return error

    found = remote.each(fleet.control, read).values()
    copies = [one for one in found if isinstance(one, Applied)]
    errors = [one for one in found if isinstance(one, RackwrightError)]
    if errors and not copies:
        raise errors[0]
    unseen = len(fleet.control_hosts) - len(found) + len(errors)
    return max(_on_most(copies, unseen, len(fleet.control_hosts)), key=lambda copy: copy.about.when, default=None)


def _on_most(copies: list[Applied], unseen: int, hosts: int) -> list[Applied]:
    """Return the copies that more than half of the control hosts have; if none, those that they could have; else all.

    Every apply leaves its files on more than half. When it was says less: a controller's clock may be wrong. `unseen`
    hosts could have any copy. If no copy can be on more than half, an apply was interrupted while it wrote its files.
    """
    held = Counter(copy.about.run for copy in copies)
    for others in (0, unseen):
        if most := [copy for copy in copies if (held[copy.about.run] + others) * 2 > hosts]:
            return most
    return copies
