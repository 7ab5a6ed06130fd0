"""Whether the copy of the applied fleet that the tool works on is still the applied one."""

from __future__ import annotations

from rackwright.errors import LeasedError
from rackwright.lifecycle.session.remember import Compared, compared, compared_files
from rackwright.lifecycle.session.session import Session
from rackwright.values.tool_mode import in_tool_mode


class FleetChanged(LeasedError):
    """An apply has ended since the tool on a control host read the applied fleet: its own copy is the older one."""

    def __init__(self) -> None:
        super().__init__(
            "an operator applied in the meantime, so this copy of the applied fleet is too old",
            should="the next run works on the new one",
            next="rackwright schedule list",
        )


def compared_under_lease(session: Session) -> Compared:
    """Compare as `compared` does. In tool mode, raise FleetChanged if the files differ: no setting answers that.

    `key add` and `key revoke` change gateways without an apply. The tool's copy lacks that until the next apply, and
    the tool doesn't undo it.
    """
    if not in_tool_mode():
        return compared(session)
    try:
        found = compared_files(session)
    except LeasedError:
        # Its lock is one that the other run has replaced.
        raise FleetChanged from None
    if not found.same:
        raise FleetChanged
    return found
