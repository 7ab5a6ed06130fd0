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

    A control host that was down has older files. Every apply leaves its files on more than half of them, so the copy
    that most have counts, and of two the newer one. Raise RackwrightError if there is no copy and a host can't be
    asked or has a damaged one, or if a newer rackwright wrote one.
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
    held = Counter(copy.about.run for copy in copies)
    return max(copies, key=lambda copy: (held[copy.about.run], copy.about.when), default=None)
