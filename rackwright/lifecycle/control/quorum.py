"""Whether control hosts agree while one of them is down."""

from __future__ import annotations

from rackwright.errors import RackwrightError
from rackwright.lifecycle.session.session import Session
from rackwright.values.text import enumerated

PATIENCE_SECONDS = 20
"""How long another control host may take, because it has just come back."""


def etcd_fails(session: Session, host: str) -> str | None:
    """Return why the host's etcd member doesn't work; None if it does, or if the host has none."""
    if not _has_member(session, host):
        return None
    from rackwright.lifecycle.control.membership import Membership

    why = Membership(session.fleet, session.remote).failing((host,)).get(host)
    return f"its etcd doesn't work yet: {why}" if why else None


def refuse_needed(session: Session, host: str) -> None:
    """Raise RackwrightError if lease and journal couldn't be written while this host is down.

    A single control host isn't refused: its lease lasts while it is down.
    """
    if not _has_member(session, host):
        return
    from rackwright.lifecycle.control.membership import Membership

    everyone = session.fleet.control_hosts
    others = tuple(name for name in everyone if name != host)
    asked = tuple(name for name in others if name in session.fleet.control)
    missing = Membership(session.fleet, session.remote).failing(asked, PATIENCE_SECONDS)
    if (len(asked) - len(missing)) * 2 > len(everyone):
        return
    raise RackwrightError(
        f"without it, too few of the control hosts {enumerated(everyone)} would work together",
        where=host,
        should="more than half must work while it is down",
        listed=[f"{name}: {why}" for name, why in missing.items()],
        next="rackwright status, and rackwright apply, which replaces a lost one",
    )


def _has_member(session: Session, host: str) -> bool:
    return len(session.fleet.control_hosts) > 1 and host in session.fleet.control_hosts
