"""Whether this is the version of the tool that the applied fleet has."""

from __future__ import annotations

from rackwright.errors import RackwrightError
from rackwright.fleet.lock import Lock
from rackwright.own_wheel import own_version

_WHERE = "the applied lock"
_NEXT = "rackwright lock and then apply, without --only, from a controller"


def require_version(lock: Lock) -> None:
    """Raise RackwrightError unless the lock, which was applied, has the version of the rackwright that runs here."""
    own = own_version()
    if lock.tool is None:
        raise RackwrightError(
            f"has no tool, and {own} runs here", where=_WHERE, should="should have this version", next=_NEXT
        )
    if lock.tool.version != own:
        raise RackwrightError(
            f"has the tool {lock.tool.version}, and {own} runs here",
            where=_WHERE,
            should="another version could undo what that one did",
            next=_NEXT,
        )
