"""Take a gateway out of service, and let it rejoin with the drains that the other gateways have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rackwright.errors import HostError
from rackwright.fleet.fleet import Replica
from rackwright.gateway import DrainRecord
from rackwright.lifecycle.drain.missing import MissingDrain, copy_drains
from rackwright.lifecycle.session.console import Console
from rackwright.lifecycle.session.remember import audited
from rackwright.lifecycle.session.session import Session
from rackwright.lifecycle.session.under_lease import leased


def leave_manually(session: Session, host: str, console: Console, *, reason: str, allow_outage: bool = False) -> None:
    """Take the gateway out of service, as Leaving.leave describes. Only an operator lets it rejoin."""
    act, who = f"drain gateway {host}", session.operator.who
    with (
        leased(session, act, console) as lease_session,
        audited(session, lease_session, session.fleet.gateways, f"{act}: {reason}"),
    ):
        session.leaving.leave(host, who=who, reason=reason, allow_outage=allow_outage)
        console.say(f"{host}: takes no connections, {session.leaving.open_connections(host)} still open")


def rejoin_manually(session: Session, host: str, console: Console) -> None:
    """Let the gateway take connections again."""
    act = f"undrain gateway {host}"
    with leased(session, act, console) as lease_session, audited(session, lease_session, session.fleet.gateways, act):
        rejoin(session, host)
        console.say(f"{host}: takes connections")


def rejoin(session: Session, host: str) -> None:
    """Give the gateway the drains that the others have, then let it take connections again.

    Raise HostError if a gateway can't be asked, or as Leaving.rejoin does.
    """
    drains = session.gateways.drains()
    own, others = drains.pop(host), tuple(drains.values())
    failed = copy_drains(session, [MissingDrain(host, *missing) for missing in _missing(session, own, others)])
    if failed:
        raise HostError(f"it lacks drains that the other gateways have: {failed[host]}", where=host)
    for address, record in own.items():
        # The run that drained it has undrained it at the others.
        if others and not record.manual and not any(address in known for known in others):
            session.gateways.only((host,)).undrain(address)
    session.leaving.rejoin(host)


def _missing(
    session: Session, own: dict[str, DrainRecord], others: Iterable[dict[str, DrainRecord]]
) -> Iterator[tuple[Replica, DrainRecord]]:
    """Yield each drain that another gateway has and this one lacks; a manual one has priority."""
    for replica in session.fleet.replicas:
        records = [known[replica.address] for known in others if replica.address in known]
        record = min(records, key=lambda one: not one.manual, default=None)
        mine = own.get(replica.address)
        if record and (mine is None or (record.manual and not mine.manual)):
            yield replica, record
