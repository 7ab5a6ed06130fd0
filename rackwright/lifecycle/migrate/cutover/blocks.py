"""What keeps a share from growing, apart from the verdict: a residual, alarms, and work of others."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.errors import LeasedError
from rackwright.gateway.ledger import Ledgers
from rackwright.gateway.whole_ledger import Ledger, Line
from rackwright.lifecycle.migrate.cutover.standing import beginning
from rackwright.lifecycle.migrate.place import Place
from rackwright.lifecycle.status.parts import HostState, TrafficState
from rackwright.lifecycle.status.procedure import status
from rackwright.state.formats import utc_now
from rackwright.state.lease_session import refuse_open_rollout

_FINE = (TrafficState.YES, TrafficState.DRAINED)


def blocks_of(place: Place) -> tuple[str, ...]:
    """Return what is in the way now, each in one line."""
    return (*_rollout(place), *_ledger(place), *_alarms(place))


def ledger_of(place: Place) -> Ledger:
    """Return the gateways' ledger since the cutover began, or began again after a rollback."""
    session, begun = place.session, beginning(place.log)
    found = Ledgers(session.remote, tuple(session.fleet.gateways)).read()
    return found.since(begun.time) if begun else found


def _rollout(place: Place) -> Iterator[str]:
    try:
        refuse_open_rollout(place.session.store)
    except LeasedError as error:
        yield error.problems[0].what


def _ledger(place: Place) -> Iterator[str]:
    """In this hour, requests may end too often to tell; those of earlier hours must be settled."""
    found = ledger_of(place)
    yield from (f"{host}: {error.problems[0].what}" for host, error in found.unasked.items())
    yield from (_words(line) for line in found.residuals)
    now = utc_now()
    if not found.unasked and any(line.begins + line.lasts <= now for line in found.unsettled):
        yield "the ledger of an earlier hour isn't settled yet"


def _words(line: Line) -> str:
    low, high = (line.residual.low, line.residual.high) if line.residual else (0, 0)
    count = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return (
        f"the ledger of {line.gateway} has a residual of {count}: key {line.key}, side {line.side}, "
        f"from {line.begins:%Y-%m-%dT%H:00Z} on"
    )


def _alarms(place: Place) -> Iterator[str]:
    """What makes `status` exit with 12."""
    found = status(place.session)
    yield from (f"{one.host} is unreachable" for one in found.hosts if one.state is HostState.UNREACHABLE)
    yield from (f"{one.replica} takes no requests" for one in found.replicas if one.traffic not in _FINE)
    yield from (f"{one.gateway} doesn't reach the cloud {one.cloud}" for one in found.clouds if not one.reached)
    yield from (one.alarm for one in found.fallbacks if one.alarm)
    yield from (f"the backup of {one.host}: {alarm}" for one in found.backups for alarm in one.alarms)
    yield from found.notes
