"""What follows an update: the lock and the fleet's files have changed, so the kit is saved again."""

from __future__ import annotations

from rackwright.errors import RackwrightError
from rackwright.fleet.backup_access import kit_repositories
from rackwright.fleet.fleet import Fleet
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.session import Session


def refreshed_kit(fleet: Fleet, session: Session, console: Console) -> RackwrightError | None:
    """Save the kit, if a repository has one; return the error to raise when the command has answered."""
    wanted = kit_repositories(fleet)
    if not wanted:
        return None
    from rackwright.lifecycle.backup.kit import refreshed

    return refreshed(fleet, session.remote, wanted, console)
